"""Regular expressions in time that grows with the text alone, as those of Go and RE2.

Python's `re` goes back and tries again, so `(a+)+$` takes a second for thirty letters and a century
for sixty; who writes a Corefile would stop all names of a cluster with it. Here all ways through an
expression are walked at once, a letter at a time (Pike's machine): a step for each letter and each
instruction, of which there are `MOST` at most. Those that leave one choice alone `re` still does.
What of `re` cannot be had so (backreferences, looks ahead and behind, groups that are not given
back) is refused, as there.

https://swtch.com/~rsc/regexp/regexp2.html
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from re import _constants as of  # type: ignore[attr-defined]  # `re` has no other door to its trees
from re import _parser  # type: ignore[attr-defined]
from typing import Any, NamedTuple

MOST = 1_000
"""Instructions that an expression may come to, repetitions written out: RE2's bound for one."""

_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "digit": "0-9", "lower": "a-z", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f", "punct": r"!-/:-@\[-`{-~", "space": r"\t-\r ", "word": "0-9A-Za-z_",
}  # fmt: skip
_CLASS = re.compile(rf"\[:({'|'.join(_POSIX)}):\]")
_SPACE, _WORD = " \t\n\r\f\v", "_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_CATEGORIES = {"DIGIT": "0123456789", "SPACE": _SPACE, "WORD": _WORD}

_LETTERS = (of.LITERAL, of.NOT_LITERAL, of.ANY, of.IN)
_FLAGS = re.IGNORECASE | re.ASCII

Fits = Callable[[str], bool]
Saved = tuple[int, ...]


class Found:
    """What of a text an expression fits, and its groups; as `re.Match`."""

    def __init__(self, text: str, places: Saved, names: dict[str, int]) -> None:
        self._text = text
        self._places = places
        self._names = names

    def __getitem__(self, group: int | str) -> str | None:
        """A group, by number or name; None if it is in no way that was taken."""
        number = self._names.get(group, -1) if isinstance(group, str) else group
        if not 0 <= 2 * number < len(self._places):
            raise IndexError("no such group")
        start, end = self._places[2 * number : 2 * number + 2]
        return self._text[start:end] if end >= 0 else None

    def start(self) -> int:
        """Where it begins."""
        return self._places[0]

    def end(self) -> int:
        """Where it ends."""
        return self._places[1]


class _Letter(NamedTuple):
    fits: Fits


class _Fork(NamedTuple):
    """Goes on in two places; what the first comes to counts more."""

    first: int
    second: int


class _Save(NamedTuple):
    place: int


class _At(NamedTuple):
    holds: Callable[[str, int], bool]


class _End(NamedTuple):
    pass


_Instruction = _Letter | _Fork | _Save | _At | _End
_Ways = list[tuple[int, Saved]]


class Expression:
    """An expression, letters great or small; `re.error` for what is none, or none of RE2's."""

    def __init__(self, text: str) -> None:
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = _parser.parse(_in_python(text), re.IGNORECASE)
            program = _Program()
            program.sequence([(of.SUBPATTERN, (0, 0, 0, tree))], tree.state.flags)
        except (RecursionError, OverflowError):
            raise re.error("expression nests too deeply") from None
        self.groups = int(tree.state.groups) - 1
        self._names = dict(tree.state.groupdict)
        self._program = [*program.instructions, _End()]
        self._nothing = (-1,) * (2 * self.groups + 2)
        # Most are so, and Python is a hundred times as fast with these.
        self._simple = re.compile(_in_python(text), _FLAGS) if _is_simple(tree) else None

    def search(self, text: str) -> Found | re.Match[str] | None:
        """Where it first fits."""
        if self._simple is not None and "\n" not in text:
            return self._simple.search(text)
        ways, seen, best = _Ways(), set[int](), None
        for at in range(len(text) + 1):
            if best is None:
                self._follow(ways, seen, text, at, (0, self._nothing))
            ways, seen, ended = self._step(ways, text, at)
            best = ended or best
            if not ways and best is not None:
                break
        return Found(text, best, self._names) if best is not None else None

    def _step(self, ways: _Ways, text: str, at: int) -> tuple[_Ways, set[int], Saved | None]:
        """The ways on past a letter, and the one that has come to its end, before which none counts
        more any longer."""
        onward, seen = _Ways(), set[int]()
        for place, saved in ways:
            instruction = self._program[place]
            if isinstance(instruction, _End):
                return onward, seen, saved
            if at < len(text) and isinstance(instruction, _Letter) and instruction.fits(text[at]):
                self._follow(onward, seen, text, at + 1, (place + 1, saved))
        return onward, seen, None

    def _follow(
        self, ways: _Ways, seen: set[int], text: str, at: int, way: tuple[int, Saved]
    ) -> None:
        """Add where a way leads to without a letter, in the order in which they count."""
        left = [way]
        while left:
            place, saved = left.pop()
            if place in seen:
                continue
            seen.add(place)
            match self._program[place]:
                case _Fork(first, second):
                    left += [(second, saved), (first, saved)]
                case _Save(number):
                    left.append((place + 1, (*saved[:number], at, *saved[number + 1 :])))
                case _At(holds):
                    left += [(place + 1, saved)] if holds(text, at) else []
                case _:
                    ways.append((place, saved))


def _is_simple(tree: Any) -> bool:
    """Whether there is one choice at most, how often a letter is repeated: whoever tries all of
    them, from each letter on, tries no more than the square of a name's length."""
    choices = 0
    left = list(tree)
    while left:
        kind, value = left.pop()
        if kind is of.SUBPATTERN:
            left += value[-1]
        elif kind in (of.MAX_REPEAT, of.MIN_REPEAT):
            choices += 1 if len(value[2]) == 1 and value[2][0][0] in _LETTERS else 2
        elif kind not in (*_LETTERS, of.AT):
            return False
    return choices <= 1


def _in_python(text: str) -> str:
    """What Go and Python write differently."""
    posix = _CLASS.sub(lambda each: _POSIX[each[1]], text)
    return re.sub(r"\\(.)", lambda each: r"\Z" if each[1] == "z" else each[0], posix, flags=re.S)


class _Program:
    """Instructions of a tree."""

    def __init__(self) -> None:
        self.instructions: list[_Instruction] = []

    def sequence(self, nodes: Iterable[tuple[Any, Any]], flags: int) -> None:
        """Add those of one node after the other."""
        for kind, value in nodes:
            self._node(kind, value, flags)

    def _add(self, instruction: _Instruction) -> int:
        if len(self.instructions) >= MOST:
            raise re.error("expression too large")
        self.instructions.append(instruction)
        return len(self.instructions) - 1

    def _node(self, kind: Any, value: Any, flags: int) -> None:
        if kind is of.BRANCH:
            self._branch(value[1], flags)
        elif kind is of.SUBPATTERN:
            group, added, taken, nodes = value
            self._group(group, nodes, (flags | added) & ~taken)
        elif kind in (of.MAX_REPEAT, of.MIN_REPEAT):
            least, most, nodes = value
            self._repeat(least, most, nodes, flags, lazy=kind is of.MIN_REPEAT)
        elif kind is of.AT:
            self._add(_At(_place(value, flags)))
        else:
            self._add(_Letter(_letter(kind, value, flags)))

    def _group(self, group: int | None, nodes: Any, flags: int) -> None:
        if group is not None:
            self._add(_Save(2 * group))
        self.sequence(nodes, flags)
        if group is not None:
            self._add(_Save(2 * group + 1))

    def _branch(self, ways: Sequence[Any], flags: int) -> None:
        ends = list[int]()
        for nodes in ways[:-1]:
            fork = self._add(_End())
            self.sequence(nodes, flags)
            ends.append(self._add(_End()))
            self.instructions[fork] = _Fork(fork + 1, len(self.instructions))
        self.sequence(ways[-1], flags)
        for end in ends:
            self.instructions[end] = _Fork(len(self.instructions), len(self.instructions))

    def _repeat(self, least: int, most: Any, nodes: Any, flags: int, *, lazy: bool) -> None:
        def fork(place: int, on: int, past: int) -> None:
            self.instructions[place] = _Fork(past, on) if lazy else _Fork(on, past)

        for _ in range(least):
            before = len(self.instructions)
            self.sequence(nodes, flags)
            if before == len(self.instructions):
                return  # nothing, however often
        if most is of.MAXREPEAT:
            start = self._add(_End())
            self.sequence(nodes, flags)
            self._add(_Fork(start, start))
            fork(start, start + 1, len(self.instructions))
            return
        starts = list[int]()
        for _ in range(most - least):
            starts.append(self._add(_End()))
            self.sequence(nodes, flags)
        for start in starts:
            fork(start, start + 1, len(self.instructions))


def _place(kind: Any, flags: int) -> Callable[[str, int], bool]:
    lines = flags & re.MULTILINE
    if kind is of.AT_BEGINNING and lines:
        return lambda text, at: at == 0 or text[at - 1] == "\n"
    if kind is of.AT_END and lines:
        return lambda text, at: at == len(text) or text[at] == "\n"
    return {
        of.AT_BEGINNING: lambda _, at: at == 0,
        of.AT_BEGINNING_STRING: lambda _, at: at == 0,
        of.AT_END: lambda text, at: at == len(text),
        of.AT_END_STRING: lambda text, at: at == len(text),
        of.AT_BOUNDARY: _between,
        of.AT_NON_BOUNDARY: lambda text, at: not _between(text, at),
    }[kind]


def _between(text: str, at: int) -> bool:
    """Whether a word begins or ends there."""
    before, after = text[at - 1 : at] if at else "", text[at : at + 1]
    return (bool(before) and before in _WORD) != (bool(after) and after in _WORD)


def _letter(kind: Any, value: Any, flags: int) -> Fits:
    if kind is of.ANY:
        return (lambda _: True) if flags & re.DOTALL else (lambda letter: letter != "\n")
    if kind is of.IN:
        wanted = value[0][0] is not of.NEGATE
        items = [_item(*each) for each in (value if wanted else value[1:])]
    elif kind in (of.LITERAL, of.NOT_LITERAL):
        wanted, items = kind is of.LITERAL, [_item(of.LITERAL, value)]
    else:
        raise re.error(f"invalid or unsupported Perl syntax ({str(kind).lower()})")
    known = dict[str, bool]()

    def fits(letter: str) -> bool:
        if letter not in known:
            kinds = {letter, letter.lower(), letter.upper()}
            known[letter] = any(item(each) for item in items for each in kinds) is wanted
        return known[letter]

    return fits


def _item(kind: Any, value: Any) -> Fits:
    """Of a class in brackets."""
    if kind is of.LITERAL:
        return lambda letter: letter == chr(value)
    if kind is of.RANGE:
        return lambda letter: chr(value[0]) <= letter <= chr(value[1])
    name = str(value).removeprefix("CATEGORY_")
    letters = _CATEGORIES[name.removeprefix("NOT_")]
    return lambda letter: (letter in letters) is not name.startswith("NOT_")
