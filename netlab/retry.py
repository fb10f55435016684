"""How long what failed is left alone: each time twice as long, up to a cap."""

from __future__ import annotations

from msgspec import Struct

from netlab.errors import NetlabError


class Retry(Struct, frozen=True):
    """Seconds until what failed is tried again: at `first`, doubling, at most `cap`."""

    first: float = 0.1
    cap: float = 5.0

    def delay(self, failures: int) -> float:
        """After so many failures in a row, from 1."""
        return float(min(self.first * 2.0 ** min(failures - 1, 30), self.cap))

    def after(self, error: BaseException, failures: int) -> float:
        """As `delay`; what somebody has to mend is not asked for more often than can be."""
        lasting = isinstance(error, NetlabError) and not error.can_retry
        return self.cap if lasting else self.delay(failures)
