"""Whole numbers that stand in text: in annotations, selectors, revisions."""

from __future__ import annotations

import re

_WHOLE = re.compile(r"-?[0-9]{1,18}")


def whole(text: str) -> int | None:
    """The number, of 18 digits at most; None for any other text, `²` and `٣` among it."""
    return int(text) if _WHOLE.fullmatch(text) else None
