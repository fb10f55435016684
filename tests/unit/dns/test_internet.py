from __future__ import annotations

import ipaddress

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from netlab.dns import internet
from netlab.dns.outside import Outside
from netlab.objects import names


def ask(name: str, qtype: str = "A", *, is_all: bool = True) -> DNSRecord | None:
    outside = Outside(["198.51.100.1", "2001:db8:6464::1"])
    outside.names = {"example.com": [], "db.example.com": ["203.0.113.5", "203.0.113.6"]}
    return outside.answer(DNSRecord.question(name, qtype), is_all=is_all)


def said(name: str, qtype: str = "A") -> tuple[int, list[str]]:
    reply = ask(name, qtype)
    assert reply is not None
    return reply.header.rcode, [str(record.rdata) for record in reply.rr]


def test_names_have_their_own_addresses_or_the_internets() -> None:
    assert said("Example.com.") == (RCODE.NOERROR, ["198.51.100.1"])
    assert said("example.com", "AAAA") == (RCODE.NOERROR, ["2001:db8:6464::1"])
    assert said("db.example.com") == (RCODE.NOERROR, ["203.0.113.5", "203.0.113.6"])


def test_what_nobody_named_does_not_exist() -> None:
    for name in ("web.prod", "kubernetes.defualt", "db-1.peers", "foo.bar.baz", "xexample.com"):
        assert said(name) == (RCODE.NXDOMAIN, []), name
    assert said("1.100.51.198.in-addr.arpa", "PTR") == (RCODE.NXDOMAIN, [])


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("8.8.8.8", "dns.google."),
        ("8.8.4.4", "dns.google."),
        ("1.1.1.1", "one.one.one.one."),
        ("1.0.0.1", "one.one.one.one."),
        ("2001:4860:4860::8888", "dns.google."),
        ("2001:4860:4860::8844", "dns.google."),
        ("2606:4700:4700::1111", "one.one.one.one."),
        ("2606:4700:4700::1001", "one.one.one.one."),
    ],
)
def test_servers_that_everybody_knows_have_their_reverse_names(address: str, name: str) -> None:
    pointer = ipaddress.ip_address(address).reverse_pointer
    assert said(pointer, "PTR") == (RCODE.NOERROR, [name])
    assert said(pointer, "A") == (RCODE.NXDOMAIN, [])


def test_a_name_without_such_a_record_exists_and_so_do_those_above_it() -> None:
    assert said("db.example.com", "AAAA") == (RCODE.NOERROR, [])
    assert said("com") == (RCODE.NOERROR, [])
    assert said("example.com", "MX") == (RCODE.NOERROR, [])


def test_negative_answers_are_believed_for_a_moment_only() -> None:
    reply = ask("foo.bar.baz")
    assert reply is not None
    (soa,) = reply.auth
    assert soa.rtype == QTYPE.SOA
    assert max(soa.ttl, soa.rdata.times[-1]) <= 5


def test_others_are_asked_only_for_what_is_not_known() -> None:
    assert ask("foo.bar.baz", is_all=False) is None
    assert ask("example.com", is_all=False) is not None


def test_the_list_is_of_names() -> None:
    listed = internet.well_known()
    assert {"example.com", "www.google.com"} <= {*listed}
    assert all(names.is_dns_subdomain(name) and "." in name for name in listed)
    assert len({*listed}) == len(listed)


@pytest.mark.parametrize(
    ("target", "outside"),
    [
        ("www.google.com", True),
        ("db.corp.internal.", True),
        ("db", False),
        ("10.0.0.7", False),
        ("2001:db8::7", False),
        ("web.prod.svc", False),
        ("web.prod.svc.cluster.local", False),
        ("cluster.local", False),
    ],
)
def test_where_an_external_name_may_lead(target: str, outside: bool) -> None:
    assert internet.is_outside(target, "cluster.local") is outside


def test_what_the_lab_says_goes_before_all_else() -> None:
    given = {"Example.com.": ("203.0.113.9",), "api.example.org": ()}
    found = internet.internet_names(given, ["example.com", "db.corp"])
    assert found["example.com"] == ["203.0.113.9"]
    assert found["api.example.org"] == found["db.corp"] == []
