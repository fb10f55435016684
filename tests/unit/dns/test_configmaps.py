"""What people say to CoreDNS and kube-dns in ConfigMaps, and what becomes of it."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace

from netlab.dns import terms
from netlab.dns.configmaps import both, of_corefile, of_kube_dns
from netlab.dns.corefile import CorefileError
from netlab.dns.forwarding import Forwarding
from netlab.dns.terms import PagePlace, Terms
from netlab.objects import bootstrap

DOMAIN, OWN = "cluster.local", ("172.16.110.1",)

KUBEADMS = bootstrap.corefile(DOMAIN)


def read(text: str) -> Forwarding:
    return of_corefile(text, DOMAIN, OWN)


def test_kubeadms_own_changes_nothing() -> None:
    found = read(KUBEADMS)
    assert replace(found, terms=None) == Forwarding(outside=OWN)
    assert found.terms is not None
    (zones, cache), usual = found.terms.caches[0], terms.usual(DOMAIN)
    below = tuple(option._replace(line=0) for option in cache.below)
    cache = cache._replace(line=0, below=below)
    assert replace(found.terms, caches=((zones, cache),)) == usual


def test_how_long_names_last_and_where_it_tells_how_it_is() -> None:
    text = (
        ".:53 {\n  kubernetes cluster.local {\n  ttl 7\n  }\n  cache 3\n  health :8090\n"
        "  prometheus\n"
        "}\nacme.test {\n  forward . 10.0.0.1\n}\n"
    )
    found = read(text).terms
    assert found is not None and (found.ttl, found.zones) == (7, (".", "acme.test"))
    assert [zones for zones, _ in found.caches] == [(".",)]
    assert found.pages == (PagePlace("health", 8090), PagePlace("prometheus", 9153, local=True))
    none = read(".:53 {\n  kubernetes cluster.local\n  forward . 10.0.0.1\n}").terms
    assert none == Terms(5), "as a CoreDNS that is not told otherwise"


def test_what_of_kubernetes_and_cache_is_not_done() -> None:
    text = (
        ".:53 {\n  kubernetes cluster.local {\n  pods verified\n  namespaces a\n"
        "  endpoint_pod_names\n  fallthrough\n  }\n  cache {\n  prefetch 10\n  }\n}"
    )
    assert read(text).notes == (
        "Corefile:3: pods verified is left out: pods' names are answered as `pods insecure` says",
        "Corefile:4: namespaces a is left out: names of all namespaces are answered",
        "Corefile:5: endpoint_pod_names is left out: an endpoint's name is its hostname or address",
        "Corefile:9: prefetch is left out: nothing is asked before its time",
    )


def test_it_is_known_again_as_long_as_nobody_has_changed_it() -> None:
    for domain in (DOMAIN, "lab.test"):
        assert bootstrap.is_first_corefile(bootstrap.corefile(domain))
    for text in ("", ". {\n kubernetes lab.test\n}", f"{KUBEADMS}\n", KUBEADMS.replace("30", "5")):
        assert not bootstrap.is_first_corefile(text)
    assert not bootstrap.is_first_corefile(KUBEADMS.replace("cluster.local", "x.test", 1))


def test_a_block_of_a_zone_and_a_server_for_the_rest() -> None:
    text = KUBEADMS.replace("/etc/resolv.conf", "172.16.0.1 [fd00::1]:5353")
    text += "acme.Local:53 {\n  errors\n  cache 30\n  forward . 10.150.0.1 10.150.0.2:1053\n}\n"
    found = read(text)
    assert found.outside == ("172.16.0.1", "fd00::1#5353")
    assert found.zones == (("acme.local", ("10.150.0.1", "10.150.0.2#1053")),)
    assert found.notes == ()


def test_a_zone_that_forward_itself_names_and_a_network() -> None:
    text = ".:53 {\n  forward acme.local 10.0.0.1\n}\n10.20.0.0/16 {\n  forward . 10.0.0.2\n}"
    found = read(text)
    zones = (("acme.local", ("10.0.0.1",)), ("20.10.in-addr.arpa", ("10.0.0.2",)))
    assert (found.zones, found.outside) == (zones, ()), "nobody is asked for other names"


def test_names_of_ones_own() -> None:
    found = read(".:53 {\n hosts {\n 10.0.0.9 My.test other.test.\n fallthrough\n }\n}")
    assert [each.name for block in found.blocks for each in block.directives] == ["hosts"]
    assert found.notes == ()


def test_what_is_not_done_is_said_by_its_line() -> None:
    text = (
        ".:53 {\n  autopath @kubernetes\n  hosts /etc/more {\n  10.0.0.9 my.test\n  }\n"
        "  kubernetes example.org\n  forward . tls://9.9.9.9 1.1.1.1 {\n"
        "    except foo.test\n  }\n}\n"
        "cluster.local {\n  forward . 10.0.0.1\n}\n"
    )
    assert read(text).notes == (
        "Corefile:2: autopath is left out: the cluster's DNS is a dnsmasq",
        "Corefile:3: /etc/more is left out: the ConfigMap has no such key",
        "Corefile:3: hosts has no fallthrough: no other name of the block is answered, as by a "
        "CoreDNS",
        "Corefile:6: kubernetes example.org is left out: the lab's names are below cluster.local",
        "Corefile:7: tls://9.9.9.9 is left out: the cluster's DNS speaks no TLS",
        "Corefile:8: except is left out: what is excepted is asked of the same servers",
        "Corefile:12: zone cluster.local is not forwarded: the cluster's own names are always "
        "answered",
    )
    assert read(text).zones == () and read(text).outside == ("1.1.1.1",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (".:53 {\n  proxy . 8.8.8.8\n}", "Corefile:2 - Error during parsing: Unknown directive 'p"),
        (".:53 {\n  forward .\n}", "Corefile:2 - Error during parsing: Wrong argument count"),
        (".:53 {\n  forward . dns.test\n}", "Corefile:2 - Error during parsing: not an IP address"),
        (".:53 {\n  errors\n", "Corefile:1 - Error during parsing: Unexpected EOF"),
        (".:53 {\n kubernetes {\n ttl 3601\n }\n}", "Corefile:3 - Error during parsing: ttl must "
         "be in range [0, 3600]: 3601"),
        (".:53 {\n kubernetes {\n ttl x\n }\n}", "Corefile:3 - Error during parsing: ttl: 'x' is"),
        (".:53 {\n  cache 0\n}", "Corefile:2 - Error during parsing: cache TTL can not be zero or"),
        (".:53 {\n  cache {\n more\n }\n}", "Corefile:3 - Error during parsing: unknown property"),
        (".:53 {\n  health :0\n}", "Corefile:2 - Error during parsing: address :0: invalid port"),
        (".:1053 {\n  errors\n}", "Corefile:1: .:1053: the"),
        (". {\n  cache {\n    servfail -infs\n  }\n}", "Corefile:3 - Error during parsing: serv"),
        (". {\n  cache {\n    serve_stale nan\n  }\n}", "Corefile:3 - Error during parsing: serv"),
        (". {\n" * 3000, "Corefile:21 - Error during parsing: braces nested too deep"),
        (". {\n  forward x/cluster.local 1.1.1.1\n}", "Corefile:2 - Error during parsing: unable"),
        ('"a b" {\n  forward . 1.1.1.1\n}', "Corefile:1 - Error during parsing: 'a b' is no zone"),
    ],
)  # fmt: skip
def test_what_coredns_would_not_begin_with(text: str, words: str) -> None:
    with pytest.raises(CorefileError) as error:
        read(text)
    assert error.value.message.startswith(words)


def test_kube_dns_form() -> None:
    data = {
        "stubDomains": json.dumps({"Acme.local.": ["1.2.3.4", "5.6.7.8:5353"]}),
        "upstreamNameservers": '["8.8.8.8", "8.8.4.4"]',
    }
    found = of_kube_dns(data, DOMAIN)
    assert found.zones == (("acme.local", ("1.2.3.4", "5.6.7.8#5353")),)
    assert (found.outside, found.notes) == (("8.8.8.8", "8.8.4.4"), ())
    assert of_kube_dns({}, DOMAIN) == Forwarding()


def test_what_of_kube_dns_form_is_not_done() -> None:
    stubs = json.dumps({"a.test": ["ns.a.test", "1.2.3.4"], "cluster.local": ["1.2.3.4"]})
    found = of_kube_dns({"stubDomains": stubs, "federations": "x=y"}, DOMAIN)
    assert found.zones == (("a.test", ("1.2.3.4",)),)
    assert found.notes == (
        "federations is left out",
        "stubDomains: a.test: ns.a.test is left out: it is no address",
        "stubDomains: cluster.local is left out: the cluster's own names are always answered",
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"stubDomains": "{"}, "stubDomains: no JSON: "),
        ({"stubDomains": "[]"}, "stubDomains: an object of lists of addresses is needed"),
        ({"stubDomains": '{"a.test": "1.2.3.4"}'}, "stubDomains: a.test: a list of addresses"),
        ({"stubDomains": '{"a\\nserver=/b/": ["1.2.3.4"]}'}, "stubDomains: invalid domain name: "),
        ({"stubDomains": '{"x/cluster.local": ["1.2.3.4"]}'}, "stubDomains: invalid domain name: "),
        ({"upstreamNameservers": "[" * 100_000}, "upstreamNameservers: no JSON: "),
        ({"upstreamNameservers": '"8.8.8.8"'}, "upstreamNameservers: a list of addresses"),
    ],
)
def test_malformed_data(data: dict[str, str], words: str) -> None:
    with pytest.raises(CorefileError) as error:
        of_kube_dns(data, DOMAIN)
    assert error.value.message.startswith(words)


def test_both_together() -> None:
    one = Forwarding((("a.test", ("10.0.0.1",)), ("b.test", ())), OWN, notes=("one",))
    other = Forwarding((("b.test", ("10.0.0.2",)),), notes=("other",))
    found = both(one, other)
    assert dict(found.zones) == {"a.test": ("10.0.0.1",), "b.test": ("10.0.0.2",)}
    assert (found.outside, found.notes) == (OWN, ("one", "other"))
    assert both(None, None) == Forwarding()
