"""What `-m set --match-set NAME src,dst` asks, by the members that a set has, as boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

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
from netlab.simulation.ipset import Asked, widths

_FIELDS = {
    "ip": (SADDR, DADDR), "net": (SADDR, DADDR), "port": (SPORT, DPORT), "iface": (IIF, OIF),
}  # fmt: skip
MOST = 1000
"""So many boxes are told apart."""


def boxes(words: Sequence[str], sets: Mapping[str, IpSet], space: Space) -> list[Box]:
    """The packets that are in a set, whose name and directions these words are. `ValueError`,
    `KeyError` for what nobody understands."""
    name, sides = words[0], words[1].split(",")
    one = sets[name]
    if one.parts == ("set",):
        if any(sets[inner].parts == ("set",) for (inner,) in one.members):
            raise ValueError(name)  # no kernel takes that, and it might lead in a circle
        ways = [box for (inner,) in one.members for box in boxes([inner, *words[1:]], sets, space)]
        return _few(ways, name)
    if len(sides) < len(one.parts) or set(sides) - {"src", "dst"}:
        raise ValueError(words[1])
    asked = list(zip(one.parts, sides, strict=False))
    if len(one.parts) == 1 and one.parts != ("port",):
        return _of_one_part(one, asked, space)
    if one.but:
        return _few(_narrowest(one, asked, space), name)
    found = [_box(asked, member, space) for member in one.members]
    return _few([box for box in found if box is not None], name)


def _few(boxes: list[Box], name: str) -> list[Box]:
    """No more than are worth telling apart. `ValueError`."""
    if len(boxes) > MOST:
        raise ValueError(name)
    return boxes


def _widest_first(one: IpSet, asked: Asked) -> list[tuple[tuple[str, ...], bool]]:
    """The members, and whether what is in them is in the set: of those that a packet is in, the one
    with the narrowest networks counts."""
    so = [(member, True) for member in one.members]
    if not one.but:
        return so
    so += [(member, False) for member in one.but]
    return sorted(so, key=lambda each: widths(asked, each[0]))


def _narrowest(one: IpSet, asked: Asked, space: Space) -> list[Box]:
    """The packets of members with several parts."""
    found: list[Box] = []
    for member, matches in _widest_first(one, asked):
        box = _box(asked, member, space)
        if box is not None:
            found = [part for each in found for part in minus(each, box, space)]
            found = _few([*found, box] if matches else found, ",".join(member))
    return found


def minus(one: Box, other: Box, space: Space) -> list[Box]:
    """What of a box is not in another, as boxes that are apart."""
    found: list[Box] = []
    inside: Box | None = one
    for field, values in other:
        if inside is not None:
            left = both(inside, ((field, space.but(field, values)),))
            found += [left] if left is not None else []
            inside = both(inside, ((field, values),))
    return found if inside is not None else [one]


def _of_one_part(one: IpSet, asked: Asked, space: Space) -> list[Box]:
    """The values of all members of one part together."""
    ((part, side),) = asked
    field = _FIELDS[part][side == "dst"]
    values: Values = ()
    for matches, group in groupby(_widest_first(one, asked), key=lambda each: each[1]):
        boxes = (_box(asked, member, space) for member, _ in group)
        here = union(each for box in boxes if box is not None for _, found in box for each in found)
        values = union((*values, *here)) if matches else meet(values, space.but(field, here))
    return [((field, values),)] if values else []


def _box(asked: Asked, member: Sequence[str], space: Space) -> Box | None:
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
