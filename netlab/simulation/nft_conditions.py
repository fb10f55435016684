"""What a rule of nftables asks of a packet, word by word from the left. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from netlab.simulation.nft_phrases import (
    Chance,
    Elements,
    Idle,
    Match,
    Phrase,
    Selector,
    VerdictMap,
)

_FIELD = re.compile(
    r"(ip saddr|ip daddr|ip protocol|ip6 saddr|ip6 daddr|ip6 nexthdr"
    r"|(?:meta )?(?:l4proto|mark|iifname|oifname|iif|oif|nfproto)"
    r"|(?:th|tcp|udp|sctp|dccp|udplite) (?:sport|dport)"
    r"|ct state|ct status|ct mark|fib (?:saddr|daddr) type|icmp (?:type|code)|icmpv6 (?:type|code)"
    r"|numgen (?:random|inc) mod \d+)$"
)
_LONGEST_FIELD = 4

_ROUTING_HEADER = ("nexthdr", "hdrlength", "type", "seg-left")
_FLAGS_OF_TCP = frozenset({"fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"})
OPERATORS = {"|": "|", "or": "|", "&": "&", "and": "&", "^": "^", "xor": "^"}
_ORDERS = ("<", ">", "<=", ">=")
_MOST = {"port": (1 << 16) - 1, "ip": (1 << 32) - 1, "ip6": (1 << 128) - 1}


class Odd(Exception):
    """Here the grammar known to us ends."""


class Conditions:
    """Reads tokens from the left; every method takes what it understands, and raises `Odd` where
    that ends."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self, ahead: int = 0) -> str:
        at = self._at + ahead
        return self._tokens[at] if at < len(self._tokens) else ""

    def _take(self) -> str:
        if not self._peek():
            raise Odd
        self._at += 1
        return self._tokens[self._at - 1]

    def _skip(self, *words: str) -> bool:
        """Take these words, if they are next."""
        found = all(self._peek(at) == word for at, word in enumerate(words))
        self._at += len(words) * found
        return found

    def _since(self, begin: int) -> str:
        return " ".join(self._tokens[begin : self._at]).replace(" ,", ",")

    def _inside_braces(self) -> list[str]:
        words = list[str]()
        if self._take() != "{":
            raise Odd
        while (word := self._take()) != "}":
            words.append(word)
        return words

    # What is looked at, and what it is compared with

    def _condition(self, begin: int) -> Phrase | None:
        """The one that is next, if there is one."""
        if self._skip("limit", "rate"):
            return self._limit(begin)
        if self._peek() == "rt" and self._peek(1) in _ROUTING_HEADER:
            return self._routed(begin)
        likely = self._likely()
        if likely is not None:
            return Chance(self._since(begin), likely)
        if self._skip("tcp", "flags"):
            return self._tcp_flags(begin)
        selector = self._selector()
        return self._asked(begin, selector) if selector is not None else None

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
            raise Odd
        elements = self._elements()
        if selector.draw and not all(key.isdigit() for key in elements.own):
            raise Odd
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
            raise Odd
        mask = None
        if self._peek() in ("&", "and"):
            self._take()
            mask = int(self._take(), 0)
        drawn = any("numgen" in field for field in found)
        if (drawn and len(found) > 1) or (mask is not None and found[0] not in ("mark", "ct mark")):
            raise Odd
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
        if words[0] in OPERATORS or words[0] in "{},":
            raise Odd
        return " . ".join(words)

    def _braces(self) -> dict[str, str]:
        """`{ key : value, … }`."""
        found, words = {}, list[str]()
        if self._take() != "{":
            raise Odd
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

    def _limit(self, begin: int) -> Phrase:
        """`limit rate over 3/minute burst 10 packets`, `limit rate 1 mbytes/second`."""
        over = self._skip("over")
        if "/" not in self._take() and "/" not in self._take():
            raise Odd
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
            raise Odd
        return int(self._take(), 0) / (most + 1)

    def _tcp_flags(self, begin: int) -> Match:
        """As `mask/flags` of which the masked ones are exactly those; of a list any one is."""
        negated = self._skip("!=")
        none = self._skip("!")
        exactly = self._skip("==") or negated
        if self._skip("&"):
            mask = self._flags()
            negated = self._skip("!=")
            if not negated and not self._skip("=="):
                raise Odd
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
            raise Odd
        return found


def _bounded(selector: Selector, order: str, text: str) -> dict[str, str]:
    """The values of one field below or above a bound, as an element; none if there are none."""
    (field_,) = selector.fields
    of, _, side = field_.rpartition(" ")
    is_address = side in ("saddr", "daddr") and of in _MOST
    if not is_address and side not in ("sport", "dport"):
        raise Odd
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
