"""What differs between two nodes' rules, in either mode."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import Literal

from msgspec import Struct

Kind = Literal["missing", "stale", "altered", "order"]


class Difference(Struct, frozen=True):
    """One difference: `wanted` is what should be there, `found` what is; either may be "".

    `service` is the service port (`ns/name:port`) behind it, None for the common rules.
    """

    kind: Kind
    table: str
    chain: str
    service: str | None
    wanted: str = ""
    found: str = ""

    def __str__(self) -> str:
        who = f"Service {self.service}" if self.service else "common rules"
        what = {
            "missing": "missing",
            "stale": "should not be there",
            "altered": "altered",
            "order": "in the wrong order",
        }[self.kind]
        lines = [f"{who}: {self.table} {self.chain}: {what}"]
        lines += [f"  - {self.wanted}"] if self.wanted else []
        lines += [f"  + {self.found}"] if self.found else []
        return "\n".join(lines)


def beyond(
    rules: Iterable[str], others: Iterable[str], meaning: Callable[[str], Hashable]
) -> list[str]:
    """The rules that the others do not have, counting repetitions."""
    there = Counter(meaning(rule) for rule in others)
    found = []
    for rule in rules:
        if there[meaning(rule)]:
            there[meaning(rule)] -= 1
        else:
            found.append(rule)
    return found
