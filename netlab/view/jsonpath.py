"""kubectl's JSONPath templates: `{range .items[*]}{.metadata.name}{"\\n"}{end}`. Pure.

What stands outside of braces is text; inside are paths, quoted text, `range PATH` and `end`. In
a path: `.name`, `..name`, `['name']`, `[0]`, `[-1]`, `[0:2]`, `[*]`, `.*`, `[?(@.a=="b")]`.
A field that is not there gives nothing. Source: kubectl's reference, "JSONPath Support".
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from netlab.errors import UsageError

Step = Callable[[Any], Iterator[Any]]
"""From one value to those a step further."""

_ACTION = re.compile(r"""\{((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^{}"'])*)\}""")
_QUOTED = r"""(?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')"""
_NAME = r"(?:\\.|[^\s.\[\](){}'\"\\,=<>!|&])+"
_BRACKET = rf"\[(?:{_QUOTED}|\[[^\]]*\]|[^\[\]'\"])*\]"
_PATH = re.compile(rf"(?:[$@]|\.\.?{_NAME}|\.|{_BRACKET}|(?<![.\w]){_NAME})+")
_WORD = re.compile(rf"\s*(?:(range)(?=\s)|(end)\b|({_QUOTED})|({_PATH.pattern}))")
_STEP = re.compile(rf"([$@])|(\.\.)({_NAME})?|\.?({_BRACKET})|\.?({_NAME})|(\.)")
_FILTER = re.compile(r"(.+?)\s*(==|!=|<=|>=|<|>)\s*(.+)", re.DOTALL)
_COMPARE = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


class TemplateNode(Struct, frozen=True):
    """A piece of a template: text, a path, or (with `body`) a loop over what a path finds."""

    text: str = ""
    path: tuple[Step, ...] | None = None
    body: tuple[TemplateNode, ...] | None = None


def render(template: str, value: object) -> str:
    """The template filled in. `UsageError` for one that makes no sense."""
    return "".join(_rendered(parse(template), value))


def find(path: str, value: object) -> list[Any]:
    """What `path` (with or without braces and leading dot) finds in `value`."""
    bare = path.strip().removeprefix("{").removesuffix("}").strip()
    if not bare.startswith((".", "[", "$", "@")):
        bare = f".{bare}"
    return _follow(_steps(bare), value)


def _rendered(nodes: Sequence[TemplateNode], value: object) -> Iterator[str]:
    for node in nodes:
        if node.path is None:
            yield node.text
        elif node.body is None:
            yield " ".join(text(found) for found in _follow(node.path, value))
        else:
            for found in _follow(node.path, value):
                yield from _rendered(node.body, found)


def text(value: object) -> str:
    """A value as it is printed: text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))


def _follow(path: Sequence[Step], value: object) -> list[Any]:
    values = [value]
    for step in path:
        values = [found for one in values for found in step(one)]
    return values


# -- templates -----------------------------------------------------------------------------


def parse(template: str) -> tuple[TemplateNode, ...]:
    """A template taken apart."""
    pieces: list[TemplateNode | str] = []
    end = 0
    for action in _ACTION.finditer(template):
        pieces.append(_plain(template[end : action.start()], template))
        pieces += _action(action[1], template)
        end = action.end()
    pieces.append(_plain(template[end:], template))
    nodes, rest = _nested(pieces, template)
    if rest:
        raise _broken(template, "end without range")
    return nodes


def _plain(part: str, template: str) -> TemplateNode:
    if "{" in part:
        raise _broken(template, "unclosed action")
    return TemplateNode(part)


def _action(content: str, template: str) -> Iterator[TemplateNode | str]:
    """The nodes of what stands in one pair of braces; `range` and `end` as words."""
    at = 0
    while content[at:].strip():
        word = _WORD.match(content, at)
        if not word:
            raise _broken(template, f"unrecognized character in action: {content[at:].strip()!r}")
        if word[3]:
            yield TemplateNode(_unquoted(word[3]))
        elif word[4]:
            yield TemplateNode(path=_steps(word[4]))
        else:
            yield word[1] or word[2]
        at = word.end()


def _nested(
    pieces: Sequence[TemplateNode | str], template: str, *, inside: bool = False
) -> tuple[tuple[TemplateNode, ...], Sequence[TemplateNode | str]]:
    """The nodes up to an `end`, loops with their bodies; and the pieces behind it."""
    nodes: list[TemplateNode] = []
    while pieces:
        piece, pieces = pieces[0], pieces[1:]
        if isinstance(piece, TemplateNode):
            nodes.append(piece)
        elif piece == "end":
            return tuple(nodes), pieces if inside else ["end"]
        else:
            if not pieces or not isinstance(pieces[0], TemplateNode) or pieces[0].path is None:
                raise _broken(template, "range without a path")
            over = pieces[0].path
            body, pieces = _nested(pieces[1:], template, inside=True)
            nodes.append(TemplateNode(path=over, body=body))
    if inside:
        raise _broken(template, "not enough `end`s")
    return tuple(nodes), ()


def _broken(template: str, why: str) -> UsageError:
    return UsageError(
        f"error parsing jsonpath {template}, {why}",
        hint="such as -o jsonpath='{.items[*].metadata.name}', in quotes for the shell",
    )


def _unquoted(quoted: str) -> str:
    escapes = {"n": "\n", "t": "\t", "r": "\r"}
    return re.sub(r"\\(.)", lambda found: escapes.get(found[1], found[1]), quoted[1:-1])


# -- paths ---------------------------------------------------------------------------------


def _steps(path: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    at = 0
    while at < len(path):
        part = _STEP.match(path, at)
        if not part:
            raise _broken("{" + path + "}", f"cannot read {path[at:]!r}")
        if part[2]:
            steps.append(_descend)
        if name := part[3] or part[5]:
            steps.append(_child(re.sub(r"\\(.)", r"\1", name)))
        elif part[4]:
            steps.append(_bracket(part[4][1:-1].strip(), path))
        at = part.end()
    return tuple(steps)


def _child(name: str) -> Step:
    def step(value: Any) -> Iterator[Any]:
        if name == "*":
            yield from _children(value)
        elif isinstance(value, dict) and name in value:
            yield value[name]

    return step


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


def _descend(value: Any) -> Iterator[Any]:
    yield value
    for child in _children(value):
        yield from _descend(child)


def _bracket(content: str, path: str) -> Step:
    if content == "*":
        return _child("*")
    if content.startswith("?(") and content.endswith(")"):
        return _filter(content[2:-1].strip())
    if re.fullmatch(rf"{_QUOTED}(?:\s*,\s*{_QUOTED})*", content):
        names = [_child(_unquoted(quoted)) for quoted in re.findall(_QUOTED, content)]
        return lambda value: (found for child in names for found in child(value))
    if re.fullmatch(r"-?\d+(?:\s*,\s*-?\d+)*", content):
        return _indexes([int(number) for number in content.split(",")])
    if re.fullmatch(r"-?\d*:-?\d*(?::\d+)?", content):
        return _slice(slice(*(int(part) if part else None for part in content.split(":"))))
    raise _broken("{" + path + "}", f"invalid array index [{content}]")


def _indexes(indexes: Sequence[int]) -> Step:
    def step(value: Any) -> Iterator[Any]:
        for index in indexes:
            if isinstance(value, list) and -len(value) <= index < len(value):
                yield value[index]

    return step


def _slice(which: slice) -> Step:
    return lambda value: iter(value[which] if isinstance(value, list) else ())


def _filter(condition: str) -> Step:
    found = _FILTER.fullmatch(condition)
    left = _steps(found[1] if found else condition)
    right = _operand(found[3]) if found else None
    compare = _COMPARE[found[2]] if found else None

    def holds(value: Any) -> bool:
        have = _follow(left, value)
        if compare is None or right is None:
            return bool(have)
        try:
            return any(compare(one, other) for one in have for other in right(value))
        except TypeError:  # text is neither less nor more than a number
            return False

    return lambda value: (one for one in _children(value) if holds(one))


def _operand(text_: str) -> Callable[[Any], list[Any]]:
    if text_.startswith(("@", "$")):
        steps = _steps(text_)
        return lambda value: _follow(steps, value)
    if re.fullmatch(_QUOTED, text_):
        constant: Any = _unquoted(text_)
    else:
        try:
            constant = json.loads(text_)
        except ValueError:
            constant = text_
    return lambda _: [constant]
