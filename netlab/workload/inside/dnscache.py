"""CoreDNS' `cache`: answers are given again until their time is over, as its documents say.

https://coredns.io/plugins/cache/
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from netlab.workload.inside import dnswire
from netlab.workload.inside.corefile import Directive, Malformed, seconds, wrong
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Message, Query, Record

AskOn = Callable[[Query], bytes]

SUCCESS, DENIAL, FAILURE = "success", "denial", "servfail"
_NOTHING_SAYS = 5
"""Seconds of what has no record that says how long it may be believed."""


class Limits(NamedTuple):
    """How many answers of a sort are kept, and for how many seconds at most and at least."""

    size: int = 9984
    most: int = 3600
    least: int = 5


DEFAULTS = {SUCCESS: Limits(), DENIAL: Limits(most=1800), FAILURE: Limits(most=5, least=0)}


class _Kept(NamedTuple):
    message: Message
    sort: str
    began: float
    seconds: int

    def left(self, now: float) -> int:
        return self.seconds - int(now - self.began)


class Cache:
    """Answers from what it keeps, or asks on; it `holds` names of its zones alone.

    What is over is given for `stale` seconds more while there is no answer; with `keeps_ttl` an
    answer says each time what it said first. Of `disabled` zones answers of a sort are not kept.
    """

    def __init__(
        self,
        limits: dict[str, Limits],
        holds: Callable[[str], bool] = lambda _: True,
        stale: float = 0.0,
        *,
        disabled: Mapping[str, Sequence[str]] | None = None,
        keeps_ttl: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts: Counter[str] = Counter()
        """Hits by sort, and misses."""
        self._limits, self._holds = limits, holds
        self._stale, self._keeps_ttl = stale, keeps_ttl
        self._disabled = disabled or {}
        self._clock = clock
        self._kept: dict[tuple[str, int], _Kept] = {}
        self._lock = threading.Lock()

    def sizes(self) -> dict[str, int]:
        """How many answers of each sort it keeps."""
        with self._lock:
            found = Counter(kept.sort for kept in self._kept.values())
        return {sort: found[sort] for sort in (SUCCESS, DENIAL)}

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """The answer to a query."""
        found = self.found(query)
        return found if found is not None else self.learnt(query, ask_on(query))

    def keeps(self, name: str) -> bool:
        """Whether it keeps any answer about a name, with its dot."""
        sorts = [sort for sort in self._limits if sort != FAILURE]
        kept = [sort for sort in sorts if not self._is_disabled(sort, name)]
        return bool(kept) and self._holds(name)

    def _is_disabled(self, sort: str, name: str) -> bool:
        return any(within(name, zone) for zone in self._disabled.get(sort, ()))

    def found(self, query: Query) -> bytes | None:
        """The answer that it keeps, or None: then somebody is to be asked, and it to be told."""
        if not self._holds(query.name):
            return None
        kept, now = self._kept.get((query.name, query.kind)), self._clock()
        if kept is not None and kept.left(now) > 0:
            self.counts[kept.sort] += 1
            return self._again(query, kept, kept.left(now))
        self.counts["miss"] += 1
        return None

    def learnt(self, query: Query, said: bytes) -> bytes:
        """What the client is told when that was said to us."""
        if not self._holds(query.name):
            return said
        key, now = (query.name, query.kind), self._clock()
        kept = self._kept.get(key)
        if kept is not None and self._stands_in(kept, said, now):
            return self._again(query, kept, 0)
        return self._noted(query, said, key, now)

    def _again(self, query: Query, kept: _Kept, left: int) -> bytes:
        seconds = kept.seconds if self._keeps_ttl else left
        return dnswire.packed(query, _lasting(kept.message, seconds))

    def _noted(self, query: Query, said: bytes, key: tuple[str, int], now: float) -> bytes:
        """Keep it, if it is of a sort that is kept; it is told with the time that it is kept."""
        try:
            message = dnswire.unpack(said)
        except ValueError:
            return said
        limits = self._limits.get(sort := _sort(message))
        is_whole = not message.flags & dnswire.TRUNCATED
        if limits is None or self._is_disabled(sort, query.name) or not is_whole:
            return said
        seconds = _seconds(message) if sort != FAILURE else limits.most
        seconds = max(limits.least, min(limits.most, seconds))
        kept = _Kept(message, sort, now, seconds)
        with self._lock:
            self._kept.pop(key, None)
            if seconds:
                self._kept[key] = kept
            self._make_room(sort, limits.size)
        return dnswire.packed(query, _lasting(message, seconds))

    def _make_room(self, sort: str, size: int) -> None:
        """Let the oldest go."""
        if len(self._kept) > size:
            same = [key for key, kept in self._kept.items() if kept.sort == sort]
            for key in same[: max(0, len(same) - size)]:
                del self._kept[key]

    def _stands_in(self, kept: _Kept, said: bytes, now: float) -> bool:
        over = now - kept.began - kept.seconds
        failed = said[3] & 15 == dnswire.SERVFAIL
        return failed and kept.sort == SUCCESS and over < self._stale


def _sort(message: Message) -> str:
    """As CoreDNS sorts answers (plugin/pkg/response)."""
    denied = any(record.kind == dnswire.SOA for record in message.authority)
    if message.code == dnswire.SERVFAIL:
        return FAILURE
    if message.code == dnswire.NXDOMAIN:
        return DENIAL if denied else ""
    if message.code != dnswire.NOERROR:
        return ""
    return DENIAL if denied and not message.answers else SUCCESS


def _seconds(message: Message) -> int:
    times = [
        record.ttl
        for section in message.sections()
        for record in section
        if record.kind != dnswire.OPT
    ]
    return min(times, default=_NOTHING_SAYS)


def _lasting(message: Message, seconds: int) -> Message:
    """The same, each record of which may be believed for so long."""

    def each(records: tuple[Record, ...]) -> tuple[Record, ...]:
        return tuple(
            one if one.kind == dnswire.OPT else one._replace(ttl=seconds) for one in records
        )

    return message._replace(
        answers=each(message.answers),
        authority=each(message.authority),
        additional=each(message.additional),
    )


# -- its directive ------------------------------------------------------------------------------


class _Said(NamedTuple):
    """What the lines below a `cache` say, as they are read."""

    limits: dict[str, Limits]
    disabled: dict[str, list[str]]
    stale: list[float]
    keeps_ttl: list[bool]


def of_directive(directive: Directive, zones: Sequence[str]) -> Cache:
    """The cache that a server block of some zones asks for; `Malformed`."""
    words = list(directive.words[1:])
    said = _Said(dict(DEFAULTS), {}, [], [])
    if words and words[0].lstrip("-").isdigit():
        most = int(words.pop(0))
        if most <= 0:
            raise wrong(directive, f"cache TTL can not be zero or negative: {most}")
        for sort in (SUCCESS, DENIAL):
            least = min(most, said.limits[sort].least)
            said.limits[sort] = said.limits[sort]._replace(most=most, least=least)
    names = [f"{word.lower().rstrip('.')}." for word in words] or list(zones)
    for option in directive.below:
        try:
            _read(option, names, said)
        except Malformed:
            raise
        except ValueError:
            raise wrong(option, f"{' '.join(option.words)}: that is no number") from None

    def holds(name: str) -> bool:
        return any(within(name, zone) for zone in names)

    return Cache(
        said.limits,
        holds,
        sum(said.stale),
        keeps_ttl=bool(said.keeps_ttl),
        disabled=said.disabled,
    )


def _read(option: Directive, zones: Sequence[str], said: _Said) -> None:
    given = option.words[1:]
    match option.words:
        case [("success" | "denial") as sort, *_] if given:
            said.limits[sort] = _limits(said.limits[sort], list(map(int, given)))
        case ["servfail", word]:
            said.limits[FAILURE] = Limits(9984, int(min(300, seconds(word))), 0)
        case ["serve_stale", *_]:
            said.stale[:] = [seconds(given[0]) if given else 3600.0]
        case ["disable", ("success" | "denial") as sort, *named]:
            said.disabled[sort] = named or list(zones)
        case ["keepttl"]:
            said.keeps_ttl.append(True)
        case ["prefetch", *_]:
            pass  # nobody notices but who measures
        case _:
            raise wrong(option, f"unknown property '{option.name}'")


def _limits(before: Limits, given: Sequence[int]) -> Limits:
    most = given[1] if len(given) > 1 else before.most
    least = given[2] if len(given) > 2 else min(before.least, most)
    return Limits(given[0], most, least)
