"""`ipset save` → what each set has. Pure.

create clients hash:ip,port family inet hashsize 1024 maxelem 65536
add clients 10.0.0.9,tcp:80 timeout 30
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct, field

from netlab.errors import InputError, Problem

_CREATE = re.compile(r"create (\S+) (\w+):(\S+)((?: .*)?)\Z")
_NETMASK = re.compile(r" netmask (\d+)\b")
_ADD = re.compile(r"add (\S+) (\S+)((?: .*)?)\Z")
_HINT = "expected: ipset save"


class IpSet(Struct):
    """A set: what its members are made of (`ip`, `port`, `net`, `iface`, `set`), those that are in
    it, and those that are not though a wider one is."""

    parts: tuple[str, ...]
    members: list[tuple[str, ...]] = field(default_factory=list)
    but: list[tuple[str, ...]] = field(default_factory=list)


def is_ipsets(lines: Iterable[str]) -> bool:
    """Whether a text begins as `ipset save` does."""
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return _CREATE.match(first) is not None


def read(lines: Iterable[str], file: str) -> dict[str, IpSet]:
    """All sets by their names. Raises `InputError`."""
    found: dict[str, IpSet] = {}
    masks: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if created := _CREATE.match(text):
            found[created[1]] = one = IpSet(_parts(created))
            netmask = _NETMASK.search(created[4])
            masks[created[1]] = f"/{netmask[1]}" if netmask else ""
        elif (added := _ADD.match(text)) and added[1] in found:
            one = found[added[1]]
            into = one.but if "nomatch" in added[3].split() else one.members
            into.append(tuple(_masked(added[2].split(","), one, masks[added[1]])))
        elif text and not text.startswith("#"):
            said = f"{text[:60]!r} is no line of ipset save, or of a set that is not there"
            raise InputError([Problem(file, number, "", said, _HINT)])
    return found


def _parts(created: re.Match[str]) -> tuple[str, ...]:
    """What its members are made of; a `bitmask` leaves of an address what nobody here asks for."""
    parts = tuple(created[3].split(","))
    return (*parts, "bitmask") if " bitmask " in created[4] else parts


def _masked(member: list[str], one: IpSet, mask: str) -> Iterable[str]:
    """With its addresses as the networks that a set's netmask makes of them."""
    if not mask:
        return member
    pairs = zip(one.parts, member, strict=False)
    return [f"{text}{mask}" if part == "ip" else text for part, text in pairs]
