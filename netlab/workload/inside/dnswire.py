"""DNS messages, as far as a server of hosts' names needs them (RFC 1035, RFC 6891)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

A, PTR, TXT, AAAA, OPT = 1, 12, 16, 28, 41
NOERROR, FORMERR, SERVFAIL, REFUSED = 0, 1, 2, 5
TYPES = {A: "A", 2: "NS", 5: "CNAME", 6: "SOA", PTR: "PTR", 15: "MX", TXT: "TXT", AAAA: "AAAA",
         33: "SRV", 255: "ANY"}  # fmt: skip
RCODES = {NOERROR: "NOERROR", FORMERR: "FORMERR", SERVFAIL: "SERVFAIL", 3: "NXDOMAIN",
          4: "NOTIMP", REFUSED: "REFUSED"}  # fmt: skip

_HEADER = struct.Struct("!6H")
_RESPONSE, _AUTHORITATIVE, _TRUNCATED, _RECURSION = 0x8000, 0x0400, 0x0200, 0x0100
_PLAIN = 512
_POINTER_TO_QUESTION = b"\xc0\x0c"


class Query(NamedTuple):
    """A question, and the message that it came in. `name` is in lower case, with a dot at its end;
    `size` is what the asker takes by UDP, `edns` whether it has said so."""

    message: bytes
    name: str
    kind: int
    end: int
    size: int
    edns: bool

    @property
    def id(self) -> int:
        """What the answer is to have, too."""
        return int.from_bytes(self.message[:2], "big")


class Record(NamedTuple):
    """An answer to the question: its type and data, as they are sent."""

    kind: int
    data: bytes


def read(message: bytes) -> Query:
    """A query with one question; `ValueError` for anything else."""
    if len(message) < _HEADER.size:
        raise ValueError("no header")
    _, flags, questions, _, _, additional = _HEADER.unpack_from(message)
    if flags & _RESPONSE or questions != 1:
        raise ValueError("no question")
    labels, at = [], _HEADER.size
    while (length := message[at : at + 1]) not in (b"", b"\0"):
        if length[0] > 63:
            raise ValueError("no name")
        labels.append(message[at + 1 : at + 1 + length[0]].decode("ascii", "replace").lower())
        at += 1 + length[0]
    end = at + 5
    if len(message) < end:
        raise ValueError("no question")
    kind = int.from_bytes(message[at + 1 : at + 3], "big")
    edns = additional > 0 and message[end : end + 3] == b"\0" + OPT.to_bytes(2, "big")
    size = int.from_bytes(message[end + 3 : end + 5], "big") if edns else _PLAIN
    return Query(message, ".".join((*labels, "")) or ".", kind, end, max(size, _PLAIN), edns)


def answer(query: Query, code: int, records: Sequence[Record] = (), ttl: int = 0) -> bytes:
    """The answer to a query, however long it is."""
    asked = int.from_bytes(query.message[2:4], "big") & (0x7800 | _RECURSION)
    flags = _RESPONSE | asked | code | (_AUTHORITATIVE if code == NOERROR else 0)
    head = _HEADER.pack(query.id, flags, 1, len(records), 0, int(query.edns))
    body = b"".join(
        _POINTER_TO_QUESTION
        + struct.pack("!HHIH", record.kind, 1, ttl, len(record.data))
        + record.data
        for record in records
    )
    option = b"\0" + struct.pack("!HHIH", OPT, query.size, 0, 0) if query.edns else b""
    return head + query.message[_HEADER.size : query.end] + body + option


def fitting(query: Query, message: bytes) -> bytes:
    """An answer as it goes by UDP: one that is too long says so, and is to be asked for by TCP."""
    if len(message) <= query.size:
        return message
    flags = int.from_bytes(message[2:4], "big") | _TRUNCATED
    empty = answer(query._replace(edns=False), NOERROR)
    return empty[:2] + flags.to_bytes(2, "big") + empty[4:]


def code_of(message: bytes) -> str:
    """How an answer ends, in words."""
    number = message[3] & 15
    return RCODES.get(number, f"RCODE{number}")


def address(text: str) -> Record:
    """An address as an answer; `OSError` if it is none."""
    family, kind = (socket.AF_INET6, AAAA) if ":" in text else (socket.AF_INET, A)
    return Record(kind, socket.inet_pton(family, text))


def pointer(name: str) -> Record:
    """A name as the answer to who has an address."""
    labels = [label.encode() for label in name.rstrip(".").split(".")]
    return Record(PTR, b"".join(bytes([len(label)]) + label for label in labels) + b"\0")
