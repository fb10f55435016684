from __future__ import annotations

from pathlib import Path

from netlab.dns.config import ClusterDns, internet_arguments, resolv_conf, reverse_zones


def test_nothing_of_the_machine_is_read() -> None:
    config = ClusterDns("cluster.local", Path("/x/hosts"), Path("/x/servers"), ("172.16.110.1",))
    for arguments in (config.arguments(), internet_arguments(["172.16.110.1"])):
        needed = {"--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--pid-file="}
        assert needed <= set(arguments)


def test_upstreams_get_what_is_not_local() -> None:
    config = ClusterDns("c.local", Path("/h"), Path("/s"), ("10.0.0.1",), ("10.244.0.0/16",))
    arguments = config.arguments()
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


def test_fixed_names_of_the_internet() -> None:
    arguments = internet_arguments(["172.16.110.1"], {"db.example": ("203.0.113.5",)})
    assert "--host-record=db.example,203.0.113.5" in arguments
    assert arguments.index("--address=/#/172.16.110.1") < arguments.index("--local=/#/")


def test_resolv_conf_as_kubelet_writes_it() -> None:
    assert resolv_conf("default", "10.96.0.10", "cluster.local") == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.96.0.10\n"
        "options ndots:5\n"
    )
