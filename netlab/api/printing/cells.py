"""What a printed table is made of: columns, cells, and cells that age while nobody writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from netlab.objects.meta import AnyObject
from netlab.objects.times import parse_time
from netlab.view.ages import human_duration

NONE = "<none>"
UNKNOWN = "<unknown>"
UNSET = "<unset>"


class Column(Struct, frozen=True):
    """One column of a Table; `priority` 1 and more shows with `-o wide` only."""

    name: str
    type: Literal["string", "integer", "boolean"] = "string"
    priority: int = 0

    def definition(self) -> dict[str, object]:
        """The TableColumnDefinition. kubectl knows the name column by its format."""
        return {
            "name": self.name,
            "type": self.type,
            "format": "name" if self.name == "Name" else "",
            "description": "",
            "priority": self.priority,
        }


class Since(Struct, frozen=True):
    """A cell that says how long ago `moment` (epoch seconds) was, within some fixed text."""

    moment: float
    before: str = ""
    after: str = ""

    def text(self, now: float) -> str:
        """The cell as it reads at `now`."""
        return f"{self.before}{human_duration(now - self.moment)}{self.after}"


Cell = str | int | Since


class Printer(Struct, frozen=True):
    """How one kind prints: its columns, and the cells of one object in their order."""

    columns: tuple[Column, ...]
    cells: Callable[[Any], list[Cell]]


AGE = Column("Age")
NAME = Column("Name")


def wide(name: str) -> Column:
    """A column that shows with `-o wide` only."""
    return Column(name, priority=1)


def count(name: str) -> Column:
    """A column of whole numbers."""
    return Column(name, "integer")


def since(timestamp: object) -> Cell:
    """How long ago a timestamp of the object was; `<unknown>` when it is not set."""
    moment = parse_time(timestamp)
    return UNKNOWN if moment is None else Since(moment)


def age(obj: AnyObject) -> Cell:
    """The AGE of an object."""
    return since(obj["metadata"].get("creationTimestamp"))


def format_labels(labels: Mapping[str, str] | None) -> str:
    """`a=b,c=d` in order of the keys; `<none>` when there are none."""
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or NONE


def first_three(items: Iterable[str], *, nothing: str) -> str:
    """`a,b,c + 2 more...`, the way kubectl keeps long lists short."""
    every = list(items)
    if not every:
        return nothing
    text = ",".join(every[:3])
    return f"{text} + {len(every) - 3} more..." if len(every) > 3 else text
