"""New connections as `netlab watch` shows them: a line for each, and what they come to. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from netlab.pathcheck.decode import endpoint
from netlab.traffic.opening import End, Opening
from netlab.view.escape import escape_json, escape_line

_MOST_ENDS = 20


def line(one: Opening) -> str:
    """`15:02:33.123 worker001 tcp default/client 10.244.1.3:40312 → default/web 10.96.0.10:80 →
    default/web-1 10.244.2.5:8080, masqueraded as worker001 10.0.0.3`, or `, not masqueraded`."""
    moment = datetime.fromtimestamp(one.time).astimezone()
    time = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
    way = [_end(one.client)]
    if one.virtual is not None:
        way.append(f"{service(one)} {endpoint(one.to.address, one.to.port)}")
    elif (one.to.address, one.to.port) != (one.endpoint.address, one.endpoint.port):
        way.append(_end(one.to))
    way.append(_end(one.endpoint))
    text = f"{time} {one.node} {one.protocol} {' → '.join(way)}{_became(one.became)}"
    return escape_line(text)


def _became(end: End | None) -> str:
    if end is None:
        return ", not masqueraded"
    return f", masqueraded as {end.name} {end.address}".replace("  ", " ")


def _end(end: End) -> str:
    where = endpoint(end.address, end.port)
    return f"{end.name} {where}" if end.name else where


def service(one: Opening) -> str:
    """`default/web`, or `default/web:http` where the port has a name."""
    if one.virtual is None:
        return ""
    return f"{one.virtual.service}:{one.virtual.port}" if one.virtual.port else one.virtual.service


def json_line(one: Opening) -> str:
    """The same as one line of JSON."""
    return escape_json(json.dumps(one.json(), ensure_ascii=False))


class Summary:
    """What was told, by where it led."""

    def __init__(self) -> None:
        self.total = 0
        self._ends: Counter[tuple[str, str]] = Counter()
        self._masqueraded = 0

    def add(self, one: Opening) -> None:
        """One more."""
        self.total += 1
        self._masqueraded += one.became is not None
        self._ends[service(one), _end(one.endpoint)] += 1

    def lines(self, seconds: float, lost: Mapping[str, int]) -> list[str]:
        """How many, how fast, how many of them masqueraded, which were lost; then to whom."""
        rate = f", {self.total / seconds:.1f} a second" if self.total and seconds > 0 else ""
        masqueraded = f", {self._masqueraded} masqueraded" if self.total else ""
        noun = "connection" if self.total == 1 else "connections"
        first = f"{self.total} {noun} in {seconds:.1f} s{rate}{masqueraded}; {lost_words(lost)}"
        ends = self._ends.most_common(_MOST_ENDS)
        rows = [
            f"  {count:>{len(str(self.total))}}  {f'{of} → ' if of else ''}{end}"
            for (of, end), count in ends
        ]
        more = len(self._ends) - len(ends)
        rest = [f"  and to {more} more"] if more > 0 else []
        return [escape_line(text) for text in (first, *rows, *rest)]


def lost_words(lost: Mapping[str, int]) -> str:
    """`none lost`, or `12 events were lost: worker001 12`."""
    if not lost:
        return "none lost"
    by_node = ", ".join(f"{node} {number}" for node, number in sorted(lost.items()))
    total = sum(lost.values())
    return f"{total} event{'s were' if total != 1 else ' was'} lost: {by_node}"
