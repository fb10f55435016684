"""How often to try, and which counts a fair choice among n endpoints may give. Pure.

kube-proxy's rules pick each endpoint with probability 1/n, independently for each connection, so
the count X of one endpoint among N tries is Binomial(N, 1/n). A healthy Service may fail a check
with probability at most E = 1e-9, split in two halves:

- each gets k:   P(some endpoint has X < k) <= n P(X < k) <= E/2, which for k = 1 is
                 n (1 - 1/n)^N <= E/2:  n = 2: 32 tries, n = 3: 56, n = 10: 226.
                 `tries_for` gives the N after which a shortfall is no chance any more.
- evenly:        low and high are the furthest counts with P(X < low) and P(X > high) each
                 <= E/4n, so over both tails and all n endpoints at most E/2.
                 n = 3, N = 100: 7 to 65.
"""

from __future__ import annotations

import math

from msgspec import Struct

FALSE_ALARM = 1e-9
# Beyond this many tries a check would take longer than it is worth; only more than 90 endpoints
# need more to be all seen.
MOST = 2400


class FairBounds(Struct, frozen=True):
    """How many of `tries` may fall on one endpoint when the choice is fair."""

    tries: int
    low: int
    high: int


def tries_for(endpoints: int, each: int = 1) -> int:
    """The tries after which every one of n endpoints got `each`, but for one case in 2/E."""
    if endpoints < 2:
        return each
    low, high = each, 2 * each
    while not _suffices(high, endpoints, each):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _suffices(middle, endpoints, each) else (middle, high)
    return high


def _suffices(tries: int, endpoints: int, each: int) -> bool:
    missed = sum(_chance(count, tries, endpoints) for count in range(min(each, tries + 1)))
    return endpoints * missed <= FALSE_ALARM / 2


def bounds(tries: int, endpoints: int) -> FairBounds:
    """The widest counts that a fair choice gives, by the computation above."""
    if endpoints < 2:
        return FairBounds(tries, tries, tries)
    chances = [_chance(count, tries, endpoints) for count in range(tries + 1)]
    tail = FALSE_ALARM / (4 * endpoints)
    return FairBounds(tries, _reached(chances, tail), tries - _reached(chances[::-1], tail))


def _reached(chances: list[float], tail: float) -> int:
    """How many outcomes from the start together stay within `tail`."""
    total = 0.0
    for count, chance in enumerate(chances):
        total += chance
        if total > tail:
            return count
    return len(chances) - 1


def _chance(count: int, tries: int, endpoints: int) -> float:
    """P(X = count), through logarithms so that nothing overflows."""
    if not 0 <= count <= tries:
        return 0.0
    ways = math.lgamma(tries + 1) - math.lgamma(count + 1) - math.lgamma(tries - count + 1)
    hits, misses = -count * math.log(endpoints), (tries - count) * math.log1p(-1 / endpoints)
    return math.exp(ways + hits + misses)
