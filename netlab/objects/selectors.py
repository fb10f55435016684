"""Label selectors in both spellings, and field selectors: parse once, match often."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct

from netlab.errors import BadRequest
from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.meta import AnyObject, Object

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]


class Requirement(Struct, frozen=True):
    """One condition on one label. NotIn holds, as in Kubernetes, when the label is absent."""

    key: str
    operator: Operator
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels meet the condition."""
        value = labels.get(self.key)
        if self.operator == "In":
            return value in self.values
        if self.operator == "NotIn":
            return value not in self.values
        if self.operator == "Exists":
            return value is not None
        if self.operator == "DoesNotExist":
            return value is None
        return value is not None and self._compares(value)

    def _compares(self, value: str) -> bool:
        try:
            mine, bound = int(value), int(next(iter(self.values)))
        except ValueError:
            return False
        return mine > bound if self.operator == "Gt" else mine < bound

    def __str__(self) -> str:
        values = sorted(self.values)
        match self.operator:
            case "In" | "NotIn" if len(values) == 1:
                return f"{self.key}{'=' if self.operator == 'In' else '!='}{values[0]}"
            case "In" | "NotIn":
                return f"{self.key} {self.operator.lower()} ({','.join(values)})"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case "Gt" | "Lt":
                return f"{self.key}{'>' if self.operator == 'Gt' else '<'}{values[0]}"


class Selector(Struct, frozen=True):
    """All its requirements together; without any it matches everything."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether these labels (None: no labels) are selected."""
        if self.nothing:
            return False
        mine = labels or {}
        for requirement in self.requirements:  # noqa: SIM110 - asked of each of many objects
            if not requirement.matches(mine):
                return False
        return True

    @property
    def is_everything(self) -> bool:
        """True when every object is selected, so that callers can skip the matching."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def from_map(labels: Mapping[str, str] | None) -> Selector:
    """A Service's `selector`: every pair must be there. None and {} select nothing."""
    if not labels:
        return NOTHING
    return Selector(tuple(Requirement(k, "In", frozenset([v])) for k, v in sorted(labels.items())))


def from_label_selector(selector: Mapping[str, Any] | None) -> Selector:
    """A LabelSelector object: `matchLabels` and `matchExpressions`. None nothing, {} everything."""
    if selector is None:
        return NOTHING
    pairs = sorted((selector.get("matchLabels") or {}).items())
    requirements = [Requirement(key, "In", frozenset([value])) for key, value in pairs]
    for expression in selector.get("matchExpressions") or []:
        values = frozenset(expression.get("values") or ())
        requirements.append(Requirement(expression["key"], expression["operator"], values))
    return Selector(tuple(requirements))


def of_pods(owner: AnyObject) -> Selector:
    """Which pods an object selects: none where it has no selector, or an empty one of pairs."""
    return from_label_selector(label_selector(owner))


def label_selector(owner: AnyObject) -> Mapping[str, Any] | None:
    """An object's selector as a LabelSelector, however its kind spells it; None if it has none."""
    selector: Mapping[str, Any] | None = (owner.get("spec") or {}).get("selector")
    kind = BY_KIND.get(str(owner.get("kind")))
    if kind is None or not kind.selects_by_pairs:
        return selector
    return {"matchLabels": selector} if selector else None


def format_label_selector(selector: Mapping[str, Any] | None) -> str:
    """A LabelSelector in the words of `kubectl -l`: `app=web,tier in (a,b),!old`."""
    if not selector:
        return "<none>"
    terms = [(key, f"{key}={value}") for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        terms.append((expression["key"], _expression(expression)))
    return ",".join(text for _, text in sorted(terms)) or "<none>"


def _expression(expression: Mapping[str, Any]) -> str:
    key, operator = expression["key"], expression.get("operator")
    if operator == "Exists":
        return str(key)
    if operator == "DoesNotExist":
        return f"!{key}"
    word = "in" if operator == "In" else "notin"
    return f"{key} {word} ({','.join(sorted(expression.get('values') or []))})"


_PART = re.compile(r"(?:[^,(]|\([^()]*\)|\()+")
"""What stands between commas, found in one go, however many there are."""
_SET = re.compile(r"(?P<key>[^\s!=<>,()]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)")
_COMPARED = re.compile(r"(?P<key>[^\s!=<>,()]+)\s*(?P<op>==|=|!=|>|<)\s*(?P<value>[^\s!=<>,()]*)")
_BARE = re.compile(r"(?P<absent>!?)\s*(?P<key>[^\s!=<>,()]+)")
_OPERATORS: dict[str, Operator] = {
    "=": "In", "==": "In", "!=": "NotIn", ">": "Gt", "<": "Lt", "in": "In", "notin": "NotIn",
}  # fmt: skip


def parse(text: str) -> Selector:
    """kubectl's spelling, `app=web,tier!=db,env in (a,b),!old`; `BadRequest` for anything else."""
    requirements = [_requirement(part, text) for part in _split(text) if part]
    return Selector(tuple(requirements)) if requirements else EVERYTHING


def _split(text: str) -> list[str]:
    """At the commas that stand outside parentheses."""
    return [part.strip() for part in _PART.findall(text)]


def _requirement(part: str, text: str) -> Requirement:
    if found := _SET.fullmatch(part):
        values = frozenset(value.strip() for value in found["values"].split(","))
        return Requirement(found["key"], _OPERATORS[found["op"]], values)
    if found := _COMPARED.fullmatch(part):
        return Requirement(found["key"], _OPERATORS[found["op"]], frozenset([found["value"]]))
    if found := _BARE.fullmatch(part):
        return Requirement(found["key"], "DoesNotExist" if found["absent"] else "Exists")
    raise BadRequest(
        f"unable to parse label selector {text!r}: cannot read {part!r}",
        hint="write key=value, key!=value, 'key in (a,b)', 'key notin (a,b)', key or !key, "
        "with commas between",
    )


# Field selectors: what a kind offers besides its name its record says.


class FieldSelector(Struct, frozen=True):
    """Equalities and inequalities on fields: (path, value, wanted)."""

    terms: tuple[tuple[tuple[str, ...], str, bool], ...] = ()

    def matches(self, obj: Object) -> bool:
        """Whether the object's fields are as asked."""
        return all((_field(obj, path) == value) is wanted for path, value, wanted in self.terms)

    @property
    def name(self) -> str | None:
        """The one name asked for, if the selector asks for one: a get in disguise."""
        for path, value, wanted in self.terms:
            if wanted and path == ("metadata", "name"):
                return value
        return None


def parse_fields(text: str, kind: str) -> FieldSelector:
    """`status.phase=Running,spec.nodeName!=`; `BadRequest` for a field the kind does not offer."""
    parts = _TERMS.findall(text)
    return FieldSelector(tuple(_term(part, text, kind) for part in parts))


_TERMS = re.compile(r"(?:[^,\\]|\\.)+", re.DOTALL)
"""What stands between commas; one with a backslash before it is part of a value."""


def _term(part: str, text: str, kind: str) -> tuple[tuple[str, ...], str, bool]:
    found = re.fullmatch(r"([^!=]*)(==|=|!=)(.*)", part, re.DOTALL)
    if found is None:
        raise BadRequest(
            f"invalid selector: '{text}'; can't understand '{part}'", hint="write field=value"
        )
    field, operator, value = found.groups()
    if (known := BY_KIND.get(kind)) is not None and field not in (offered := offers(known)):
        hint = f"{kind} offers {', '.join(offered)}"
        raise BadRequest(known.not_selectable.format(field), hint=hint)
    return tuple(field.split(".")), re.sub(r"\\([\\,=])", r"\1", value), operator != "!="


def offers(kind: Kind) -> tuple[str, ...]:
    """What field selectors may ask for. Where a kind names no field, the namespace is one, also
    of what has none, which is in the namespace ""."""
    has_namespace = kind.namespaced or not kind.selectable
    return ("metadata.name", *(["metadata.namespace"] if has_namespace else []), *kind.selectable)


def _field(obj: Object, path: tuple[str, ...]) -> str:
    """The field as text; "" when it is absent."""
    if path == ("source",):
        return _field(obj, ("source", "component")) or _field(obj, ("reportingComponent",))
    path = STANDS_FOR.get(path, path)
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return _DEFAULTS.get(path, "") if value is None or isinstance(value, list) else str(value)


STANDS_FOR: dict[tuple[str, ...], tuple[str, ...]] = {
    ("spec", "host"): ("spec", "nodeName"),
    ("status", "successful"): ("status", "succeeded"),
}
"""Fields that selectors name otherwise than objects."""


# What is absent selects as its zero value, as in the API server, where it is no pointer.
_DEFAULTS: dict[tuple[str, ...], str] = {
    ("spec", "unschedulable"): "false",
    ("spec", "hostNetwork"): "false",
    ("status", "replicas"): "0",
    ("status", "succeeded"): "0",
}

Matcher = Callable[[Object], bool]


def matcher(kind: str, label_selector: str, field_selector: str) -> Matcher | None:
    """Both selectors of a list or watch as one predicate; None when they select everything."""
    labels, fields = parse(label_selector), parse_fields(field_selector, kind)
    if labels.is_everything and not fields.terms:
        return None
    if not fields.terms:
        return lambda obj: labels.matches(obj["metadata"].get("labels"))
    return lambda obj: labels.matches(obj["metadata"].get("labels")) and fields.matches(obj)
