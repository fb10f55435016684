"""What `-m set --match-set NAME src,dst` asks, by the members that a set has, as boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netlab.prove.space import (
    DADDR,
    DPORT,
    IIF,
    OIF,
    PROTO,
    PROTOCOLS,
    SADDR,
    SPORT,
    Box,
    Space,
    Values,
    both,
    meet,
    ports,
    union,
)
from netlab.saves.ipsets import IpSet

_FIELDS = {
    "ip": (SADDR, DADDR), "net": (SADDR, DADDR), "port": (SPORT, DPORT), "iface": (IIF, OIF),
}  # fmt: skip
_MOST = 1000


def boxes(words: Sequence[str], sets: Mapping[str, IpSet], space: Space) -> list[Box]:
    """The packets that are in a set, whose name and directions these words are. `ValueError`,
    `KeyError` for what nobody understands."""
    name, sides = words[0], words[1].split(",")
    one = sets[name]
    if one.parts == ("set",):
        if any(sets[inner].parts == ("set",) for (inner,) in one.members):
            raise ValueError(name)  # no kernel takes that, and it might lead in a circle
        return [box for (inner,) in one.members for box in boxes([inner, *words[1:]], sets, space)]
    if len(sides) < len(one.parts) or set(sides) - {"src", "dst"}:
        raise ValueError(words[1])
    asked = list(zip(one.parts, sides, strict=False))
    found = [_box(asked, member, space) for member in one.members]
    met = [box for box in found if box is not None]
    if len(one.parts) == 1 and one.parts != ("port",):
        return _one(met, [_box(asked, each, space) for each in one.but], space)
    if one.but or len(met) > _MOST:
        raise ValueError(name)
    return met


def _one(met: Sequence[Box], but: Sequence[Box | None], space: Space) -> list[Box]:
    """All members of one part together."""
    if not met:
        return []
    field = met[0][0][0]
    values = union(each for box in met for _, found in box for each in found)
    for box in but:
        values = meet(values, space.but(field, box[0][1])) if box is not None else values
    return [((field, values),)] if values else []


def _box(asked: Sequence[tuple[str, str]], member: Sequence[str], space: Space) -> Box | None:
    """One member; None for what no packet of this family is."""
    found: Box | None = ()
    for (part, side), text in zip(asked, member, strict=True):
        field = _FIELDS[part][side == "dst"]
        for one in _asked(part, field, text, space):
            found = both(found, one) if found is not None and one[0][1] else None
    return found


def _asked(part: str, field: int, text: str, space: Space) -> list[Box]:
    if part in ("ip", "net"):
        return [((field, space.network(text)),)]
    if part == "iface":
        return [((field, space.link(text)),)]
    protocol, _, number = text.rpartition(":")
    values: Values = (ports(number, "-"),)
    if not protocol:
        return [((field, values),), ((PROTO, ((6, 6), (17, 17), (132, 132), (136, 136))),)]
    return [((field, values),), ((PROTO, ((PROTOCOLS[protocol],) * 2,)),)]
