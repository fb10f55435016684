"""A pod's /etc/resolv.conf as kubelet writes it."""

from netlab.dns.resolvconf import ResolvConf, cluster_first

GIVEN = cluster_first("default", ("10.96.0.10",), "cluster.local")


def test_cluster_first() -> None:
    assert GIVEN.with_config({}).text() == (
        "search default.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.96.0.10\n"
        "options ndots:5\n"
    )


def test_what_a_pod_adds_takes_nothing_away() -> None:
    """A second `search` line would be the only one heeded, and no Service found by its name."""
    own = {
        "searches": ["corp.test", "cluster.local"],
        "nameservers": ["192.0.2.1"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    assert GIVEN.with_config(own).text() == (
        "search default.svc.cluster.local svc.cluster.local cluster.local corp.test\n"
        "nameserver 10.96.0.10\n"
        "nameserver 192.0.2.1\n"
        "options ndots:2 edns0\n"
    )


def test_nothing_is_given() -> None:
    assert ResolvConf().with_config({"nameservers": ["192.0.2.1"]}).text() == (
        "nameserver 192.0.2.1\n"
    )
