"""The parts of one nftables rule, as `nft list` shows it: what it asks and does, left to right.

    ip daddr . meta l4proto . th dport vmap @service-ips       VerdictMap
    meta mark & 0x4000 != 0x0  meta mark set meta mark ^ 0x4000  masquerade fully-random
    Match                      SetMark                           Nat

What is not known here is `Unknown`, as far as the next verdict. `nft_conditions` reads what a rule
asks, here is what it does; `nft_phrases` has the parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from netlab.simulation.iptables import WITHOUT_EFFECT
from netlab.simulation.nft_conditions import OPERATORS, Conditions, Odd
from netlab.simulation.nft_phrases import (
    Chance,
    ConnMark,
    Elements,
    Idle,
    Nat,
    NoTrack,
    Phrase,
    Remember,
    SetMark,
    Unknown,
    Verdict,
)
from netlab.simulation.translation import Translation

_TOKEN = re.compile(r'"[^"]*"|[{},]|[^\s{},"]+')

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
_FLAGS = ("random", "fully-random", "persistent")
_LOG_OPTIONS = ("prefix", "level", "group", "snaplen", "queue-threshold", "flags")


_SETTING = (
    ("meta", "priority"), ("ip", "dscp"), ("ip6", "dscp"), ("ip", "ttl"), ("ip6", "hoplimit"),
    ("ip", "ecn"), ("ip6", "ecn"), ("ct", "helper"), ("ct", "label"), ("ct", "event"),
)  # fmt: skip
"""What may be set, to one word, and decides nothing of where a packet goes."""
_ALL = (1 << 32) - 1
_RESUMING = (*_GOING, *_FINAL, "reject", "masquerade", "counter", "log", "comment")


class _Parser(Conditions):
    """Reads statements, and conditions before them."""

    def phrases(self) -> Iterator[Phrase]:
        while self._at < len(self._tokens):
            begin = self._at
            try:
                phrase = self._phrase(begin)
            except (Odd, ValueError):
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

    def _phrase(self, begin: int) -> Phrase:
        if self._idle():
            return Idle(self._since(begin))
        if self._skip("xt"):
            return self._of_iptables(begin)
        if self._skip("meta", "mark", "set", "ct", "mark"):
            taken, _ = self._of_mark()
            return ConnMark(self._since(begin), "mark", _ALL, taken)
        if self._skip("ct", "mark", "set"):
            return self._set_connmark(begin)
        if self._skip("meta", "mark", "set"):
            operations = tuple(self._mark())
            return SetMark(self._since(begin), operations)
        if self._skip("meter"):
            return self._metered(begin)
        asked = self._condition(begin)
        if asked is not None:
            return asked
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
            raise Odd
        return Chance(text, 0.0) if "over" in words else Remember(text, name)

    def _metered(self, begin: int) -> Phrase:
        """`meter ssh size 65535 { ip saddr limit rate over 10/minute }`."""
        name = self._take()
        if self._skip("size"):
            self._take()
        return self._added(begin, name)

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
        while self._peek() in OPERATORS:
            operation, number = OPERATORS[self._take()], int(self._take(), 0)
            if operation == "&":
                keep, flip = keep & number, flip & number
            elif not flips:
                raise Odd
            elif operation == "|":
                keep, flip = keep & ~number, (flip & ~number) ^ number
            else:
                flip ^= number
        if self._peek() in ("<<", ">>"):
            raise Odd
        return keep, flip

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
        raise Odd

    def _verdict(self, begin: int, word: str) -> Verdict:
        if word in _GOING:
            return Verdict(f"{word} {self._peek()}", word, self._take())
        if word == "reject":
            if self._skip("with"):
                while self._peek() not in ("", "comment"):
                    self._take()
            return Verdict(self._since(begin), word)
        if word not in _FINAL:
            raise Odd
        return Verdict(word, word)

    def _mark(self) -> Iterator[tuple[str, int]]:
        if not self._skip("meta", "mark") and not self._skip("mark"):
            yield "=", int(self._take(), 0)
        while self._peek() in OPERATORS:
            yield OPERATORS[self._take()], int(self._take(), 0)

    def _nat(self, begin: int, kind: Translation) -> Nat:
        while self._peek() in ("ip", "ip6", "addr") or self._next_is_port():
            self._take()
        to, selector, elements = "", None, Elements()
        if self._skip("to"):
            selector = self._selector()
            if selector is None:
                to = self._value()
            elif not self._skip("map"):
                raise Odd
            else:
                elements = self._elements()
        while self._peek() in _FLAGS:
            self._take()
            self._skip(",")
        return Nat(self._since(begin), kind, to, selector, elements)

    def _next_is_port(self) -> bool:
        """Of `dnat ip addr . port to …`."""
        return self._peek() == "." or (self._peek(), self._peek(1)) == ("port", "to")
