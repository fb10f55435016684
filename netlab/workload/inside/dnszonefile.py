"""Zone files: what stands in one (RFC 1035, 5), and what is answered from it (RFC 1034, 4.3.2)."""

from __future__ import annotations

import re
import shlex
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from netlab.workload.inside import dnswire
from netlab.workload.inside.dnswire import Record

_TTL = 3600
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_TIME = re.compile(r"(?:\d+[smhdw])+|\d+", re.IGNORECASE | re.ASCII)
_CLASSES = ("IN", "CH", "CS", "HS")
_NAMES = {"NS": (0,), "CNAME": (0,), "PTR": (0,), "MX": (1,), "SRV": (3,), "SOA": (0, 1)}
"""Which words of a record are names, by its type."""
_LEAST = {"MX": 2, "SRV": 4, "SOA": 7}
_TIMES = {"SOA": (3, 4, 5, 6)}
_ALIASES = 8


class NoZone(ValueError):
    """A text that is no zone file."""


# -- reading -----------------------------------------------------------------------------------


class _Entry(NamedTuple):
    line: int
    is_indented: bool
    words: list[str]


def parse(text: str, origin: str) -> list[Record]:
    """The records of a zone file, whose names are below `origin` unless it says otherwise."""
    found, owner, ttl, default = list[Record](), origin, _TTL, 0
    for entry in _entries(text):
        try:
            match entry.words:
                case ["$ORIGIN", name]:
                    origin = _whole(name, origin)
                    continue
                case ["$TTL", word]:
                    default = seconds(word)
                    continue
                case [word, *_] if word.startswith("$"):
                    raise NoZone(f"{word} is not read here")
            words = list(entry.words)
            if not entry.is_indented:
                owner = _whole(words.pop(0), origin)
            given, kind, data = _head(words)
            ttl = given if given is not None else default or ttl
            found.append(_record(owner, ttl, kind, data, origin))
        except (ValueError, struct.error) as error:
            raise NoZone(f"dns: {error} at line: {entry.line}") from None
    return found


def seconds(word: str) -> int:
    """`3600`, `1h`, `1d12h`; `ValueError`."""
    if _TIME.fullmatch(word) is None:
        raise ValueError(f'bad TTL: "{word}"')
    if word.isdigit():
        return int(word)
    return sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([smhdw])", word.lower()))


def _entries(text: str) -> Iterator[_Entry]:
    """The entries: what stands in parentheses goes on over lines; `;` begins a comment."""
    first, depth, indented, words = 0, 0, False, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if not depth:
            first, indented, words = number, line[:1] in (" ", "\t"), []
        for token in re.findall(r'"(?:[^"\\]|\\.)*"|;.*|[()]|[^\s();"]+|"', line):
            if token.startswith(";"):
                break
            if token == '"':
                raise NoZone(f"dns: a quote is not closed at line: {number}")
            depth += {"(": 1, ")": -1}.get(token, 0)
            if token not in ("(", ")"):
                words.append(token)
        if not depth and words:
            yield _Entry(first, indented, words)
    if depth:
        raise NoZone(f"dns: unbalanced brace at line: {first}")


def _head(words: list[str]) -> tuple[int | None, str, Sequence[str]]:
    """TTL and class may stand in either order, or not at all."""
    ttl: int | None = None
    while words:
        word = words.pop(0)
        if word.upper() in dnswire.KINDS:
            return ttl, word.upper(), words
        if word.upper() in _CLASSES:
            continue
        if ttl is not None or _TIME.fullmatch(word) is None:
            raise ValueError(f'unknown RR type: "{word}"')
        ttl = seconds(word)
    raise ValueError("no type")


def _record(owner: str, ttl: int, kind: str, data: Sequence[str], origin: str) -> Record:
    words = list(data)
    if len(words) < _LEAST.get(kind, 1):
        raise ValueError(f"no record: {owner} {kind} {' '.join(words)}")
    for at in _NAMES.get(kind, ()):
        words[at] = _whole(words[at], origin)
    for at in _TIMES.get(kind, ()):
        words[at] = str(seconds(words[at]))
    if kind == "TXT":
        words = [shlex.quote(shlex.split(word)[0]) for word in words]
    return dnswire.spoken(f"{owner} {ttl} IN {kind} {' '.join(words)}")


def _whole(name: str, origin: str) -> str:
    if name == "@":
        return origin
    whole = name if name.endswith(".") else f"{name}.{origin if origin != '.' else ''}"
    return whole.lower()


# -- answering ---------------------------------------------------------------------------------


class Found(NamedTuple):
    """What a zone says: a code, the sections, and where an alias leads that it does not know."""

    code: int = dnswire.NOERROR
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()
    outside: str = ""


class ZoneFile:
    """The records below one name; `NoZone` if they do not begin with its SOA."""

    def __init__(self, text: str, origin: str, called: str) -> None:
        self.origin = origin
        self._sets: dict[str, dict[int, list[Record]]] = defaultdict(dict)
        for record in parse(text, origin):
            if record.name == origin or record.name.endswith(f".{origin}") or origin == ".":
                self._sets[record.name].setdefault(record.kind, []).append(record)
        if dnswire.SOA not in self._sets.get(origin, {}):
            raise NoZone(f'file "{called}" has no SOA record for origin {origin}')
        self._start = self._sets[origin][dnswire.SOA][0]
        self._names = {above for name in self._sets for above in self._line(name)}

    @property
    def serial(self) -> bytes:
        """Which state of the zone this is."""
        return self._start.data[-20:-16]

    def find(self, name: str, kind: int, depth: int = 0) -> Found:
        """What is known of a name of the zone."""
        if (referral := self._referral(name, kind)) is not None:
            return referral
        sets = self._sets_of(name)
        if sets is None:
            code = dnswire.NOERROR if name in self._names else dnswire.NXDOMAIN
            return Found(code, authority=(self._start,))
        alias = sets.get(dnswire.CNAME)
        if alias and kind not in (dnswire.CNAME, dnswire.ANY):
            return self._followed(alias[0]._replace(name=name), kind, depth)
        found = [each for of in sets for each in sets[of] if kind in (of, dnswire.ANY)]
        if not found:
            return Found(authority=(self._start,))
        answers = tuple(record._replace(name=name) for record in found)
        servers = () if kind == dnswire.NS else self._sets[self.origin].get(dnswire.NS, ())
        return Found(dnswire.NOERROR, answers, tuple(servers), tuple(self._addresses(answers)))

    def _followed(self, alias: Record, kind: int, depth: int) -> Found:
        target = (dnswire.target_of(alias) or "").lower()
        if target != self.origin and not f".{target}".endswith(f".{self.origin}"):
            return Found(answers=(alias,), outside=target)
        if depth == _ALIASES:
            return Found(dnswire.SERVFAIL)
        rest = self.find(target, kind, depth + 1)
        return rest._replace(answers=(alias, *rest.answers))

    def _referral(self, name: str, kind: int) -> Found | None:
        """To the servers of a part that others have."""
        for above in reversed(list(self._line(name))):
            servers = self._sets.get(above, {}).get(dnswire.NS)
            if servers and above != self.origin:
                if above == name and kind == dnswire.DS:
                    return None
                glue = tuple(self._addresses(servers))
                return Found(dnswire.NOERROR, (), tuple(servers), glue)
        return None

    def _sets_of(self, name: str) -> dict[int, list[Record]] | None:
        """Its own, or those of the nearest `*`, which stands for what does not exist."""
        if name in self._sets:
            return self._sets[name]
        for above in list(self._line(name))[1:]:
            if (found := self._sets.get(f"*.{above}")) is not None:
                return None if name in self._names else found
            if above in self._names:
                return None
        return None

    def _addresses(self, records: Iterable[Record]) -> Iterator[Record]:
        """Those of what records lead to, which save a second question."""
        for record in records:
            if record.kind in (dnswire.SRV, dnswire.MX, dnswire.NS):
                sets = self._sets.get((dnswire.target_of(record) or "").lower(), {})
                yield from (*sets.get(dnswire.A, ()), *sets.get(dnswire.AAAA, ()))

    def _line(self, name: str) -> Iterator[str]:
        """The name and those above it, as far up as the zone's own."""
        labels = name.rstrip(".").split(".")
        count = len([label for label in self.origin.split(".") if label])
        for at in range(len(labels) - count + 1):
            yield ".".join((*labels[at:], "")) or "."
