"""The options that libxtables' extensions know, as python-iptables looks for them.

iptables 1.8.11 (Debian 13) made the bounds of an option 64 bits wide, which is eight bytes more for
each entry of these tables, and its library kept name and version. python-iptables 1.2 has the
narrower entries, and finds of a wider table the first option alone ("no such parameter"). What it
reads of an entry stands before the bounds: all that has to be known is where the next one begins.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_NEAR = 1 << 24
"""Bytes within which a table's names lie, all in one shared object; no bound is such a number."""


@functools.cache
def mend() -> None:
    """Once and for all have python-iptables read tables of either width."""
    library = import_module("iptc.xtables")

    def looked_up(_: Any, table: Any, name: bytes) -> Any:
        return next((each for each in entries(table) if each.name == name), None)

    def checked(_: Any, extension: bytes, given: int, table: Any) -> None:
        for each in entries(table):
            if each.flags & library.XTOPT_MAND and not given & 1 << each.id:
                raise library.XTablesError(f"{extension!r}: --{each.name!r} must be specified")

    # There is no other door: this is how it goes through a table itself.
    library.xtables._option_lookup = looked_up  # noqa: SLF001
    library.xtables._options_fcheck = checked  # noqa: SLF001


def entries(table: Any) -> Iterator[Any]:
    """The entries of a table, which is a pointer to the first; one without a name ends it."""
    narrow = type(table.contents)
    address = ctypes.addressof(table.contents)
    width = _width(address, ctypes.sizeof(narrow))
    while (entry := narrow.from_address(address)).name:
        yield entry
        address += width


def _width(address: int, narrow: int) -> int:
    """Bytes of an entry. Where the second name is in narrow tables, wide ones have a bound.

    A narrow table of one entry may pass for a wide one: it ends in as many zeros.
    """
    names = [ctypes.c_size_t.from_address(address + at).value for at in (0, narrow)]
    return narrow if abs(names[1] - names[0]) < _NEAR else narrow + 2 * ctypes.sizeof(ctypes.c_uint)
