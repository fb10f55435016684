"""What `netlab top` shows: rows of text for a terminal as wide and as high as it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from netlab.pathcheck.decode import endpoint
from netlab.traffic.glance import Glance, NodeGlance
from netlab.traffic.opening import End
from netlab.traffic.tally import EndpointCount, ServiceCount
from netlab.view.escape import escape_line

_GAP = "  "
_LEAST_NAME = 12
_NARROW = 100
"""Columns from which on there is room for all there is."""


class Column(Struct, frozen=True):
    """A title, and how wide its cells are; what is `spare` is left out where there is no room."""

    title: str
    width: int
    spare: bool = False


_SERVICES = (
    Column("RETRANS", 7, spare=True),
    Column("SHARE", 6),
    Column("95%", 9),
    Column("EXPECT", 6),
    Column("TOTAL", 8, spare=True),
    Column("CONN/S", 8),
)
_NODES = (
    Column("CONN/S", 8),
    Column("RETRANS", 7),
    Column("UNREACH", 7),
    Column("CONNTRACK", 14),
    Column("USED", 5, spare=True),
)
_QUERIES = (Column("QUERY/S", 8),)


def lines(glance: Glance, width: int, height: int | None = None, title: str = "") -> list[str]:
    """The whole of it, no line longer than `width`. In a terminal of `height` rows what is busiest
    is shown, and how many rows there would be more."""
    head = [_cut(part, width) for part in _head(glance, title)]
    foot = [*_nodes(glance.nodes, width), *_queries(glance, width)]
    body = list(_services(glance, width))
    if height is not None:
        foot = _fitted(foot, max(4, (height - len(head)) // 2), width)
        body = _fitted(body, max(3, height - len(head) - len(foot)), width)
    return [*head, *body, *foot]


def _fitted(rows: list[str], room: int, width: int) -> list[str]:
    if len(rows) <= room:
        return rows
    return [*rows[: room - 1], _cut(f"… {len(rows) - room + 1} more rows", width)]


def _head(glance: Glance, title: str) -> Iterator[str]:
    rate = sum(one.rate for one in glance.services)
    total = sum(one.count for one in glance.services)
    lost = sum(glance.lost.values())
    said = f"{lost} events were lost" if lost else "none lost"
    yield (f"{title}{glance.seconds:.0f} s: {total} connections, {_rate(rate)}/s; {said}")
    if lost:
        yield "  on " + ", ".join(f"{node}: {count}" for node, count in glance.lost.items())
    yield ""


def _services(glance: Glance, width: int) -> Iterator[str]:
    columns = _columns(_SERVICES, width)
    names = [name for one in glance.services for name in _names(one)[1:]]
    room = _room(names, _TITLE, columns, width)
    yield _row(_TITLE, [column.title for column in columns], columns, room)
    for one in glance.services:
        cells = {"CONN/S": _rate(one.rate), "TOTAL": str(one.count)}
        name, *ends = _names(one)
        yield _row(name, [cells.get(column.title, "") for column in columns], columns, room)
        yield from _refusal(glance, _port_name(one), width)
        for each, end in zip(one.endpoints, ends, strict=True):
            yield _endpoint(each, end, glance, columns, room)
    told = {_port_name(one) for one in glance.services}
    for name in sorted(set(glance.refusals) - told):
        yield _cut(name, width)
        yield from _refusal(glance, name, width)
    if glance.silent:
        others = "other Services" if glance.services else "Services"
        noun = others if glance.silent > 1 else others[:-1]
        yield _cut(f"{glance.silent} {noun} without connections", width)
    yield ""


_TITLE = "SERVICE, ENDPOINT"


def _names(one: ServiceCount) -> list[str]:
    """The Service's, then its endpoints', with a mark before those that are off."""
    version = " IPv6" if one.key.version == 6 else ""
    return [
        f"{_port_name(one)} {one.key.protocol}{version}",
        *(f"{'!' if each.is_off else ' '} {_end_name(each.endpoint)}" for each in one.endpoints),
    ]


def _end_name(end: End) -> str:
    where = endpoint(end.address, end.port)
    return f"{end.name} {where}" if end.name else where


def _port_name(one: ServiceCount) -> str:
    return f"{one.key.service}:{one.key.port}" if one.key.port else one.key.service


def _refusal(glance: Glance, name: str, width: int) -> Iterator[str]:
    rate = glance.refusals.get(name)
    if rate:
        yield _cut(f"! no endpoints: {_rate(rate)} packets/s refused", width)


def _endpoint(
    one: EndpointCount, name: str, glance: Glance, columns: Sequence[Column], room: int
) -> str:
    if len(name) > room and one.endpoint.name:  # the address goes; a pod's name ends in its own
        name = f"{name[:2]}{_cut_left(one.endpoint.name, room - 2)}"
    between = one.between
    cells = {
        "CONN/S": _rate(one.rate),
        "TOTAL": str(one.count),
        "SHARE": _percent(one.share),
        "95%": f"{between.low * 100:.1f}-{between.high * 100:.1f}" if between else "",
        "EXPECT": _percent(one.expected),
        "RETRANS": _rate(glance.retransmissions.get(one.endpoint.name, 0.0)),
    }
    return _row(name, [cells[column.title] for column in columns], columns, room)


def _nodes(nodes: Sequence[NodeGlance], width: int) -> Iterator[str]:
    columns = _columns(_NODES, width)
    room = _room([one.name for one in nodes], "NODE", columns, width)
    yield _row("NODE", [column.title for column in columns], columns, room)
    for one in nodes:
        cells = {
            "CONN/S": _rate(one.rate),
            "RETRANS": _rate(one.retransmissions),
            "UNREACH": _rate(one.unreachable),
            "CONNTRACK": "" if one.tracked is None else f"{one.tracked}/{one.most_tracked}",
            "USED": _percent(one.tracked / one.most_tracked)
            if one.tracked is not None and one.most_tracked
            else "",
        }
        yield _row(one.name, [cells[column.title] for column in columns], columns, room)
    yield ""


def _queries(glance: Glance, width: int) -> Iterator[str]:
    room = _room(glance.queries, "DNS SERVER", _QUERIES, width)
    if glance.queries:
        yield _row("DNS SERVER", [column.title for column in _QUERIES], _QUERIES, room)
    for name, rate in sorted(glance.queries.items(), key=lambda one: (-one[1], one[0])):
        yield _row(name, [_rate(rate)], _QUERIES, room)


def _columns(columns: Sequence[Column], width: int) -> list[Column]:
    """All of them, or those that are not to spare; of these the last for which there is room."""
    kept = [column for column in columns if width >= _NARROW or not column.spare]
    while kept and width - sum(len(_GAP) + column.width for column in kept) < _LEAST_NAME:
        kept.pop(0)
    return kept


def _room(names: Iterable[str], title: str, columns: Sequence[Column], width: int) -> int:
    """Columns for a name: as many as the longest has, if there are so many."""
    most = width - sum(len(_GAP) + column.width for column in columns)
    return min(most, max(len(escape_line(each)) for each in (title, *names)))


def _row(name: str, cells: Sequence[str], columns: Sequence[Column], room: int) -> str:
    """A name may go on where the first cells are empty."""
    pairs = list(zip(cells, columns, strict=True))
    while pairs and not pairs[0][0]:
        room += len(_GAP) + pairs.pop(0)[1].width
    text = _cut(name, room).ljust(room)
    return (text + "".join(_GAP + cell.rjust(column.width) for cell, column in pairs)).rstrip()


def _cut(text: str, room: int) -> str:
    text = escape_line(text)
    return text if len(text) <= room else text[: max(room - 1, 0)] + "…"


def _cut_left(text: str, room: int) -> str:
    text = escape_line(text)
    return text if len(text) <= room else "…" + text[len(text) - room + 1 :]


def _rate(rate: float | None) -> str:
    if rate is None:
        return ""
    return f"{rate:.1f}" if rate < 10000 else f"{rate:.0f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share * 100:.1f}%"
