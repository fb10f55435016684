"""The parts of one nftables rule, as `nft list` shows it: what it asks and does, left to right.

    ip daddr . meta l4proto . th dport vmap @service-ips       VerdictMap
    meta mark & 0x4000 != 0x0  meta mark set meta mark ^ 0x4000  masquerade fully-random
    Match                      SetMark                           Nat

What is not known here is `Unknown`, as far as the next verdict.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from msgspec import Struct, field

from netlab.simulation.iptables import WITHOUT_EFFECT
from netlab.simulation.translation import Translation

_TOKEN = re.compile(r'"[^"]*"|[{},]|[^\s{},"]+')

_FIELD = re.compile(
    r"(ip saddr|ip daddr|ip protocol|ip6 saddr|ip6 daddr|ip6 nexthdr"
    r"|(?:meta )?(?:l4proto|mark|iifname|oifname|iif|oif|nfproto)"
    r"|(?:th|tcp|udp|sctp|dccp|udplite) (?:sport|dport)"
    r"|ct state|ct status|ct mark|fib (?:saddr|daddr) type|icmp (?:type|code)|icmpv6 (?:type|code)"
    r"|numgen (?:random|inc) mod \d+)$"
)
_LONGEST_FIELD = 4


class Selector(Struct, frozen=True):
    """What of a packet is looked at: `ip daddr`, `th dport`, …, concatenated; of a number the bits
    of `mask` alone."""

    fields: tuple[str, ...]
    mask: int | None = None

    def __str__(self) -> str:
        mask = f" & {self.mask:#x}" if self.mask is not None else ""
        return " . ".join(self.fields) + mask

    @property
    def draw(self) -> int:
        """How many numbers chance chooses from; 0 when it has no part in it."""
        return int(self.fields[0].rpartition(" ")[2]) if "numgen" in self.fields[0] else 0


class Elements(Struct, frozen=True):
    """A set or a map: one of the table's by its `name`, or that written in the rule. A value
    alone, `tcp`, is a set of one."""

    name: str = ""
    own: Mapping[str, str] = field(default_factory=dict)


class Match(Struct, frozen=True):
    """Goes on if what is selected is (or `negated`, is not) an element."""

    text: str
    selector: Selector
    elements: Elements
    negated: bool = False


class Chance(Struct, frozen=True):
    """`meta random & 2147483647 < 715827883`, as iptables' statistic reads in nft's words: goes on
    so `likely`. A single packet is never `limit rate over` a rate, and has no routing header."""

    text: str
    likely: float


class VerdictMap(Struct, frozen=True):
    """What is selected has a verdict, or the rule does not match."""

    text: str
    selector: Selector
    elements: Elements


class SetMark(Struct, frozen=True):
    """`meta mark set`: each operation, `=`, `|`, `&` or `^`, on the mark with a number."""

    text: str
    operations: tuple[tuple[str, int], ...]


class ConnMark(Struct, frozen=True):
    """`ct mark set`, `meta mark set ct mark`: of the packet's mark and its connection's one
    `becomes` another: `mark` is `(mark & ~cleared) ^ (connmark & taken)`, `connmark` the other way
    round, or (`set`) `(connmark & ~cleared) ^ taken`."""

    text: str
    becomes: Literal["mark", "connmark", "set"]
    cleared: int
    taken: int


class Nat(Struct, frozen=True):
    """`dnat`, `snat`, `masquerade`, `redirect`: `to` an address and port (`10.0.0.1:80`,
    `10.0.0.1 . 80`, `:80`, ""), or what a map has for what is selected."""

    text: str
    kind: Translation
    to: str = ""
    selector: Selector | None = None
    elements: Elements = Elements()


class Remember(Struct, frozen=True):
    """`update @affinity-… { ip saddr }`: adds what is selected to a set."""

    text: str
    name: str


class NoTrack(Struct, frozen=True):
    """`notrack`."""

    text: str


class Verdict(Struct, frozen=True):
    """`accept`, `drop`, `reject`, `return`, `continue`; `jump`, `goto` with where `to`."""

    text: str
    verdict: str
    to: str = ""


class Idle(Struct, frozen=True):
    """What changes nothing of where a packet goes: `counter`, `log`, `comment "…"`."""

    text: str


class Unknown(Struct, frozen=True):
    """What of a rule nobody understands, as far as the next verdict."""

    text: str


Phrase = (
    Match | Chance | VerdictMap | SetMark | ConnMark | Nat | Remember | NoTrack | Verdict | Idle
    | Unknown
)  # fmt: skip


EFFECTS = (Verdict, VerdictMap, Nat, SetMark, ConnMark, NoTrack)
"""The phrases that do something to a packet."""

_ACTING = frozenset(
    {
        "accept", "drop", "reject", "queue", "jump", "goto", "return", "continue", "dnat", "snat",
        "masquerade", "redirect", "tproxy", "vmap", "map", "dup", "fwd", "synproxy", "notrack",
        "target", "set",
    }
)  # fmt: skip


def is_idle(text: str) -> bool:
    """Whether words that nobody understands do nothing to a packet, whatever they ask."""
    return text.startswith("xt match ") or _ACTING.isdisjoint(text.split())


@lru_cache(maxsize=100_000)
def parse_rule(text: str) -> tuple[Phrase, ...]:
    """A rule's phrases in their order."""
    return tuple(_Parser(_TOKEN.findall(text)).phrases())


def verdict_of(text: str) -> Verdict:
    """Of a map's element: `goto x`, `drop`; `Verdict` "" for what is none."""
    word, _, to = text.partition(" ")
    known = word in (_GOING if to else _FINAL)
    return Verdict(text, word if known else "", to)


_GOING = ("jump", "goto")
_FINAL = ("accept", "drop", "return", "continue")
_ALWAYS_MET = ("comment", "nfacct")
"""Matches of iptables' that let every packet through, whatever they are told."""

_ROUTING_HEADER = ("nexthdr", "hdrlength", "type", "seg-left")
_FLAGS = ("random", "fully-random", "persistent")
_LOG_OPTIONS = ("prefix", "level", "group", "snaplen", "queue-threshold", "flags")


_SETTING = (
    ("meta", "priority"), ("ip", "dscp"), ("ip6", "dscp"), ("ip", "ttl"), ("ip6", "hoplimit"),
    ("ip", "ecn"), ("ip6", "ecn"), ("ct", "helper"), ("ct", "label"), ("ct", "event"),
)  # fmt: skip
"""What may be set, to one word, and decides nothing of where a packet goes."""

_FLAGS_OF_TCP = frozenset({"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"})
_ALL = (1 << 32) - 1


class _Odd(Exception):
    """Here the grammar known to us ends."""


class _Parser:
    """Reads tokens from the left; every method takes what it understands."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def phrases(self) -> Iterator[Phrase]:
        while self._at < len(self._tokens):
            begin = self._at
            try:
                phrase = self._phrase(begin)
            except (_Odd, ValueError):
                self._at = self._resumed(begin)
                phrase = Unknown(self._since(begin))
            yield phrase

    def _resumed(self, begin: int) -> int:
        """Where a verdict stands, or a statement that begins with its own word, behind what nobody
        understands; the end if there is none."""
        if self._tokens[begin] == "xt" and begin + 3 <= len(self._tokens):
            return begin + 3  # a match or target of iptables', of which nft tells the name alone
        depth = 0
        for at in range(begin, len(self._tokens)):
            word = self._tokens[at]
            depth += (word == "{") - (word == "}")
            if at > begin and not depth and word in _RESUMING and not self._is_value(at):
                return at
        return len(self._tokens)

    def _is_value(self, at: int) -> bool:
        """Whether a word belongs to the one before: a chain may be called `drop`."""
        return self._tokens[at - 1] in (*_GOING, "==", "!=", "set", "and", "or", "map", "vmap")

    # Tokens

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _take(self) -> str:
        if not self._peek():
            raise _Odd
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, *words: str) -> bool:
        """Take these words, if they are next."""
        found = all(self._peek(at) == word for at, word in enumerate(words))
        self._at += len(words) * found
        return found

    def _since(self, begin: int) -> str:
        return " ".join(self._tokens[begin : self._at]).replace(" ,", ",")

    # Statements

    def _phrase(self, begin: int) -> Phrase:
        if self._idle():
            return Idle(self._since(begin))
        if self._skip("xt"):
            return self._of_iptables(begin)
        if self._skip("limit", "rate"):
            return self._limit(begin)
        if self._peek() == "rt" and self._peek(1) in _ROUTING_HEADER:
            return self._routed(begin)
        likely = self._likely()
        if likely is not None:
            return Chance(self._since(begin), likely)
        if self._skip("meta", "mark", "set", "ct", "mark"):
            taken, _ = self._of_mark()
            return ConnMark(self._since(begin), "mark", _ALL, taken)
        if self._skip("ct", "mark", "set"):
            return self._set_connmark(begin)
        if self._skip("tcp", "flags"):
            return self._tcp_flags(begin)
        if self._skip("meter"):
            return self._metered(begin)
        if self._skip("meta", "mark", "set"):
            operations = tuple(self._mark())
            return SetMark(self._since(begin), operations)
        selector = self._selector()
        if selector is not None:
            return self._asked(begin, selector)
        word = self._take()
        if word in ("update", "add") and self._peek().startswith("@"):
            return self._added(begin, self._take()[1:])
        if word in ("dnat", "snat", "masquerade", "redirect"):
            return self._nat(begin, word)  # type: ignore[arg-type]
        if word == "notrack":
            return NoTrack(word)
        return self._verdict(begin, word)

    def _idle(self) -> bool:
        if self._skip("comment"):
            self._take()
        elif self._skip("counter"):
            if self._skip("name"):
                self._take()
            elif self._skip("packets"):
                self._take()
                self._skip("bytes")
                self._take()
        elif self._skip("log"):
            while self._peek() in _LOG_OPTIONS:
                self._take()
                self._take()
        elif self._skip("tcp", "option", "maxseg", "size", "set"):
            self._skip("rt")
            self._take()
        elif self._skip("flow", "add") or self._skip("flow", "offload"):
            self._take()  # the packets of a connection that is let through, faster
        elif (self._peek(), self._peek(1)) in _SETTING and self._peek(2) == "set":
            self._at += 3
            self._take()
        elif not self._skip("meta", "nftrace", "set", "1"):
            return False
        return True

    def _added(self, begin: int, name: str) -> Phrase:
        """To a set, with what else its packets have to be: a rate, which a single one keeps."""
        words = self._inside_braces()
        text = self._since(begin)
        if "count" in words:  # of connections, which nobody knows
            raise _Odd
        return Chance(text, 0.0) if "over" in words else Remember(text, name)

    def _metered(self, begin: int) -> Phrase:
        """`meter ssh size 65535 { ip saddr limit rate over 10/minute }`."""
        name = self._take()
        if self._skip("size"):
            self._take()
        return self._added(begin, name)

    def _inside_braces(self) -> list[str]:
        words = list[str]()
        if self._take() != "{":
            raise _Odd
        while (word := self._take()) != "}":
            words.append(word)
        return words

    def _set_connmark(self, begin: int) -> ConnMark:
        if self._skip("meta", "mark") or self._skip("mark"):
            taken, _ = self._of_mark()
            return ConnMark(self._since(begin), "connmark", _ALL, taken)
        if not self._skip("ct", "mark"):
            number = int(self._take(), 0)
            return ConnMark(self._since(begin), "set", _ALL, number)
        keep, flip = self._of_mark(flips=True)
        return ConnMark(self._since(begin), "set", ~keep & _ALL, flip)

    def _of_mark(self, *, flips: bool = False) -> tuple[int, int]:
        """Which bits are kept, and which turned over or set, behind a mark."""
        keep, flip = _ALL, 0
        while self._peek() in _OPERATORS:
            operation, number = _OPERATORS[self._take()], int(self._take(), 0)
            if operation == "&":
                keep, flip = keep & number, flip & number
            elif not flips:
                raise _Odd
            elif operation == "|":
                keep, flip = keep & ~number, (flip & ~number) ^ number
            else:
                flip ^= number
        if self._peek() in ("<<", ">>"):
            raise _Odd
        return keep, flip

    def _tcp_flags(self, begin: int) -> Match:
        """As `mask/flags` of which the masked ones are exactly those; of a list any one is."""
        negated = self._skip("!=")
        none = self._skip("!")
        exactly = self._skip("==") or negated
        if self._skip("&"):
            mask = self._flags()
            negated = self._skip("!=")
            if not negated and not self._skip("=="):
                raise _Odd
            wanted = [] if self._skip("0x0") else self._flags()
        else:
            mask, wanted = list[str](), self._flags()
            if self._skip("/"):
                mask = self._flags()
            elif not exactly:  # one of them is set, or none
                mask, wanted, negated = wanted, [], not none
        key = f"{','.join(sorted(mask)) or 'all'}/{','.join(sorted(wanted))}"
        return Match(self._since(begin), Selector(("tcp flags",)), Elements("", {key: ""}), negated)

    def _flags(self) -> list[str]:
        """`syn,ack`, `(fin | syn)`, `fin | syn`."""
        found = list[str]()
        while self._peek().strip("()") in _FLAGS_OF_TCP:
            found.append(self._take().strip("()"))
            if not self._skip(",") and not self._skip("|"):
                break
        if not found or self._peek() in ("(", "{"):
            raise _Odd
        return found

    def _of_iptables(self, begin: int) -> Phrase:
        """A match or target of iptables', of which nft tells the name alone: what that settles."""
        kind, name = self._take(), self._take().strip('"')
        text = self._since(begin)
        if kind == "match" and name in _ALWAYS_MET:
            return Idle(text)
        if kind == "match" and name == "rt":
            return Chance(text, 0.0)
        if kind == "target" and name in WITHOUT_EFFECT:
            return Idle(text)
        if kind == "target" and name == "MASQUERADE":
            return Nat(text, "masquerade")
        if kind == "target" and name == "REJECT":
            return Verdict(text, "reject")
        if kind == "target" and name == "NOTRACK":
            return NoTrack(text)
        raise _Odd

    def _limit(self, begin: int) -> Phrase:
        """`limit rate over 3/minute burst 10 packets`, `limit rate 1 mbytes/second`."""
        over = self._skip("over")
        if "/" not in self._take() and "/" not in self._take():
            raise _Odd
        if self._skip("burst"):
            self._take()
            self._take()
        text = self._since(begin)
        return Chance(text, 0.0) if over else Idle(text)

    def _routed(self, begin: int) -> Phrase:
        """`rt type 0`: of a header that no packet here has."""
        self._at += 2
        self._skip("!=")
        self._elements()
        return Chance(self._since(begin), 0.0)

    def _likely(self) -> float | None:
        """Of a random number below a bound, of as many as its mask has."""
        if not self._skip("meta", "random"):
            return None
        most = (1 << 32) - 1
        if self._skip("&"):
            most = int(self._take(), 0)
        if not self._skip("<"):
            raise _Odd
        return int(self._take(), 0) / (most + 1)

    def _verdict(self, begin: int, word: str) -> Verdict:
        if word in _GOING:
            return Verdict(f"{word} {self._peek()}", word, self._take())
        if word == "reject":
            if self._skip("with"):
                while self._peek() not in ("", "comment"):
                    self._take()
            return Verdict(self._since(begin), word)
        if word not in _FINAL:
            raise _Odd
        return Verdict(word, word)

    def _mark(self) -> Iterator[tuple[str, int]]:
        if not self._skip("meta", "mark") and not self._skip("mark"):
            yield "=", int(self._take(), 0)
        while self._peek() in _OPERATORS:
            yield _OPERATORS[self._take()], int(self._take(), 0)

    def _nat(self, begin: int, kind: Translation) -> Nat:
        while self._peek() in ("ip", "ip6", "addr") or self._next_is_port():
            self._take()
        to, selector, elements = "", None, Elements()
        if self._skip("to"):
            selector = self._selector()
            if selector is None:
                to = self._value()
            elif not self._skip("map"):
                raise _Odd
            else:
                elements = self._elements()
        while self._peek() in _FLAGS:
            self._take()
            self._skip(",")
        return Nat(self._since(begin), kind, to, selector, elements)

    def _next_is_port(self) -> bool:
        """Of `dnat ip addr . port to …`."""
        return self._peek() == "." or (self._peek(), self._peek(1)) == ("port", "to")

    # Conditions

    def _asked(self, begin: int, selector: Selector) -> Phrase:
        if self._skip("vmap"):
            elements = self._elements()
            return VerdictMap(self._since(begin), selector, elements)
        negated = self._skip("!=")
        if not negated:
            self._skip("==")
        if self._peek() in _ORDERS:
            own = _bounded(selector, self._take(), self._take())
            return Match(self._since(begin), selector, Elements("", own))
        if self._peek() == "set":
            raise _Odd
        elements = self._elements()
        if selector.draw and not all(key.isdigit() for key in elements.own):
            raise _Odd
        return Match(self._since(begin), selector, elements, negated)

    def _selector(self) -> Selector | None:
        """The fields next, if there are any."""
        found = [self._field()]
        if not found[0]:
            return None
        while self._peek() == ".":
            self._take()
            found.append(self._field())
        if not all(found):
            raise _Odd
        mask = None
        if self._peek() in ("&", "and"):
            self._take()
            mask = int(self._take(), 0)
        drawn = any("numgen" in field for field in found)
        if (drawn and len(found) > 1) or (mask is not None and found[0] not in ("mark", "ct mark")):
            raise _Odd
        return Selector(tuple(found), mask)

    def _field(self) -> str:
        for length in range(_LONGEST_FIELD, 0, -1):
            words = [self._peek(at) for at in range(length)]
            if all(words) and _FIELD.match(" ".join(words)):
                self._at += length
                return " ".join(words).removeprefix("meta ")
        return ""

    def _elements(self) -> Elements:
        if self._peek().startswith("@"):
            return Elements(self._take()[1:])
        if self._peek() == "{":
            return Elements("", self._braces())
        own = {self._value(): ""}
        while self._skip(","):
            own[self._value()] = ""
        return Elements("", own)

    def _value(self) -> str:
        """`tcp`, `10.0.0.1 . 80`."""
        words = [self._take()]
        while self._skip("."):
            words.append(self._take())
        if words[0] in _OPERATORS or words[0] in "{},":
            raise _Odd
        return " . ".join(words)

    def _braces(self) -> dict[str, str]:
        """`{ key : value, … }`."""
        found, words = {}, list[str]()
        if self._take() != "{":
            raise _Odd
        while True:
            word = self._take()
            if word not in (",", "}"):
                words.append(word)
                continue
            key, _, value = " ".join(words).partition(" : ")
            found[key] = value
            words = []
            if word == "}":
                return found


_RESUMING = (*_GOING, *_FINAL, "reject", "masquerade", "counter", "log", "comment")
_OPERATORS = {"|": "|", "or": "|", "&": "&", "and": "&", "^": "^", "xor": "^"}
_ORDERS = ("<", ">", "<=", ">=")
_MOST = {"port": (1 << 16) - 1, "ip": (1 << 32) - 1, "ip6": (1 << 128) - 1}


def _bounded(selector: Selector, order: str, text: str) -> dict[str, str]:
    """The values of one field below or above a bound, as an element; none if there are none."""
    (field_,) = selector.fields
    of, _, side = field_.rpartition(" ")
    is_address = side in ("saddr", "daddr") and of in _MOST
    if not is_address and side not in ("sport", "dport"):
        raise _Odd
    bound = int(ipaddress.ip_address(text)) if is_address else int(text)
    last = _MOST[of if is_address else "port"]
    low, high = {
        "<": (0, bound - 1), "<=": (0, bound), ">": (bound + 1, last), ">=": (bound, last),
    }[order]  # fmt: skip
    if low > high or not 0 <= bound <= last:
        return {}
    kind = ipaddress.IPv6Address if of == "ip6" else ipaddress.IPv4Address
    ends = (str(kind(one)) if is_address else str(one) for one in (low, high))
    return {"-".join(ends): ""}
