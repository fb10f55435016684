"""One object from a document: which kind it is, everything wrong with it, what it becomes."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from netlab.objects import examination, validate_lab, validation
from netlab.objects.examination import Examination
from netlab.objects.kinds import BY_KIND, OWN
from netlab.objects.kinds.own import LAB, PATH_CHECK, UNSERVED
from netlab.objects.lab import Lab, lab_from_object
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, did_you_mean, invalid, quote, required
from netlab.objects.strategies import apply_defaults
from netlab.objects.translation import translated
from netlab.objects.yamltext import Document, YamlNode

if TYPE_CHECKING:
    from netlab.objects.pathcheck import PathCheck


_KNOWN = {**OWN, **BY_KIND}


class Intake(Struct):
    """What became of one object. Without problems exactly one of `lab`, `check`, `sound` counts.

    `defaulted` is what the API would make of the object, for checks across objects. Problems'
    paths are those of the sound copy; `examined` leads back to the text.
    """

    sound: Object
    problems: list[FieldProblem] = field(default_factory=list)
    examined: Examination | None = None
    defaulted: Object = field(default_factory=dict)
    lab: Lab | None = None
    check: PathCheck | None = None
    unserved: str = ""
    """The object's kind if Kubernetes has it and a lab has not: what counts then is nothing."""
    translated: str = ""
    """What was understood of an object of a version that is no more."""

    @property
    def kind(self) -> str:
        """The object's kind, as mended; "" when that is unclear."""
        return str(self.sound.get("kind") or "")


def take_in(value: Any, document: Document, start: Path, *, strict: bool = True) -> Intake:
    """Identify, examine and validate one object that begins at `start` of its document."""
    if not isinstance(value, dict):
        return Intake({}, [_no_object(value)])
    kind = value.get("kind")
    if isinstance(kind, str) and _is_unserved(kind):
        return Intake({}, unserved=kind)
    today = translated(value)
    obj, problems, origins = _identified(today.obj)
    origins |= today.origins
    if any(problem.reason != "UnknownField" and not problem.meant for problem in problems):
        return Intake({}, problems)
    found = examination.examine(obj)
    found.origins.update({new: old for new, old in origins.items() if new not in found.origins})
    structural = [
        _with_hint(one, document, start + found.origin(one.path))
        for one in found.problems
        if strict or one.reason != "UnknownField"
    ]
    taken = Intake(found.sound, problems + structural, found, translated=today.said)
    _validate(taken, found)
    taken.problems = [_with_comment_hint(one, obj) for one in taken.problems]
    return taken


def _is_unserved(kind: str) -> bool:
    return kind in UNSERVED or (kind in BY_KIND and not BY_KIND[kind].in_files)


_SHOWN = 38
"""Characters of a text that stands where an object should."""


def _no_object(value: Any) -> FieldProblem:
    text = str(value)
    shown = quote(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
    what = "a list" if isinstance(value, list) else f"plain text ({shown})"
    return FieldProblem(
        (),
        f"an object is expected here, not {what}",
        "an object begins with apiVersion: and kind:",
        "FieldValueTypeInvalid",
    )


def _validate(taken: Intake, found: Examination) -> None:
    if taken.kind == LAB.kind:
        taken.problems += validate_lab.lab_rules(found)
        taken.lab = None if taken.problems else lab_from_object(found.sound)
    elif taken.kind == PATH_CHECK.kind:
        from netlab.objects import (  # many inputs have none: 3 ms saved
            pathcheck,
            validate_pathcheck,
        )

        taken.problems = list(map(validate_pathcheck.with_hint, taken.problems))
        taken.problems += validate_pathcheck.check_rules(found)
        taken.check = None if taken.problems else pathcheck.check_from_object(found.sound)
    else:
        taken.defaulted = deepcopy(found.sound)
        apply_defaults(taken.defaulted)
        rules = validation.rule_problems(replace(found, sound=taken.defaulted))
        of_new = validation.creation_problems(taken.defaulted)
        every = [*taken.problems, *rules, *of_new, *_nameless(found.sound)]
        taken.problems = validation.unique(every)


def _nameless(obj: Object) -> list[FieldProblem]:
    """Applying a file twice must mean the same object: a generated name would not."""
    metadata = obj.get("metadata") or {}
    if metadata.get("name") or not metadata.get("generateName"):
        return []
    hint = "generateName makes a new object each time; write a name"
    return [required(("metadata", "name"), "", hint)]


def _with_comment_hint(problem: FieldProblem, obj: Object) -> FieldProblem:
    """`web // the old one`, as textbooks print it, is all one value."""
    written: Any = obj
    for key in problem.path:
        try:
            written = written[key]
        except (KeyError, IndexError, TypeError):
            return problem
    if not isinstance(written, str) or " //" not in written:
        return problem
    return replace(problem, hint="// begins no comment in YAML: write # instead")


# apiVersion and kind


def _identified(value: Object) -> tuple[Object, list[FieldProblem], dict[Path, Path]]:
    """The object with its kind and apiVersion put right, as far as it is plain what is meant."""
    obj, problems, origins = dict(value), list[FieldProblem](), dict[Path, Path]()
    for name in ("kind", "apiVersion"):
        _respelled(obj, name, problems, origins)
    kind = obj.get("kind")
    if not isinstance(kind, str) or not kind:
        problems.append(required(("kind",), "every object says what it is", _kind_hint()))
        return obj, problems, origins
    if kind not in _KNOWN:
        problems.append(_unknown_kind(kind))
        obj["kind"] = problems[-1].meant or kind
    if obj["kind"] in _KNOWN:
        _put_version(obj, problems)
    return obj, problems, origins


def _respelled(
    obj: Object, name: str, problems: list[FieldProblem], origins: dict[Path, Path]
) -> None:
    """`Kind:` or `apiVerison:` taken for what is meant."""
    if obj.get(name) is not None:
        return
    known = {"apiVersion", "kind", "metadata", "spec", "status", "data", "type"}
    written = did_you_mean(name, [key for key in obj if key not in known])
    if written is None:
        return
    hint = f'did you mean "{name}"?'
    text = f'unknown field "{written}"'
    problems.append(FieldProblem((written,), text, hint, "UnknownField", (name,)))
    obj[name] = obj.pop(written)
    origins[(name,)] = (written,)


def _kind_hint() -> str:
    return "kinds are " + ", ".join(_KNOWN)


def _unknown_kind(kind: str) -> FieldProblem:
    meant = did_you_mean(kind, tuple(_KNOWN))
    hint = f'did you mean "{meant}"?' if meant else _kind_hint()
    return FieldProblem(("kind",), f"unknown kind {quote(kind)}", hint, meant=meant)


def _put_version(obj: Object, problems: list[FieldProblem]) -> None:
    """The kind's own apiVersion; another one is a mistake. Lab and PathCheck may leave it out."""
    kind, written = obj["kind"], obj.get("apiVersion")
    right = _KNOWN[kind].api_version
    obj["apiVersion"] = right
    hint = f"write apiVersion: {right}"
    if written is None and kind not in OWN:
        problems.append(replace(required(("apiVersion",), "", hint), meant=right))
    elif written is not None and written != right:
        detail = f"{kind} is served in {right} only"
        problems.append(replace(invalid(("apiVersion",), written, detail, hint), meant=right))


# Hints from how a value was written


def _with_hint(problem: FieldProblem, document: Document, path: Path) -> FieldProblem:
    """A wrong type often is a slip of YAML's; say which."""
    if problem.reason != "FieldValueTypeInvalid" or problem.hint:
        return problem
    node = document.scalar(path)
    if node is None:
        return replace(problem, hint=_shape_hint(problem.message))
    return replace(problem, hint=_scalar_hint(problem.message, node))


def _shape_hint(message: str) -> str | None:
    if message.startswith("must be a list, not a mapping"):
        return 'begin each entry with "- "'
    if message.startswith("must be a mapping, not a list"):
        return 'leave out the "- "'
    return None


def _scalar_hint(message: str, node: YamlNode) -> str | None:
    text = str(node.value)
    if message.startswith("must be a string") and node.plain:
        return f'write it in quotes: "{text}"' if text else None
    digits = text.strip().lstrip("0")
    if message.startswith("must be a whole number") and digits.isdigit():
        return f"write {digits}" if node.plain else f"write {digits} without quotes"
    if message.startswith("must be true or false") and text.lower() in ("true", "false"):
        return f"write {text.lower()} without quotes"
    return None
