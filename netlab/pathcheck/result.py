"""What a check ends with, as a line for people and as JSON. Pure."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct, field
from msgspec.structs import asdict

from netlab.diagnosis.facts import Cause
from netlab.pathcheck.path import Journey, describe

Status = Literal["pass", "fail", "error"]


class CheckResult(Struct, frozen=True):
    """One check's end.

    `status` "error" means that it could not run: neither passed nor failed. `journey` is the one
    shown, an offending one if there is any; `counts` how many tries each `address:port`
    answered or refused; `said` the first line that a real connection was answered with; `causes`
    what in the lab's objects it comes from, as `why.explained` finds it.
    """

    name: str
    description: str
    status: Status
    outcome: str = ""
    reasons: tuple[str, ...] = ()
    journey: Journey | None = None
    counts: dict[str, int] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    name_found: str = ""
    said: str = ""
    hint: str = ""
    causes: tuple[Cause, ...] = ()
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """True when everything was as expected."""
        return self.status == "pass"

    @property
    def path(self) -> str:
        """The packet's path, in one line."""
        return describe(self.journey) if self.journey is not None else ""

    @property
    def line(self) -> str:
        """One line: the verdict, the check, and its path or what was wrong."""
        word = {"pass": "PASS", "fail": "FAIL", "error": "ERROR"}[self.status]
        if self.status == "error":
            return f"{word} {self.name}: could not run: {'; '.join(self.reasons)}"
        details = [f"{self.name}: {self.outcome}" if self.passed else self.name]
        details += [*self.reasons, self._answered(), self.path]
        return f"{word} {' | '.join(each for each in details if each)}"

    def _answered(self) -> str:
        """`3 endpoints: default/web-0 34, default/web-1 35, default/web-2 31`."""
        if sum(self.counts.values()) < 2:
            return ""
        each = (f"{self.places.get(key, key)} {count}" for key, count in self.counts.items())
        many = "endpoint" if len(self.counts) == 1 else "endpoints"
        return f"{len(self.counts)} {many}: {', '.join(each)}"

    def json(self) -> dict[str, Any]:
        """The result as plain data."""
        journey = self.journey
        return {
            "name": self.name,
            "description": self.description,
            "status": self.status,
            "passed": self.passed,
            "outcome": self.outcome,
            "reasons": list(self.reasons),
            "causes": [cause.json() for cause in self.causes],
            "path": self.path,
            "hops": [asdict(hop) for hop in journey.hops] if journey else [],
            "dnat": [asdict(change) for change in journey.dnats] if journey else [],
            "masquerade": [asdict(change) for change in journey.snats] if journey else [],
            "sourceSeen": journey.seen_source if journey else None,
            "endpoints": [
                {"address": key, "place": self.places.get(key, ""), "tries": count}
                for key, count in self.counts.items()
            ],
            "resolved": self.name_found,
            "said": self.said,
            "seconds": round(self.seconds, 4),
        }


def exit_code(results: list[CheckResult]) -> int:
    """0 when all passed, 1 when one failed, 2 when one could not run."""
    statuses = {result.status for result in results}
    return 2 if "error" in statuses else 1 if "fail" in statuses else 0
