"""Amounts of resources: `500m`, `64Mi`, `1e3`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from netlab.objects.problems import FieldProblem, Path, invalid

# No amount needs more digits; whoever reckons with one of a thousand is long busy.
QUANTITY = re.compile(
    r"[+-]?([0-9]{1,32}\.?[0-9]{0,32}|\.[0-9]{1,32})([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?"
)
_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def quantity(path: Path, value: Any) -> Iterator[FieldProblem]:
    """One amount."""
    if not QUANTITY.fullmatch(str(value)):
        yield invalid(path, value, _RULE)
