"""How PriorityClasses are stored.

Source: pkg/apis/scheduling/validation.
"""

from __future__ import annotations

from netlab.objects import priorities
from netlab.objects.kinds.scheduling import PRIORITY_CLASS
from netlab.objects.meta import Object
from netlab.objects.problems import forbidden, not_supported
from netlab.objects.strategies.strategy import Problems, Strategy, fill, keeps


def _default(obj: Object) -> None:
    fill(obj, preemptionPolicy=priorities.PREEMPTING)
    obj.setdefault("value", 0)


def _prepare(obj: Object) -> None:
    obj["metadata"]["generation"] = 1


def _validate(obj: Object) -> Problems:
    name, value = str((obj.get("metadata") or {}).get("name") or ""), obj.get("value") or 0
    if name.startswith(priorities.OF_THE_SYSTEM):
        if why := _unlike_the_systems(obj, name):
            text = (
                f"priority class names with '{priorities.OF_THE_SYSTEM}' prefix are reserved for "
                f"system use only. error: {why}"
            )
            yield forbidden(("metadata", "name"), text)
    elif value > priorities.HIGHEST_OF_USERS:
        most = priorities.HIGHEST_OF_USERS
        yield forbidden(("value",), f"maximum allowed value of a user defined priority is {most}")
    policy = obj.get("preemptionPolicy")
    if policy is not None and policy not in priorities.POLICIES:
        yield not_supported(("preemptionPolicy",), policy, priorities.POLICIES)


def _unlike_the_systems(obj: Object, name: str) -> str:
    """What tells the class from that of a cluster of this name; "" if nothing does."""
    if name not in priorities.SYSTEM_CLASSES:
        return f"{name} is not a known system priority class"
    value, _ = priorities.SYSTEM_CLASSES[name]
    if obj.get("value") != value:
        return f"value of {name} PriorityClass must be {value}"
    if obj.get("globalDefault"):
        return f"globalDefault of {name} PriorityClass must be false"
    return ""


def _update(new: Object, old: Object) -> Problems:
    if new.get("value") != old.get("value"):
        yield forbidden(("value",), "may not be changed in an update.")
    yield from keeps("preemptionPolicy")(new, old)


STRATEGIES = {
    PRIORITY_CLASS: Strategy(
        default=_default, prepare_create=_prepare, validate=_validate, validate_update=_update
    ),
}
