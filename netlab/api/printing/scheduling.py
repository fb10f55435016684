"""How PriorityClasses print."""

from __future__ import annotations

from netlab.api.printing.cells import AGE, NAME, Cell, Column, Printer, age, count
from netlab.objects.kinds.scheduling import PRIORITY_CLASS
from netlab.objects.meta import name
from netlab.objects.types import PriorityClass


def class_cells(obj: PriorityClass) -> list[Cell]:
    """NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY."""
    return [
        name(obj),
        obj.get("value") or 0,
        bool(obj.get("globalDefault")),
        age(obj),
        obj.get("preemptionPolicy") or "",
    ]


PRINTERS = {
    PRIORITY_CLASS: Printer(
        (
            NAME, count("Value"), Column("Global-Default", "boolean"), AGE,
            Column("PreemptionPolicy"),
        ),
        class_cells,
    ),
}  # fmt: skip
