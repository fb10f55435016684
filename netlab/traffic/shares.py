"""How sure a share is that was counted. Pure.

Of n connections k fell on an endpoint. Wilson's score interval holds the shares p for which k is no
surprise: those within z standard deviations √(p(1-p)/n) of k/n. It stays within 0 and 1, and holds
for small n and for k = 0, where k/n ± z·√… is nonsense.

Whether an endpoint is off is another question, asked of all m endpoints of a Service every time:
it is where what is expected lies outside of the interval by which one healthy Service in a thousand
has such an endpoint (z for 1 - 0.001/m, by Bonferroni).

Where nodes choose among different endpoints, the number is a sum of draws with several chances.
It varies less than one of as many draws with their mean, so both err on the side of silence.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from msgspec import Struct

_NINETY_FIVE = 1.959963984540054
_FALSE_ALARM = 0.001


class Interval(Struct, frozen=True):
    """Shares from 0 to 1."""

    low: float
    high: float

    def has(self, share: float) -> bool:
        """Whether a share lies in it, but for what is lost in computing it."""
        return self.low - 1e-12 <= share <= self.high + 1e-12


def interval(count: int, total: int, z: float = _NINETY_FIVE) -> Interval:
    """Wilson's for `count` of `total`: 95 % unless said. Of nothing, all is possible."""
    if total == 0:
        return Interval(0.0, 1.0)
    share, part = count / total, z * z / total
    middle = share + part / 2
    half = z * math.sqrt(share * (1 - share) / total + part / (4 * total))
    low, high = (middle - half) / (1 + part), (middle + half) / (1 + part)
    # Rounding must not move the ends of all that is possible.
    return Interval(low if count else 0.0, high if count < total else 1.0)


def is_off(count: int, total: int, expected: float, endpoints: int) -> bool:
    """Whether a share is no chance any more, of that many endpoints which are asked the same."""
    z = NormalDist().inv_cdf(1 - _FALSE_ALARM / (2 * max(1, endpoints)))
    return not interval(count, total, z).has(expected)
