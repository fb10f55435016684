from __future__ import annotations

from pathlib import Path

from netlab.dns.config import ClusterDns, NodeCacheDns, cache_servers_text, reverse_zones


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


def test_a_nodes_cache_listens_at_its_addresses_alone() -> None:
    arguments = NodeCacheDns(("169.254.25.10", "fd00:90::10"), Path("/x/servers")).arguments()
    listening = [word for word in arguments if word.startswith("--listen-address=")]
    assert listening == ["--listen-address=169.254.25.10", "--listen-address=fd00:90::10"]
    assert {"--bind-interfaces", "--no-resolv", "--servers-file=/x/servers"} <= set(arguments)


def test_a_nodes_cache_asks_kube_dns_for_the_cluster_and_addresses() -> None:
    assert cache_servers_text("c.local", "10.96.0.9", ["172.16.110.1"]) == (
        "server=/c.local/10.96.0.9\nserver=/in-addr.arpa/10.96.0.9\n"
        "server=/ip6.arpa/10.96.0.9\nserver=172.16.110.1\n"
    )


def test_without_kube_dns_the_clusters_names_are_asked_of_nobody() -> None:
    """An empty server: dnsmasq answers such names from what it has, and sends them nowhere."""
    assert "server=/c.local/\n" in cache_servers_text("c.local", None, ["172.16.110.1"])
