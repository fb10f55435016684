from __future__ import annotations

from pathlib import Path

from netlab.dns.config import ClusterDns, NodeCacheDns, cache_servers_text, reverse_zones
from netlab.dns.forwarding import Forwarding


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
    assert {"--local=/c.local/", "--local=/244.10.in-addr.arpa/"} <= set(arguments)
    assert config.servers_text({"b.c.local", "a.c.local"}) == (
        "server=/a.c.local/127.0.0.1#10053\nserver=/b.c.local/127.0.0.1#10053\nserver=10.0.0.1\n"
    )
    told = Forwarding((("acme.test", ("10.1.0.1#5353",)),), ("10.1.0.2",))
    assert config.servers_text((), told) == ("server=/acme.test/10.1.0.1#5353\nserver=10.1.0.2\n")
    assert config.servers_text((), Forwarding(outside=())) == "", "nobody is asked"


def test_reverse_zones() -> None:
    assert reverse_zones("10.244.1.0/24") == ["1.244.10.in-addr.arpa"]
    assert reverse_zones("10.96.0.0/12")[0] == "96.10.in-addr.arpa"
    assert reverse_zones("10.96.0.0/12")[-1] == "111.10.in-addr.arpa"
    assert reverse_zones("fd00:10::/32") == ["0.1.0.0.0.0.d.f.ip6.arpa"]
    assert len(reverse_zones("fd00:10::/31")) == 2


def test_a_nodes_cache_listens_at_its_addresses_alone() -> None:
    arguments = NodeCacheDns(("169.254.25.10", "fd00:90::10"), Path("/x/servers")).arguments()
    listening = [word for word in arguments if word.startswith("--listen-address=")]
    assert listening == ["--listen-address=169.254.25.10", "--listen-address=fd00:90::10"]
    assert {"--bind-interfaces", "--no-resolv", "--servers-file=/x/servers"} <= set(arguments)


def test_a_nodes_cache_asks_whom_its_zones_name() -> None:
    zones = [("c.local", ("10.96.0.9",)), ("x.test", ()), (".", ("172.16.110.1", "192.0.2.1#5353"))]
    assert cache_servers_text(zones) == (
        "server=/c.local/10.96.0.9\nserver=/x.test/\nserver=172.16.110.1\nserver=192.0.2.1#5353\n"
    )


def test_a_nodes_cache_keeps_what_it_is_told_to() -> None:
    cache = NodeCacheDns(("169.254.25.10",), Path("/x/servers"), size=7, ttl=30, logs=True)
    assert {"--cache-size=7", "--max-cache-ttl=30", "--log-queries"} <= set(cache.arguments())
    assert "--log-queries" not in NodeCacheDns(("169.254.25.10",), Path("/x")).arguments()
