"""What a node's cache reads of its Corefile, and what it says of the rest."""

from __future__ import annotations

import pytest

from netlab.dns.corefile import CLUSTER, OUTSIDE, CacheSettings, CorefileError, settings
from netlab.dns.statistics import Statistics, metrics, setup_metrics, statistics
from netlab.objects.lab import lab_from_object
from netlab.objects.nodelocaldns import node_local_objects

ZONE = """\
{key}:53 {{
    errors
    cache {{
            success 9984 30
            denial 9984 5
    }}
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . {to} {{
            force_tcp
    }}
    prometheus :9253
    {more}
    }}
"""
UPSTREAMS = "".join(
    [
        ZONE.format(key="cluster.local", to=CLUSTER, more="health 169.254.20.10:8080"),
        ZONE.format(key="in-addr.arpa", to=CLUSTER, more=""),
        ZONE.format(key="ip6.arpa", to=CLUSTER, more="# nothing"),
        ".:53 {\n errors\n cache 30\n forward . " + OUTSIDE + "\n prometheus :9253\n}\n",
    ]
)


def read(text: str) -> CacheSettings:
    return settings(text, ("10.96.7.7",), ("172.16.110.1",))


def test_upstreams_own() -> None:
    found = read(UPSTREAMS)
    kube_dns = ("10.96.7.7",)
    assert dict(found.servers) == {
        "cluster.local": kube_dns,
        "in-addr.arpa": kube_dns,
        "ip6.arpa": kube_dns,
        ".": ("172.16.110.1",),
    }
    assert found.listen == ("169.254.20.10", "10.96.0.10")
    assert (found.size, found.ttl, found.denial, found.logs) == (9984, 30, 5, False)
    assert found.metrics == ("", 9253) and found.health == ("169.254.20.10", 8080)
    assert found.notes == ()
    assert found.forced == ("cluster.local", "in-addr.arpa", "ip6.arpa")


def test_the_labs_own_asks_for_nothing_that_is_left_out() -> None:
    spec = {"nodes": 1, "dns": {"nodeLocal": {"address": "169.254.255.10"}}}
    lab = lab_from_object({"metadata": {"name": "mine"}, "spec": spec})
    text = next(o for o in node_local_objects(lab) if o["kind"] == "ConfigMap")["data"]["Corefile"]
    found = read(text)
    assert found.notes == () and found.listen == ("169.254.255.10",)
    assert found.health == ("169.254.255.10", 8080) and found.metrics == ("", 9253)
    assert len(found.servers) == 4
    assert (found.size, found.ttl, found.denial) == (9984, 30, 5)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        (". {\n forward . 192.0.2.1 192.0.2.2:5353\n}", {".": ("192.0.2.1", "192.0.2.2#5353")}),
        ("a.test, b.test {\n forward . dns://[fd00::1]:53\n}",
         {"a.test": ("fd00::1",), "b.test": ("fd00::1",)}),
        ("10.0.0.0/8 {\n forward . 192.0.2.1\n}", {"10.in-addr.arpa": ("192.0.2.1",)}),
        ("dns://A.Test.:53 {\n forward . /etc/resolv.conf\n}", {"a.test": ("172.16.110.1",)}),
        (". {\n forward other.test 192.0.2.1\n}", {"other.test": ("192.0.2.1",)}),
    ],
)  # fmt: skip
def test_whom_to_ask(text: str, servers: dict[str, tuple[str, ...]]) -> None:
    assert dict(read(text).servers) == servers


def test_caching_and_logging() -> None:
    one = read(
        "a.test {\n log\n cache 10 {\n success 500\n prefetch 2\n }\n forward . 192.0.2.1\n}"
    )
    assert (one.size, one.ttl, one.logs) == (500, 10, True)
    assert one.notes == ("Corefile:5: prefetch is left out: the node's cache is a dnsmasq",)
    none = read(". {\n forward . 192.0.2.1\n}")
    assert (none.size, none.ttl, none.metrics, none.health) == (0, 0, None, None)
    two = "a.test {\n cache 10\n forward . 192.0.2.1\n}\n. {\n cache\n forward . 192.0.2.1\n}"
    assert read(two).ttl == 10
    assert read(two).notes == ("Corefile:2: cache 10 is for all zones: dnsmasq has one",)


@pytest.mark.parametrize(
    ("cache", "denial"),
    [
        ("cache", 5),
        ("cache 3", 3),
        ("cache {\n denial 100 2\n }", 2),
        ("cache {\n denial 100\n }", 5),
        ("cache 30 {\n denial 100 60\n }", 5),  # no longer than the answer itself would allow
        ("cache {\n disable denial\n }", 0),
        ("errors", 0),
    ],
)
def test_how_long_there_is_no_such_name(cache: str, denial: int) -> None:
    found = read(f". {{\n {cache}\n forward . 192.0.2.1\n}}")
    assert (found.denial, found.notes) == (denial, ())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            ". {\n forwrd . 1.2.3.4\n}",
            "Corefile:2 - Error during parsing: Unknown directive 'forwrd'",
        ),
        (". {\n forward .\n}", "Corefile:2 - Error during parsing: Wrong argument count"),
        (". {\n forward . nowhere\n}", "not an IP address or file: 'nowhere'"),
        (". {\n forward . 1.2.3.4", "Corefile:1 - Error during parsing: Unexpected EOF"),
        (".\n", "Corefile:1 - Error during parsing: Unexpected EOF"),
        ("}\n", "Unexpected '}'"),
        ("{\n}", "no zone is named"),
        (".:5353 {\n forward . 1.2.3.4\n}", "answers on port 53 alone"),
        ("(snip) {\n errors\n}", "reads no snippets"),
        (". {\n forward . 1.2.3.4 {\n tls\n }\n}", "Corefile:3: the node's cache speaks no TLS"),
        (". {\n forward . 1.2.3.4\n}\n. {\n forward . 1.2.3.5\n}", "zone . is forwarded twice"),
        (
            ". {\n prometheus :99999\n}",
            "Corefile:2 - Error during parsing: address :99999: invalid",
        ),
        (". {\n forward . 1.2.3.4:70000\n}", "address 1.2.3.4:70000: invalid port"),
        ("", "no zone is forwarded"),
    ],
)
def test_what_coredns_would_not_begin_with_is_refused(text: str, words: str) -> None:
    with pytest.raises(CorefileError) as refused:
        read(text)
    assert words in refused.value.message


@pytest.mark.parametrize("plugin", ["rewrite name a b", "template IN A {\n }", "hosts /etc/hosts"])
def test_what_a_dnsmasq_has_not_is_told(plugin: str) -> None:
    found = read(f". {{\n {plugin}\n forward . 192.0.2.1\n}}")
    name = plugin.partition(" ")[0]
    assert found.notes == (f"Corefile:2: {name} is left out: the node's cache is a dnsmasq",)


def test_numbers_are_told_by_corednss_names() -> None:
    counted = Statistics(hits=3, misses=2, evictions=1, servers={"10.96.7.7#53": 2})
    page = metrics(counted, read(UPSTREAMS), "1.11.1").splitlines()
    assert 'coredns_cache_hits_total{server="dns://:53"} 3' in page
    assert 'coredns_forward_requests_total{to="10.96.7.7:53"} 2' in page
    assert any(
        line.startswith("coredns_dns_requests_total{") and line.endswith(" 5") for line in page
    )
    assert 'coredns_build_info{goversion="none",version="1.11.1"} 1' in page
    names = [line.split("{")[0].split()[0] for line in page if not line.startswith("#")]
    assert {f"# TYPE {name}" for name in names} == {
        line.rpartition(" ")[0] for line in page if "#" in line
    }


def test_errors_of_the_set_up_are_told_by_node_caches_names() -> None:
    page = setup_metrics({"iptables": 2}).splitlines()
    assert 'coredns_nodecache_setup_errors_total{errortype="iptables"} 2' in page
    assert 'coredns_nodecache_setup_errors_total{errortype="interface_add"} 0' in page


def test_what_is_no_answer_counts_nothing() -> None:
    assert statistics([b"", b"nonsense"]) == Statistics()
