from __future__ import annotations

from dnslib import EDNS0, QTYPE, RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from netlab.dns import answers
from netlab.dns.records import HostRecord, ServiceRecords, Srv
from netlab.dns.zone import Zone

WEB = "web.default.svc.cluster.local"


def zone() -> Zone:
    it = Zone("cluster.local")
    srv = {f"_http._tcp.{WEB}": (Srv(WEB, 80, 100),)}
    it.replace("default/web", ServiceRecords((HostRecord("10.96.0.7", (WEB,)),), srv))
    aliases = {f"{name}.default.svc.cluster.local": target for name, target in ALIASES.items()}
    it.replace("default/aliases", ServiceRecords(aliases=aliases))
    return it


ALIASES = {
    "inside": WEB,
    "outside": "db.example.com",
    "chain": "inside.default.svc.cluster.local",
    "loop": "loop.default.svc.cluster.local",
    "dangling": "gone.default.svc.cluster.local",
}


def ask(name: str, qtype: str = "A") -> answers.Reply:
    return answers.answer(DNSRecord.question(name, qtype), zone())


def data(reply: answers.Reply) -> list[str]:
    return [str(record.rdata) for record in reply.record.rr]


def test_srv_brings_the_targets_address() -> None:
    reply = ask(f"_HTTP._tcp.{WEB}", "SRV")
    assert data(reply) == [f"0 100 80 {WEB}."]
    assert [str(record.rdata) for record in reply.record.ar] == ["10.96.0.7"]


def test_nodata_and_nxdomain_carry_a_soa() -> None:
    for name, qtype, rcode in (
        (WEB, "AAAA", RCODE.NOERROR),
        ("svc.cluster.local", "A", RCODE.NOERROR),
        (f"nope.{WEB}", "A", RCODE.NXDOMAIN),
        (f"_x._tcp.{WEB}", "SRV", RCODE.NXDOMAIN),
    ):
        reply = ask(name, qtype).record
        assert (reply.header.rcode, reply.rr) == (rcode, []), name
        assert [record.rtype for record in reply.auth] == [QTYPE.SOA]


def test_aliases_are_followed_inside_and_left_to_upstream_outside() -> None:
    assert data(ask("inside.default.svc.cluster.local")) == [f"{WEB}.", "10.96.0.7"]
    assert data(ask("chain.default.svc.cluster.local"))[-1] == "10.96.0.7"
    outside = ask("outside.default.svc.cluster.local")
    assert (outside.outside, data(outside)) == ("db.example.com", ["db.example.com."])
    assert ask("outside.default.svc.cluster.local", "CNAME").outside is None
    assert ask("loop.default.svc.cluster.local").record.header.rcode == RCODE.SERVFAIL
    assert ask("dangling.default.svc.cluster.local").record.header.rcode == RCODE.NXDOMAIN


def test_a_silent_upstream_is_servfail() -> None:
    record = answers.with_outside(ask("outside.default.svc.cluster.local"), None)
    assert record.header.rcode == RCODE.SERVFAIL


def test_pod_names_say_their_address() -> None:
    assert data(ask("10-244-1-5.default.pod.cluster.local")) == ["10.244.1.5"]
    assert data(ask("fd00--5.default.pod.cluster.local", "AAAA")) == ["fd00::5"]
    assert ask("web.default.pod.cluster.local").record.header.rcode == RCODE.NXDOMAIN


def test_foreign_names_are_refused() -> None:
    assert ask("example.com").record.header.rcode == RCODE.REFUSED


def test_truncation_follows_what_the_client_offers() -> None:
    it = Zone("cluster.local")
    hosts = tuple(HostRecord(f"10.244.1.{i}", (WEB,)) for i in range(1, 60))
    it.replace("default/web", ServiceRecords(hosts))

    def size(udp: bool, offer: int) -> tuple[int, int]:
        query = DNSRecord.question(WEB)
        if offer:
            query.add_ar(EDNS0(udp_len=offer))
        reply = answers.answer(query, it).record
        parsed = DNSRecord.parse(answers.encode(query, reply, udp=udp))
        return parsed.header.tc, len(parsed.rr)

    assert size(udp=True, offer=0) == (1, 0)
    assert size(udp=True, offer=1232) == (0, 59)
    assert size(udp=False, offer=0) == (0, 59)


def test_responses_and_noise_are_no_queries() -> None:
    response = DNSRecord.question(WEB).reply().pack()
    assert answers.parse(response) is None
    assert answers.parse(b"") is None
    assert answers.parse(b"\xff" * 40) is None


@given(st.binary(max_size=80))
def test_no_packet_raises(tail: bytes) -> None:
    it = zone()
    for packet in (tail, b"\0\1\1\0\0\1\0\0\0\0\0\0" + tail):
        query = answers.parse(packet)
        if query is not None:
            reply = answers.answer(query, it)
            assert answers.encode(query, reply.record, udp=True)
