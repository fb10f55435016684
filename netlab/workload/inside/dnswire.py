"""DNS messages, taken apart and put together (RFC 1035, RFC 6891)."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

A, NS, CNAME, SOA, PTR, MX, TXT, AAAA, SRV, OPT, DS, ANY = (
    1, 2, 5, 6, 12, 15, 16, 28, 33, 41, 43, 255
)  # fmt: skip
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", MX: "MX", TXT: "TXT",
         AAAA: "AAAA", SRV: "SRV", 35: "NAPTR", 64: "SVCB", 65: "HTTPS", ANY: "ANY"}  # fmt: skip
KINDS = {word: number for number, word in TYPES.items()}
RCODES = {NOERROR: "NOERROR", FORMERR: "FORMERR", SERVFAIL: "SERVFAIL", NXDOMAIN: "NXDOMAIN",
          4: "NOTIMP", REFUSED: "REFUSED"}  # fmt: skip

TRUNCATED = 0x0200
_HEADER = struct.Struct("!6H")
_RESPONSE, _AUTHORITATIVE, _RECURSION = 0x8000, 0x0400, 0x0100
_PLAIN = 512
_NAMED = {NS: 0, CNAME: 0, PTR: 0, MX: 2, SRV: 6}
"""Types whose data end with a name, and after how many bytes."""


class Query(NamedTuple):
    """A question, and the message that it came in. `name` is in lower case, with a dot at its end;
    `size` is what the asker takes by UDP, `edns` whether it has said so. It came from a `client`,
    over a `stream` or by UDP."""

    message: bytes
    name: str
    kind: int
    end: int
    size: int
    edns: bool
    client: tuple[str, int] = ("", 0)
    stream: bool = False

    @property
    def id(self) -> int:
        """What the answer is to have, too."""
        return int.from_bytes(self.message[:2], "big")


class Record(NamedTuple):
    """A resource record; the names in its data are written out."""

    name: str
    kind: int
    ttl: int
    data: bytes
    cls: int = 1


class Message(NamedTuple):
    """A message with one question (name, type and class), which is as it was written."""

    id: int
    flags: int
    question: bytes
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    @property
    def code(self) -> int:
        """How it ends."""
        return self.flags & 15

    def sections(self) -> tuple[tuple[Record, ...], ...]:
        """All but the question."""
        return self.answers, self.authority, self.additional


# -- questions ---------------------------------------------------------------------------------


def read(message: bytes, client: tuple[str, int] = ("", 0), *, stream: bool = False) -> Query:
    """A query with one question; `ValueError` for anything else."""
    if len(message) < _HEADER.size:
        raise ValueError("no header")
    _, flags, questions, _, _, additional = _HEADER.unpack_from(message)
    if flags & _RESPONSE or questions != 1:
        raise ValueError("no question")
    name, at = _name(message, _HEADER.size)
    end = at + 4
    if len(message) < end:
        raise ValueError("no question")
    kind = int.from_bytes(message[at : at + 2], "big")
    edns = additional > 0 and message[end : end + 3] == b"\0" + OPT.to_bytes(2, "big")
    size = int.from_bytes(message[end + 3 : end + 5], "big") if edns else _PLAIN
    return Query(message, name.lower(), kind, end, max(size, _PLAIN), edns, client, stream)


def asking(query: Query, name: str, kind: int) -> Query:
    """The same from the same, for another name or type."""
    cls = query.message[query.end - 2 : query.end]
    question = written(name) + kind.to_bytes(2, "big") + cls
    head = query.message[: _HEADER.size]
    return read(head + question + query.message[query.end :], query.client, stream=query.stream)


# -- answers -----------------------------------------------------------------------------------


def answer(
    query: Query,
    code: int,
    records: Iterable[Record] = (),
    authority: Iterable[Record] = (),
    additional: Iterable[Record] = (),
) -> bytes:
    """The answer to a query, however long it is."""
    asked = int.from_bytes(query.message[2:4], "big") & (0x7800 | _RECURSION)
    known = _AUTHORITATIVE if code in (NOERROR, NXDOMAIN) else 0
    question = query.message[_HEADER.size : query.end]
    sections = tuple(records), tuple(authority), tuple(additional)
    return packed(query, Message(query.id, _RESPONSE | asked | code | known, question, *sections))


def by_hearsay(message: bytes) -> bytes:
    """An answer that others know better."""
    return message[:2] + bytes([message[2] & ~(_AUTHORITATIVE >> 8)]) + message[3:]


def packed(query: Query, message: Message) -> bytes:
    """A message as the answer to a query: with its id and its question, and EDNS if it had that."""
    asked = int.from_bytes(query.message[2:4], "big") & _RECURSION
    question = query.message[_HEADER.size : query.end]
    additional = tuple(record for record in message.additional if record.kind != OPT)
    if query.edns:
        additional += (Record(".", OPT, 0, b"", query.size),)
    flags = message.flags & ~_RECURSION | asked
    return pack(
        message._replace(id=query.id, flags=flags, question=question, additional=additional)
    )


def fitting(query: Query, message: bytes) -> bytes:
    """An answer as it goes by UDP: one that is too long says so, and is to be asked for by TCP."""
    if len(message) <= query.size:
        return message
    flags = int.from_bytes(message[2:4], "big") | TRUNCATED
    empty = answer(query._replace(edns=False), NOERROR)
    return empty[:2] + flags.to_bytes(2, "big") + empty[4:]


def code_of(message: bytes) -> str:
    """How an answer ends, in words."""
    number = message[3] & 15
    return RCODES.get(number, f"RCODE{number}")


# -- whole messages ----------------------------------------------------------------------------


def unpack(message: bytes) -> Message:
    """A message taken apart; `ValueError` for what is none, or has not just one question."""
    try:
        number, flags, questions, *counts = _HEADER.unpack_from(message)
        if questions != 1:
            raise ValueError("no question")
        at = _name(message, _HEADER.size)[1] + 4
        question, sections = message[_HEADER.size : at], []
        for count in counts:
            records = []
            for _ in range(count):
                record, at = _record(message, at)
                records.append(record)
            sections.append(tuple(records))
    except (struct.error, IndexError) as error:
        raise ValueError("cut off") from error
    return Message(number, flags, question, *sections)


def pack(message: Message) -> bytes:
    """The inverse of `unpack`; names of records that were written before are pointed to."""
    counts = [len(section) for section in message.sections()]
    parts = bytearray(_HEADER.pack(message.id, message.flags, 1, *counts) + message.question)
    known: dict[str, int] = {}
    _remember(_name(message.question, 0)[0], _HEADER.size, known)
    for record in (record for section in message.sections() for record in section):
        parts += _pointed(record.name, len(parts), known)
        parts += struct.pack("!HHIH", record.kind, record.cls, record.ttl, len(record.data))
        parts += record.data
    return bytes(parts)


def _record(message: bytes, at: int) -> tuple[Record, int]:
    name, at = _name(message, at)
    kind, cls, ttl, size = struct.unpack_from("!HHIH", message, at)
    at += 10
    if at + size > len(message):
        raise ValueError("cut off")
    data = message[at : at + size]
    if kind in _NAMED:
        before = _NAMED[kind]
        data = data[:before] + written(_name(message, at + before)[0])
    elif kind == SOA:
        first, middle = _name(message, at)
        second, end = _name(message, middle)
        data = written(first) + written(second) + message[end : at + size]
    return Record(name, kind, ttl, data, cls), at + size


def _name(message: bytes, at: int) -> tuple[str, int]:
    """A name with its dots, and where what follows it begins."""
    labels, end, jumps = [], 0, 0
    while (length := message[at]) != 0:
        if length >= 0xC0:
            end = end or at + 2
            at, jumps = int.from_bytes(message[at : at + 2], "big") & 0x3FFF, jumps + 1
            if jumps > 32:
                raise ValueError("no name")
            continue
        if length > 63 or at + 1 + length >= len(message):
            raise ValueError("no name")
        labels.append(message[at + 1 : at + 1 + length].decode("latin-1"))
        at += 1 + length
    return ".".join((*labels, "")) or ".", end or at + 1


def written(name: str) -> bytes:
    """A name as it goes in a message; `ValueError` if it is none."""
    labels = [label.encode("latin-1", "replace") for label in name.split(".") if label]
    if any(len(label) > 63 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise ValueError("too long")
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _pointed(name: str, at: int, known: dict[str, int]) -> bytes:
    labels = name.rstrip(".").split(".") if name != "." else []
    for number in range(len(labels)):
        place = known.get(".".join(labels[number:]).lower())
        if place is not None:
            before = b"".join(
                bytes([len(label)]) + label.encode("latin-1") for label in labels[:number]
            )
            _remember(name, at, known)
            return before + (0xC000 | place).to_bytes(2, "big")
    _remember(name, at, known)
    return written(name)


def _remember(name: str, at: int, known: dict[str, int]) -> None:
    labels = name.rstrip(".").split(".") if name != "." else []
    for number, label in enumerate(labels):
        if at < 0x4000:
            known.setdefault(".".join(labels[number:]).lower(), at)
        at += 1 + len(label)


# -- records -----------------------------------------------------------------------------------


def address(name: str, text: str, ttl: int) -> Record:
    """An address of a name; `OSError` if it is none."""
    family, kind = (socket.AF_INET6, AAAA) if ":" in text else (socket.AF_INET, A)
    return Record(name, kind, ttl, socket.inet_pton(family, text))


def pointing(name: str, kind: int, to: str, ttl: int) -> Record:
    """A record whose data are a name: PTR, CNAME, NS."""
    return Record(name, kind, ttl, written(to))


def service(name: str, port: int, target: str, ttl: int, weight: int = 100) -> Record:
    """An SRV record."""
    return Record(name, SRV, ttl, struct.pack("!3H", 0, weight, port) + written(target))


def start_of(zone: str, ttl: int) -> Record:
    """The SOA of a zone, which goes with what is denied."""
    numbers = struct.pack("!5I", 1, 7200, 1800, 86400, ttl)
    dotted = "" if zone == "." else zone
    names = written(f"ns.dns.{dotted}") + written(f"hostmaster.{dotted}")
    return Record(zone, SOA, ttl, names + numbers)


def renamed(record: Record, name: str, target: str | None = None) -> Record:
    """The same of another name; and leading to another, if its data are a name."""
    if target is None:
        return record._replace(name=name)
    return record._replace(name=name, data=record.data[: _NAMED[record.kind]] + written(target))


def target_of(record: Record) -> str | None:
    """The name that a record leads to."""
    if record.kind not in _NAMED:
        return None
    return _name(record.data, _NAMED[record.kind])[0]


def spoken(text: str) -> Record:
    """A record as zone files have it, on one line: `web.test. 60 IN A 10.0.0.1`; `ValueError`."""
    name, *words = text.split()
    ttl = int(words.pop(0)) if words and words[0].isdigit() else 3600
    if words and words[0].upper() == "IN":
        words.pop(0)
    if not words or words[0].upper() not in KINDS:
        raise ValueError(f"no record: {text}")
    kind, data = KINDS[words[0].upper()], words[1:]
    return Record(f"{name.rstrip('.')}.", kind, ttl, _spoken_data(kind, data, text))


def _spoken_data(kind: int, words: Sequence[str], text: str) -> bytes:
    if kind in (A, AAAA) and len(words) == 1:
        found = ipaddress.ip_address(words[0])
        if (found.version == 6) is (kind == AAAA):
            return found.packed
    elif kind in (NS, CNAME, PTR) and len(words) == 1:
        return written(words[0])
    elif kind == MX and len(words) == 2:
        return struct.pack("!H", int(words[0])) + written(words[1])
    elif kind == SRV and len(words) == 4:
        return struct.pack("!3H", *map(int, words[:3])) + written(words[3])
    elif kind == SOA and len(words) == 7:
        numbers = struct.pack("!5I", *map(int, words[2:]))
        return written(words[0]) + written(words[1]) + numbers
    elif kind == TXT and words:
        strings = [part.encode() for part in _quoted(text.split(None, 1)[1].partition("TXT")[2])]
        return b"".join(bytes([len(part)]) + part for part in strings if len(part) < 256)
    raise ValueError(f"no record: {text}")


def _quoted(text: str) -> list[str]:
    import shlex

    return shlex.split(text)
