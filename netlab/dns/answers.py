"""A DNS query and the zone → the reply, as pure values.

Below the cluster domain the reply is authoritative, with a SOA where there is nothing to say:
NODATA for a name that exists without such a record, NXDOMAIN for one that does not.
"""

from __future__ import annotations

from dnslib import (
    AAAA,
    CLASS,
    CNAME,
    EDNS0,
    OPCODE,
    PTR,
    QTYPE,
    RCODE,
    RR,
    SOA,
    SRV,
    TXT,
    A,
    DNSError,
    DNSHeader,
    DNSRecord,
)
from msgspec import Struct
from msgspec.structs import replace

from netlab.dns.zone import Zone

TTL = 5
"""Of the internet's names."""

_OWN_TTL = 0
"""Of the cluster's: how long they last is said in front of the dnsmasqs, which keep none."""

# The size that survives every link without fragments (DNS flag day 2020).
UDP_SIZE = 1232
_CLASSIC_UDP_SIZE = 512
TRUNCATED = 0x02
"""The bit of a reply's third byte that says there is more than UDP can carry."""

_HEADER = 12

# A chain of aliases longer than this is a loop.
_ALIASES = 8


class Reply(Struct, frozen=True):
    """The reply to a query; `outside` names a CNAME target whose records are still missing."""

    record: DNSRecord
    outside: str | None = None


class _Found(Struct, frozen=True):
    answers: tuple[RR, ...] = ()
    additional: tuple[RR, ...] = ()
    rcode: int = RCODE.NOERROR
    outside: str | None = None


def parse(packet: bytes) -> DNSRecord | None:
    """The query in a packet, or None when there is none to answer: noise, or a response."""
    try:
        query = DNSRecord.parse(packet)
    except (DNSError, ValueError, IndexError, KeyError, TypeError, RecursionError):
        return None
    return query if query.header.qr == 0 and len(query.questions) == 1 else None


def answer(query: DNSRecord, zone: Zone) -> Reply:
    """The reply to one query, apart from records of names outside the cluster."""
    if query.header.opcode != OPCODE.QUERY:
        return Reply(empty(query, RCODE.NOTIMP))
    question = query.questions[0]
    name = str(question.qname).rstrip(".").lower()
    if question.qclass != CLASS.IN:
        return Reply(empty(query, RCODE.REFUSED))
    if not zone.contains(name) and not name.endswith((".in-addr.arpa", ".ip6.arpa")):
        return Reply(empty(query, RCODE.REFUSED))
    found = _find(zone, name, question.qtype)
    reply = empty(query, found.rcode)
    reply.add_answer(*found.answers)
    reply.add_ar(*found.additional)
    if not found.answers and found.rcode in (RCODE.NOERROR, RCODE.NXDOMAIN):
        reply.add_auth(soa(zone.domain, _OWN_TTL, zone.ttl))
    return Reply(reply, found.outside)


def parse_reply(packet: bytes) -> DNSRecord | None:
    """A packet as a reply; None when it is not one that can be read."""
    try:
        return DNSRecord.parse(packet)
    except Exception:  # dnslib raises many kinds on malformed packets
        return None


def is_reply_to(query: bytes, reply: bytes) -> bool:
    """Whether a packet is a reply to the question of a query, as far as its bytes tell."""
    end = _HEADER
    while end < len(query) and query[end]:
        end += 1 + query[end]
    question = query[_HEADER : end + 5]
    is_reply = len(reply) > _HEADER and bool(reply[2] & 0x80)
    return is_reply and reply[_HEADER : end + 5].lower() == question.lower()


def failure(query: DNSRecord) -> DNSRecord:
    """The reply when those who should know do not answer."""
    return empty(query, RCODE.SERVFAIL)


def with_outside(reply: Reply, outside: DNSRecord | None) -> DNSRecord:
    """The reply completed with what upstream said of the CNAME's target; None: it said nothing."""
    record = reply.record
    if outside is None:
        record.header.rcode = RCODE.SERVFAIL
    else:
        record.add_answer(*outside.rr)
        record.header.rcode = outside.header.rcode
    return record


def encode(query: DNSRecord, reply: DNSRecord, *, udp: bool) -> bytes:
    """The reply on the wire: with EDNS if the query had it, truncated if UDP cannot carry it."""
    offered = [record for record in query.ar if record.rtype == QTYPE.OPT]
    size = _CLASSIC_UDP_SIZE
    if offered:
        reply.add_ar(EDNS0(udp_len=UDP_SIZE))
        size = max(size, min(int(offered[0].rclass), UDP_SIZE))
    packet = bytes(reply.pack())
    if not udp or len(packet) <= size:
        return packet
    short = empty(query, reply.header.rcode)
    short.header.tc = 1
    if offered:
        short.add_ar(EDNS0(udp_len=UDP_SIZE))
    return bytes(short.pack())


def empty(query: DNSRecord, rcode: int) -> DNSRecord:
    """A reply that says nothing yet."""
    header = DNSHeader(
        id=query.header.id, qr=1, aa=1, ra=1, rd=query.header.rd, opcode=query.header.opcode
    )
    header.rcode = rcode
    return DNSRecord(header, questions=list(query.questions))


def _find(zone: Zone, name: str, qtype: int, depth: int = 0) -> _Found:
    target = zone.alias(name)
    if target is not None:
        return _follow(zone, name, target, qtype, depth)
    answers = _records(zone, name, qtype)
    if answers:
        return _Found(answers, _targets_addresses(zone, answers))
    exists = zone.exists(name) or bool(zone.pointers(name))
    return _Found(rcode=RCODE.NOERROR if exists else RCODE.NXDOMAIN)


def _follow(zone: Zone, name: str, target: str, qtype: int, depth: int) -> _Found:
    """A CNAME and, unless it alone was asked for, what its target has."""
    alias = (_own(name, QTYPE.CNAME, CNAME(target)),)
    if qtype in (QTYPE.CNAME, QTYPE.ANY):
        return _Found(alias)
    if not zone.contains(target):
        return _Found(alias, outside=target)
    if depth == _ALIASES:
        return _Found(rcode=RCODE.SERVFAIL)
    rest = _find(zone, target, qtype, depth + 1)
    return replace(rest, answers=alias + rest.answers)


def _records(zone: Zone, name: str, qtype: int) -> tuple[RR, ...]:
    every = qtype == QTYPE.ANY
    found: list[RR] = []
    if every or qtype == QTYPE.A:
        found += [_own(name, QTYPE.A, A(address)) for address in zone.addresses(name, 4)]
    if every or qtype == QTYPE.AAAA:
        found += [_own(name, QTYPE.AAAA, AAAA(address)) for address in zone.addresses(name, 6)]
    if every or qtype == QTYPE.SRV:
        found += [
            _own(name, QTYPE.SRV, SRV(0, srv.weight, srv.port, srv.target))
            for srv in zone.srv(name)
        ]
    if every or qtype == QTYPE.PTR:
        found += [_own(name, QTYPE.PTR, PTR(pointer)) for pointer in zone.pointers(name)]
    if name == zone.domain and (every or qtype == QTYPE.SOA):
        found.append(soa(zone.domain, _OWN_TTL, zone.ttl))
    if name == f"dns-version.{zone.domain}" and (every or qtype == QTYPE.TXT):
        found.append(_own(name, QTYPE.TXT, TXT("1.1.0")))
    return tuple(found)


def _targets_addresses(zone: Zone, answers: tuple[RR, ...]) -> tuple[RR, ...]:
    """The addresses of SRV targets, which save the client a second query."""
    targets = dict.fromkeys(
        str(each.rdata.target).rstrip(".") for each in answers if each.rtype == QTYPE.SRV
    )
    return tuple(
        record
        for target in targets
        for qtype in (QTYPE.A, QTYPE.AAAA)
        for record in _records(zone, target, qtype)
    )


def rr(name: str, rtype: int, data: object, ttl: int = TTL) -> RR:
    """A record."""
    return RR(name, rtype, ttl=ttl, rdata=data)


def _own(name: str, rtype: int, data: object) -> RR:
    return rr(name, rtype, data, _OWN_TTL)


def soa(domain: str, ttl: int = TTL, denial: int = TTL) -> RR:
    """What goes with a negative answer: for how long that may be believed, its `denial`."""
    # The serial stands still: nobody transfers this zone, and a change is seen at once.
    times = (1, 7200, 1800, 86400, denial)
    return rr(domain, QTYPE.SOA, SOA(f"ns.dns.{domain}", f"hostmaster.{domain}", times), ttl)
