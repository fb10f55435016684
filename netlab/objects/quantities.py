"""Amounts of resources: `500m`, `64Mi`, `1e3`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from netlab.objects.problems import FieldProblem, Path, invalid

QUANTITY = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d+)?")
_RULE = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def quantity(path: Path, value: Any) -> Iterator[FieldProblem]:
    """One amount."""
    if not QUANTITY.fullmatch(str(value)):
        yield invalid(path, value, _RULE)
