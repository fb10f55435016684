"""`ipset save` → what each set has. Pure.

create clients hash:ip,port family inet hashsize 1024 maxelem 65536
add clients 10.0.0.9,tcp:80 timeout 30
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct, field

from netlab.errors import InputError, Problem

_CREATE = re.compile(r"create (\S+) (\w+):(\S+)(?: .*)?\Z")
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
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if created := _CREATE.match(text):
            found[created[1]] = IpSet(tuple(created[3].split(",")))
        elif (added := _ADD.match(text)) and added[1] in found:
            one = found[added[1]]
            into = one.but if "nomatch" in added[3].split() else one.members
            into.append(tuple(added[2].split(",")))
        elif text and not text.startswith("#"):
            said = f"{text[:60]!r} is no line of ipset save, or of a set that is not there"
            raise InputError([Problem(file, number, "", said, _HINT)])
    return found
