"""How long answers of the cluster's DNS last, and which of them it gives again."""

from __future__ import annotations

import msgspec
from coredns_on_paper import query

from netlab.dns import configmaps, terms
from netlab.dns.lasting import Counts, Lasting, page
from netlab.workload.inside import dnswire

DOMAIN = "cluster.local"
WEB = "web.default.svc.cluster.local."


def lasting(text: str = "") -> Lasting:
    usual = terms.usual(DOMAIN)
    found = configmaps.of_corefile(text, DOMAIN, ()).terms if text else usual
    assert found is not None
    return Lasting(msgspec.json.decode(msgspec.json.encode(terms.to_json(found, DOMAIN))))


def said(name: str, *records: str) -> bytes:
    return dnswire.answer(query(name, edns=True), 0, [dnswire.spoken(each) for each in records])


def ttls(message: bytes) -> list[int]:
    return [record.ttl for record in dnswire.unpack(message).answers]


def test_names_of_the_cluster_last_as_kubernetes_says() -> None:
    records = (f"{WEB} 0 A 10.0.0.1", f"{WEB} 0 A 10.0.0.2", f"{WEB} 9 A 10.0.0.3")
    assert ttls(lasting().given(said(WEB, *records))) == [30, 30, 9]
    assert ttls(lasting().given(said(WEB.upper(), *records[:1]))) == [30]
    text = ". {\n kubernetes cluster.local {\n ttl 7\n }\n}"
    assert ttls(lasting(text).given(said(WEB, *records[:2]))) == [7, 7]
    back = "1.0.96.10.in-addr.arpa."
    assert ttls(lasting().given(said(back, f"{back} 0 PTR {WEB}"))) == [30]
    assert ttls(lasting().given(said("a.test.", "a.test. 0 A 10.0.0.1"))) == [0]


def test_what_is_cut_off_or_no_reply_stays_as_it_is() -> None:
    whole = said(WEB, f"{WEB} 0 A 10.0.0.1")
    for end in range(12, len(whole)):
        assert lasting().given(whole[:end]) in (whole[:end], lasting().given(whole)[:end])
    for noise in (b"", b"\0" * 12, whole[:12], b"\xff" * 40):
        assert lasting().given(noise) == noise


def test_names_elsewhere_are_kept_and_the_cluster_s_are_not() -> None:
    found, asked = lasting(), query("a.test.").message
    assert found.kept(asked, stream=False) is None
    told = found.learnt(asked, said("a.test.", "a.test. 300 A 10.0.0.1"), stream=False)
    assert ttls(told) == [30], "no longer than the cache keeps it"
    again = found.kept(asked, stream=True)
    assert again is not None and again[:2] == asked[:2] and ttls(again)[0] in (29, 30)
    own = query(WEB).message
    assert found.kept(own, stream=False) is None
    found.learnt(own, said(WEB, f"{WEB} 30 A 10.0.0.1"), stream=False)
    assert found.kept(own, stream=False) is None
    text = page(Counts(), found)
    labels = 'server="dns://:53",zones=".",view=""'
    assert f"coredns_cache_misses_total{{{labels}}} 3" in text
    assert f"coredns_cache_requests_total{{{labels}}} 4" in text
    assert 'coredns_cache_hits_total{server="dns://:53",type="success",zones=".",view=""} 1' in text
    assert 'coredns_cache_entries{server="dns://:53",type="success",zones=".",view=""} 1' in text


def test_without_disable_the_cluster_s_names_are_kept_too() -> None:
    found, own = lasting(". {\n kubernetes cluster.local\n cache 3\n}"), query(WEB).message
    reply = found.given(said(WEB, f"{WEB} 0 A 10.0.0.1"))
    assert ttls(reply) == [5]
    assert ttls(found.learnt(own, reply, stream=False)) == [3]
    assert found.kept(own, stream=False) is not None


def test_reverse_names_are_kept_as_they_are_below_no_domain_that_is_disabled() -> None:
    text = ". {\n kubernetes cluster.local in-addr.arpa\n cache 30 {\n disable success %s\n }\n}"
    for found, kept in ((lasting(), True), (lasting(text % "96.10.in-addr.arpa"), False)):
        name = "1.0.96.10.in-addr.arpa."
        asked = query(name, "PTR").message
        told = dnswire.answer(query(name, "PTR"), 0, [dnswire.spoken(f"{name} 9 PTR {WEB}")])
        found.learnt(asked, told, stream=False)
        assert (found.kept(asked, stream=False) is not None) is kept


def test_each_block_has_a_cache_of_its_own_or_none() -> None:
    text = "a.test {\n forward . 10.0.0.1\n}\n. {\n forward . 10.0.0.2\n cache 60\n}"
    found = lasting(text)
    assert (found.zone(query("b.a.test.").message), found.zone(query("b.test.").message)) == (
        "a.test.", ".",
    )  # fmt: skip
    for name, ttl in (("b.a.test.", 300), ("b.test.", 60)):
        told = found.learnt(query(name).message, said(name, f"{name} 300 A 10.0.0.1"), stream=False)
        assert ttls(told) == [ttl]
    assert found.kept(query("b.a.test.").message, stream=False) is None
    assert found.kept(query("b.test.").message, stream=False) is not None


def test_what_is_counted() -> None:
    counts = Counts()
    counts.asked(".", query(WEB).message, "udp", "1")
    counts.asked(".", query(WEB, "SRV").message, "tcp", "2")
    for seconds in (0.0001, 0.0003, 20.0):
        counts.told(".", said(WEB), seconds)
    text = page(counts, None)
    head = 'coredns_dns_requests_total{server="dns://:53",zone=".",view="",'
    assert f'{head}proto="udp",family="1",type="A"}} 1' in text
    assert f'{head}proto="tcp",family="2",type="SRV"}} 1' in text
    assert (
        'coredns_dns_responses_total{server="dns://:53",zone=".",view="",rcode="NOERROR"} 3' in text
    )
    name, labels = "coredns_dns_request_duration_seconds", 'server="dns://:53",zone=".",view=""'
    assert f"# TYPE {name} histogram" in text
    for le, count in (("0.00025", 1), ("0.0005", 2), ("8.192", 2), ("+Inf", 3)):
        assert f'{name}_bucket{{{labels},le="{le}"}} {count}\n' in text
    assert f"{name}_count{{{labels}}} 3\n" in text and f"{name}_sum{{{labels}}} 20.0004\n" in text
    assert "coredns_panics_total 0" in text and "coredns_cache" not in text
