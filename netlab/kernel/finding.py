"""One thing that `netlab doctor` has looked at."""

from __future__ import annotations

from msgspec import Struct


class Finding(Struct, frozen=True):
    """Whether it is well, what was seen, and what mends it.

    What is not `required` keeps no lab from standing up.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
    required: bool = True
