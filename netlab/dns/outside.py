"""A query about a name of the internet → the reply. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dnslib import AAAA, CLASS, OPCODE, PTR, QTYPE, RCODE, RR, A, DNSRecord

from netlab.dns import answers

_POINTERS = {
    "8.8.8.8.in-addr.arpa": "dns.google",
    "4.4.8.8.in-addr.arpa": "dns.google",
    "1.1.1.1.in-addr.arpa": "one.one.one.one",
    "1.0.0.1.in-addr.arpa": "one.one.one.one",
    f"8.8.8.8.{'0.' * 16}0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa": "dns.google",
    f"4.4.8.8.{'0.' * 16}0.6.8.4.0.6.8.4.1.0.0.2.ip6.arpa": "dns.google",
    f"1.1.1.1.{'0.' * 16}0.0.7.4.0.0.7.4.6.0.6.2.ip6.arpa": "one.one.one.one",
    f"1.0.0.1.{'0.' * 16}0.0.7.4.0.0.7.4.6.0.6.2.ip6.arpa": "one.one.one.one",
}
"""The addresses whose names everybody asks for to see that there are reverse names."""


class Outside:
    """Names and their addresses. Those that have no addresses of their own have the `default` ones.

    `names` may be changed between two queries. They are lower case and carry no final dot.
    """

    def __init__(self, default: Sequence[str]) -> None:
        self._default = tuple(default)
        self.names: dict[str, Sequence[str]] = {}

    def answer(self, query: DNSRecord, *, is_all: bool) -> DNSRecord | None:
        """The reply to a query; None for a name of which nothing is known, unless this `is_all`
        there is to know: then it does not exist."""
        question = query.questions[0]
        if query.header.opcode != OPCODE.QUERY:
            return answers.empty(query, RCODE.NOTIMP)
        if question.qclass != CLASS.IN:
            return answers.empty(query, RCODE.REFUSED)
        name = str(question.qname).rstrip(".").lower()
        if question.qtype == QTYPE.PTR and (target := _POINTERS.get(name)):
            reply = answers.empty(query, RCODE.NOERROR)
            reply.add_answer(answers.rr(name, QTYPE.PTR, PTR(target)))
            return reply
        addresses = self.names.get(name)
        if addresses is None and not is_all:
            return None
        known = addresses is not None or self._is_above_one(name)
        reply = answers.empty(query, RCODE.NOERROR if known else RCODE.NXDOMAIN)
        if addresses is not None:
            reply.add_answer(*self._records(name, addresses or self._default, question.qtype))
        if not reply.rr:
            reply.add_auth(answers.soa(""))
        return reply

    def _is_above_one(self, name: str) -> bool:
        return not name or any(known.endswith(f".{name}") for known in self.names)

    def _records(self, name: str, addresses: Iterable[str], qtype: int) -> list[RR]:
        found = []
        for address in addresses:
            is_v6 = ":" in address
            kind = QTYPE.AAAA if is_v6 else QTYPE.A
            if qtype in (kind, QTYPE.ANY):
                found.append(answers.rr(name, kind, AAAA(address) if is_v6 else A(address)))
        return found
