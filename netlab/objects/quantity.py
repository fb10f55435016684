"""Amounts of cpu and memory in Kubernetes' notation: `50m`, `1Mi`, `1k`. Pure.

Source: k8s.io/apimachinery/pkg/api/resource, the suffixes and their canonical form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction

_DECIMAL = {
    suffix: Fraction(10) ** power
    for suffix, power in {
        "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18,
    }.items()
}  # fmt: skip
_BINARY = {f"{letter}i": Fraction(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}
_FORM = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))(?:[eE]([+-]?\d+))?([A-Za-z]*)")
# Far beyond anything there is, and near enough to be counted with: 1e999999999 fills the memory.
_LONGEST = 64


def parse(text: object) -> Fraction:
    """The amount that a quantity stands for; 0 for what is none.

    What has more than 64 digits or an exponent of more than two stands for nothing that exists: 0.
    """
    found = _FORM.fullmatch(str(text))
    if not found or found[3] not in _DECIMAL | _BINARY:
        return Fraction(0)
    number, exponent = found[1], found[2] or "0"
    if len(number) > _LONGEST or len(exponent.lstrip("+-0")) > 2:
        return Fraction(0)
    return Fraction(number) * Fraction(10) ** int(exponent) * (_DECIMAL | _BINARY)[found[3]]


def total(texts: Iterable[object]) -> str:
    """The sum, in the suffixes of its first summand; `0` for no summands."""
    summands = [str(text) for text in texts]
    amount = sum((parse(text) for text in summands), Fraction(0))
    return canonical(amount, binary=bool(summands) and summands[0].endswith("i"))


def canonical(amount: Fraction, *, binary: bool = False) -> str:
    """The shortest exact spelling: `1k` for 1000, `50m` for a twentieth."""
    suffixes = {"": Fraction(1)} | _BINARY if binary else _DECIMAL
    for suffix, unit in sorted(suffixes.items(), key=lambda entry: -entry[1]):
        if amount and (amount / unit).denominator == 1:
            return f"{amount / unit}{suffix}"
    return "0"


def per_cent(amount: object, of: object) -> int:
    """How much of the whole that is, rounded down; 0 where the whole is unknown."""
    whole = parse(of)
    return int(parse(amount) * 100 / whole) if whole else 0
