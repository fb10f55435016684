"""One mistake in an object, and the API server's own words for it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Set
from typing import Any, Literal

from msgspec import Struct

Path = tuple[str | int, ...]

Reason = Literal[
    "FieldValueInvalid",
    "FieldValueRequired",
    "FieldValueNotSupported",
    "FieldValueDuplicate",
    "FieldValueForbidden",
    "FieldValueNotFound",
    "FieldValueTooLong",
    "FieldValueTooMany",
    "FieldValueTypeInvalid",
    "UnknownField",
]


class Key(str):
    """A key of a map in a path, which the API server always puts in brackets: `data[a]`."""

    __slots__ = ()


class Name(str):
    """A field's name with dots in it that stands in a path without brackets."""

    __slots__ = ()


class FieldProblem(Struct, frozen=True):
    """What is wrong at one field: `path` leads to it, `reason` is the Status cause's reason.

    `UnknownField` is netlab's own: Kubernetes reports those as a 400, without a cause.
    `meant` is what the user probably meant: the path where an unknown field belongs, or the
    value instead of an unsupported one. `written` is where it stands, if an API server names it by
    another path.
    """

    path: Path
    message: str
    hint: str | None = None
    reason: Reason = "FieldValueInvalid"
    meant: Path | str | None = None
    written: Path | None = None

    @property
    def place(self) -> Path:
        """Where in the object it stands."""
        return self.path if self.written is None else self.written

    @property
    def field(self) -> str:
        """The path as the API server writes it: `spec.ports[0].nodePort`."""
        return render_path(self.path)

    def cause(self) -> dict[str, str]:
        """The entry of `details.causes` in a Status."""
        return {"reason": self.reason, "message": self.message, "field": self.field}

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.path else self.message


def render_path(path: Path) -> str:
    """`("spec", "ports", 0, "nodePort")` → `spec.ports[0].nodePort`.

    Keys that hold dots or slashes (labels) come in brackets: `metadata.labels[a.b/c]`.
    """
    text = ""
    for part in path:
        if isinstance(part, int | Key) or _is_key(part):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def _is_key(part: str) -> bool:
    return not isinstance(part, Name) and ("." in part or "/" in part)


def quote(value: Any) -> str:
    """A value as the API server shows it: strings quoted, the rest as JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def invalid(path: Path, value: Any, detail: str, hint: str | None = None) -> FieldProblem:
    """`Invalid value: "x": must be …`."""
    said = f": {detail}" if detail else ""
    return FieldProblem(path, f"Invalid value: {quote(value)}{said}", hint)


def required(path: Path, detail: str = "", hint: str | None = None) -> FieldProblem:
    """`Required value`, with a reason where the field's name does not say it."""
    text = f"Required value: {detail}" if detail else "Required value"
    return FieldProblem(path, text, hint, "FieldValueRequired")


def not_supported(path: Path, value: Any, supported: Iterable[str]) -> FieldProblem:
    """`Unsupported value: "x": supported values: "A", "B"`, with the likeliest as a hint.

    In the order in which they are given; those of a set have none, and are sorted."""
    choices = sorted(supported) if isinstance(supported, Set) else list(supported)
    text = ", ".join(quote(one) for one in choices)
    meant = did_you_mean(value, choices) if isinstance(value, str) else None
    return FieldProblem(
        path,
        f"Unsupported value: {quote(value)}: supported values: {text}",
        f'did you mean "{meant}"?' if meant else None,
        "FieldValueNotSupported",
        meant,
    )


def duplicate(path: Path, value: Any, hint: str | None = None) -> FieldProblem:
    """`Duplicate value: "x"`."""
    return FieldProblem(path, f"Duplicate value: {quote(value)}", hint, "FieldValueDuplicate")


def forbidden(path: Path, detail: str, hint: str | None = None) -> FieldProblem:
    """`Forbidden: …`."""
    return FieldProblem(path, f"Forbidden: {detail}", hint, "FieldValueForbidden")


def not_found(path: Path, value: Any, hint: str | None = None) -> FieldProblem:
    """`Not found: "x"`."""
    return FieldProblem(path, f"Not found: {quote(value)}", hint, "FieldValueNotFound")


def too_long(path: Path, limit: int) -> FieldProblem:
    """`Too long: may not be more than 63 bytes`."""
    text = f"Too long: may not be more than {limit} bytes"
    return FieldProblem(path, text, None, "FieldValueTooLong")


def too_many(path: Path, count: int, limit: int) -> FieldProblem:
    """`Too many: 300: must have at most 256 items`."""
    text = f"Too many: {count}: must have at most {limit} items"
    return FieldProblem(path, text, None, "FieldValueTooMany")


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """The choice that a mistyped word most likely means, or None; never its contrary, nor another
    of its series."""
    from difflib import get_close_matches  # slow to import, needed on mistakes only

    meant = (each for each in choices if not _contrary(word, each) and not _sibling(word, each))
    by_fold = {choice.lower(): choice for choice in meant}
    close = get_close_matches(word.lower(), by_fold, n=1, cutoff=0.6)
    return by_fold[close[0]] if close else None


def other_namespace(name: str, known: Iterable[str]) -> str:
    """The first namespace that has an object of that name, of these `namespace/name`; "" for none:
    who leaves the namespace out means one of his own."""
    spaces = (space for space, _, each in (one.partition("/") for one in known) if each == name)
    return min(spaces, default="")


def _sibling(word: str, other: str) -> bool:
    """`worker9` and `worker002` differ in their numbers alone: who types one means no other.
    `worker02` may be a mistyped `worker002`."""
    one, two = (re.split(r"(\d+)", each.lower()) for each in (word, other))
    numbers = [[number.lstrip("0") for number in each[1::2]] for each in (one, two)]
    return one[::2] == two[::2] and numbers[0] != numbers[1]


_DENIALS = ("un", "in", "im", "dis", "non", "no", "not")


def _contrary(word: str, other: str) -> bool:
    """`unreachable` and `reachable` differ in two letters, and mean the opposite."""
    one, two = word.lower(), other.lower()
    return any(
        longer.startswith(denial) and longer.removeprefix(denial).lstrip("-_") == shorter
        for longer, shorter in ((one, two), (two, one))
        for denial in _DENIALS
    )
