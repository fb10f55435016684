"""Whether an object is allowed, in the API server's own words and with its field paths.

What all kinds have in common; what each has of its own its strategy says. `validate` is for
defaulted objects, `validate_update` compares with what is stored. Both return every problem;
neither raises, whatever JSON it is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec.structs import replace

from netlab.objects import fields, strategies, visiting
from netlab.objects.examination import Examination, examine
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, forbidden, invalid, quote, required
from netlab.objects.strategies.strategy import IMMUTABLE, Strategy

# Structure that the API server checks after decoding: 422, not 400.
_CHECKED_HERE = ("FieldValueNotSupported", "FieldValueInvalid", "FieldValueRequired")
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_CONTRARY_FINALIZERS = ("orphan", "foregroundDeletion")


def validate(obj: Object, *, is_sound: bool = False) -> list[FieldProblem]:
    """Everything wrong with an object's values: names, labels, ports, enums, required fields. The
    structure of one that `is_sound` is not looked at again."""
    found = Examination(obj) if is_sound else examine(obj)
    kind = str(obj.get("kind"))
    checked = [one for one in found.problems if one.reason in _CHECKED_HERE]
    structural = [one for one in checked if not visiting.is_told_by_rules(kind, one)]
    every = visiting.ordered(kind, structural, _sound_rules(found))
    return unique([one for one in every if not _in_status(one)])


def _in_status(problem: FieldProblem) -> bool:
    """What controllers and kubelets leave out of a status hinders nobody's update."""
    return problem.path[:1] == ("status",)


def rule_problems(found: Examination) -> list[FieldProblem]:
    """What the rules of its kind say about an examined object's sound copy, beyond what is said of
    its structure: nothing of what would stand in a field that is missing."""
    missing = [one.path for one in found.problems if one.reason == "FieldValueRequired"]
    rules = _sound_rules(found)
    return [one for one in rules if not any(one.path[: len(path)] == path for path in missing)]


def _sound_rules(found: Examination) -> list[FieldProblem]:
    return [one for one in _rules(found.sound) if not found.concerns_lost(one.path)]


def creation_problems(obj: Object) -> list[FieldProblem]:
    """What only a new object may not say."""
    return list(strategies.of(obj).validate_direct(obj, None))


def validate_update(new: Object, old: Object) -> list[FieldProblem]:
    """What may not change: immutable fields of `new` that differ from the stored `old`."""
    return unique([*_identity(new, old), *strategies.of(old).validate_update(new, old)])


def _identity(new: Object, old: Object) -> Iterator[FieldProblem]:
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    for field in ("name", "namespace", "uid", "creationTimestamp"):
        was, wanted = before.get(field), after.get(field)
        if wanted is not None and was is not None and wanted != was:
            yield invalid(("metadata", field), wanted, IMMUTABLE)


def validate_status(obj: Object, old: Object | None = None) -> list[FieldProblem]:
    """What is wrong with a status, also beside the stored object's; what controllers and kubelets
    leave out of it is no problem."""
    strategy = strategies.of(obj)
    found = list(strategy.validate_status(("status",), obj.get("status") or {}))
    return found if old is None else unique([*found, *strategy.validate_status_update(obj, old)])


def unique(problems: Iterable[FieldProblem]) -> list[FieldProblem]:
    """The problems in order, each once; that a field is missing once, as it was said first."""
    seen: dict[tuple[Path, str], FieldProblem] = {}
    for problem in problems:
        is_missing = problem.reason == "FieldValueRequired"
        seen.setdefault((problem.path, "" if is_missing else problem.message), problem)
    return list(seen.values())


def _rules(obj: Object) -> Iterator[FieldProblem]:
    strategy = strategies.of(obj)
    yield from _metadata(str(obj.get("kind")), obj.get("metadata") or {}, strategy)
    yield from strategy.validate(obj)


def _metadata(kind: str, metadata: dict[str, Any], strategy: Strategy) -> Iterator[FieldProblem]:
    path: Path = ("metadata",)
    name, start = metadata.get("name") or "", metadata.get("generateName") or ""
    if start:
        yield from _name_start((*path, "generateName"), start, strategy)
    if name:
        yield from strategy.validate_name((*path, "name"), name)
    elif not start:
        yield required((*path, "name"), "name or generateName is required")
    yield from _namespace(kind, metadata.get("namespace") or "")
    yield from fields.labels((*path, "labels"), metadata.get("labels") or {})
    yield from fields.annotation_pairs((*path, "annotations"), metadata.get("annotations") or {})
    yield from _owners((*path, "ownerReferences"), metadata.get("ownerReferences") or [])
    yield from _finalizers((*path, "finalizers"), metadata.get("finalizers") or [])


def _name_start(path: Path, start: str, strategy: Strategy) -> Iterator[FieldProblem]:
    """What names begin with: it may end as none may, in a dash that something will follow."""
    looked_at = f"{start[:-2]}a" if len(start) > 1 and start.endswith("-") else start
    for problem in strategy.validate_name(path, looked_at):
        message = problem.message.replace(quote(looked_at), quote(start), 1)
        yield replace(problem, message=message, hint=None)


def _namespace(kind: str, namespace: str) -> Iterator[FieldProblem]:
    path: Path = ("metadata", "namespace")
    known = BY_KIND.get(kind)
    if namespace and known is not None and not known.namespaced:
        yield forbidden(path, "not allowed on this type")
    elif namespace:
        yield from fields.dns_label(path, namespace)


def _finalizers(path: Path, finalizers: list[str]) -> Iterator[FieldProblem]:
    for finalizer in finalizers:
        yield from fields.qualified_name(path, finalizer)
    if all(each in finalizers for each in _CONTRARY_FINALIZERS):
        first, second = _CONTRARY_FINALIZERS
        yield invalid(path, finalizers, f"finalizer {first} and {second} cannot be both set")
    for index, finalizer in enumerate(finalizers):
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            detail = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid((*path, index), finalizer, detail)


def _owners(path: Path, references: list[dict[str, Any]]) -> Iterator[FieldProblem]:
    first = ""
    for one in references:
        yield from _owner(path, one)
        if not one.get("controller"):
            continue
        name = f"{one.get('kind')}/{one.get('name')}"
        if first:
            yield invalid(
                path,
                references,
                "Only one reference can have Controller set to true. "
                f'Found "true" in references for {first} and {name}',
            )
        first = first or name


def _owner(path: Path, reference: dict[str, Any]) -> Iterator[FieldProblem]:
    version = str(reference.get("apiVersion") or "")
    if not version or version.count("/") > 1 or version.endswith("/"):
        yield invalid((*path, "apiVersion"), version, "version must not be empty")
    for field in ("kind", "name", "uid"):
        if not reference.get(field):
            yield invalid((*path, field), "", "must not be empty")
    if (version, reference.get("kind")) == ("v1", "Event"):
        yield invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner")
