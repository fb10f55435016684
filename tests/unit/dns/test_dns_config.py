from __future__ import annotations

from pathlib import Path

from netlab.dns.config import ClusterDns, reverse_zones


def test_nothing_of_the_machine_is_read() -> None:
    config = ClusterDns("cluster.local", Path("/x/hosts"), Path("/x/servers"), ("172.16.110.1",))
    needed = {"--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="}
    assert needed <= set(config.arguments(10531))


def test_it_answers_on_its_port_of_the_loopback_alone() -> None:
    config = ClusterDns("cluster.local", Path("/x/hosts"), Path("/x/servers"))
    wanted = {"--port=10531", "--listen-address=127.0.0.1", "--bind-interfaces"}
    assert wanted <= set(config.arguments(10531))


def test_upstreams_get_what_is_not_local() -> None:
    config = ClusterDns("c.local", Path("/h"), Path("/s"), ("10.0.0.1",), ("10.244.0.0/16",))
    arguments = config.arguments(10531)
    assert "--server=10.0.0.1" in arguments
    assert {"--local=/c.local/", "--local=/244.10.in-addr.arpa/"} <= set(arguments)
    assert config.servers_text({"b.c.local", "a.c.local"}) == (
        "server=/a.c.local/127.0.0.1#10053\nserver=/b.c.local/127.0.0.1#10053\n"
    )


def test_reverse_zones() -> None:
    assert reverse_zones("10.244.1.0/24") == ["1.244.10.in-addr.arpa"]
    assert reverse_zones("10.96.0.0/12")[0] == "96.10.in-addr.arpa"
    assert reverse_zones("10.96.0.0/12")[-1] == "111.10.in-addr.arpa"
    assert reverse_zones("fd00:10::/32") == ["0.1.0.0.0.0.d.f.ip6.arpa"]
    assert len(reverse_zones("fd00:10::/31")) == 2
