"""Whole numbers that stand in text: in annotations, selectors, revisions."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"-?[0-9]{1,19}")


def whole(text: str) -> int | None:
    """The number, of 64 bits at most; None for any other text, `²` and `٣` among it."""
    number = int(text) if _WHOLE.fullmatch(text) else None
    return number if number is not None and -(2**63) <= number < 2**63 else None
