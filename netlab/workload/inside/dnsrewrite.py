"""CoreDNS' `rewrite` and `template`: other questions than were asked, answers made of a pattern.

https://coredns.io/plugins/rewrite/, https://coredns.io/plugins/template/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from netlab.workload.inside import dnswire
from netlab.workload.inside.corefile import Directive, lacking, wrong
from netlab.workload.inside.dnswire import Message, Query, Record
from netlab.workload.inside.linear import Expression, Found

Pattern = re.Pattern[str] | Expression
"""Written by netlab, or in a Corefile, whose expressions may not take as long as they like."""

AskOn = Callable[[Query], bytes]

_HOW = ("exact", "prefix", "suffix", "substring", "regex")


# -- rewrite -----------------------------------------------------------------------------------


class Fix(NamedTuple):
    """What is put in place of what is found in an answer's names, or in those that they lead to."""

    pattern: Pattern
    words: str
    of_values: bool = False


class NameRule(NamedTuple):
    """Asks for another name."""

    stops: bool
    pattern: Pattern
    words: str
    fixes: tuple[Fix, ...] = ()

    def __call__(self, query: Query) -> Query | None:
        """The other question; None if this is not for it."""
        found = self.pattern.search(query.name)
        if found is None:
            return None
        if "{" in self.words or self.pattern.groups:
            name = _filled(self.words, found)
        else:
            name = query.name[: found.start()] + self.words + query.name[found.end() :]
        return dnswire.asking(query, f"{name.lower().rstrip('.')}.", query.kind)


class TypeRule(NamedTuple):
    """Asks for another type."""

    stops: bool
    kind: int
    other: int
    fixes: tuple[Fix, ...] = ()

    def __call__(self, query: Query) -> Query | None:
        """As `NameRule`."""
        return dnswire.asking(query, query.name, self.other) if query.kind == self.kind else None


class TtlRule(NamedTuple):
    """Lets answers be believed for so many seconds, at least and at most."""

    stops: bool
    pattern: Pattern
    least: int
    most: int

    def holds(self, query: Query) -> bool:
        """Whether it is for this question."""
        return self.pattern.search(query.name) is not None

    def changed(self, record: Record) -> Record:
        """A record of the answer."""
        return record._replace(ttl=max(self.least, min(self.most, record.ttl)))


Rule = NameRule | TypeRule | TtlRule


class Rewrite:
    """All rules of a server, in their order; the first that stops is the last."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """The answer to the question that is made of this one, told as one to this."""
        asked, fixes, times = query, list[Fix](), list[TtlRule]()
        for rule in self._rules:
            if isinstance(rule, TtlRule):
                if not rule.holds(asked):
                    continue
                times.append(rule)
            else:
                if (other := rule(asked)) is None:
                    continue
                asked, fixes = other, [*rule.fixes, *fixes]
            if rule.stops:
                break
        if asked is query and not times:
            return ask_on(query)
        said = dnswire.unpack(ask_on(asked))
        return dnswire.packed(query, _fixed(said, fixes, times))


def _fixed(said: Message, fixes: Sequence[Fix], times: Sequence[TtlRule]) -> Message:
    def one(record: Record) -> Record:
        name, target = record.name, dnswire.target_of(record)
        for fix in fixes:
            if not fix.of_values:
                name = _replaced(fix, name)
            elif target is not None:
                target = _replaced(fix, target)
        for rule in times:
            record = rule.changed(record)
        return dnswire.renamed(record, name, target)

    answers = tuple(map(one, said.answers))
    additional = tuple(r if r.kind == dnswire.OPT else one(r) for r in said.additional)
    return said._replace(answers=answers, additional=additional)


def _replaced(fix: Fix, name: str) -> str:
    found = fix.pattern.search(name)
    if found is None:
        return name
    if "{" in fix.words or fix.pattern.groups:
        return f"{_filled(fix.words, found).rstrip('.')}."
    return name[: found.start()] + fix.words + name[found.end() :]


def _filled(words: str, found: re.Match[str] | Found) -> str:
    """`{1}` is the first group; what is the number of none stays."""

    def group(each: re.Match[str]) -> str:
        try:
            return found[int(each[1])] or ""
        except IndexError:
            return each[0]

    return re.sub(r"\{(\d{1,3})\}", group, words)


def rule(directive: Directive) -> Rule:
    """`rewrite [continue|stop] FIELD …`; `Malformed`."""
    words = list(directive.words[1:])
    stops = not words or words[0] != "continue"
    if words and words[0] in ("continue", "stop"):
        words.pop(0)
    options = [list(option.words) for option in directive.below]
    if not words and options:
        words, options = options[0], options[1:]
    for number, word in enumerate(words):
        if word == "answer" and number > 2:
            words, options = words[:number], [words[number:], *options]
            break
    field, *given = words or [""]
    if field == "name" and len(given) in (2, 3):
        return _name_rule(directive, stops, given, options)
    if field == "type" and len(given) == 2 and all(word.upper() in dnswire.KINDS for word in given):
        kind, other = (dnswire.KINDS[word.upper()] for word in given)
        return TypeRule(stops, kind, other)
    if field == "ttl" and len(given) in (2, 3):
        how, word = (given[0], given[1]) if len(given) == 3 else ("exact", given[0])
        least, dash, most = given[-1].partition("-")
        if least.isdigit() and (not dash or most.isdigit() or not most):
            bound = int(most or 0xFFFFFFFF) if dash else int(least)
            return TtlRule(stops, _pattern(directive, how, word), int(least), bound)
    raise lacking(
        directive,
        f"rewrite {' '.join(words)}: netlab's stand-in rewrites name, type and ttl alone",
    )


def _name_rule(
    directive: Directive, stops: bool, given: Sequence[str], options: Sequence[Sequence[str]]
) -> NameRule:
    how = given[0] if len(given) == 3 else "exact"
    source, target = given[-2], given[-1]
    pattern = _pattern(directive, how, source)
    words = target if how in ("regex", "prefix", "substring") else f"{target.rstrip('.')}."
    fixes = [Fix(_pattern(directive, "exact", target), _dotted(source))] if how == "exact" else []
    for option in options:
        match option:
            case ["answer", "auto"] if how in ("prefix", "suffix", "substring"):
                back = source if how != "suffix" else _dotted(source)
                fixes.append(Fix(_pattern(directive, how, target), back))
            case ["answer", "auto"]:
                pass
            case ["answer", ("name" | "value") as of, source_, target_]:
                found = _pattern(directive, "regex", source_)
                fixes.append(Fix(found, target_, of_values=of == "value"))
            case _:
                raise wrong(directive, f"unexpected '{' '.join(option)}'")
    return NameRule(stops, pattern, words, tuple(fixes))


def _dotted(name: str) -> str:
    return f"{name.rstrip('.')}."


def _pattern(directive: Directive, how: str, word: str) -> Pattern:
    exact = re.escape(_dotted(word.lower()))
    text = {
        "exact": f"^{exact}$",
        "suffix": f"{exact}$",
        "prefix": f"^{re.escape(word.lower())}",
        "substring": re.escape(word.lower()),
    }
    if how not in _HOW:
        raise wrong(directive, f"'{how}' is none of {', '.join(_HOW)}")
    return compiled(directive, word) if how == "regex" else re.compile(text[how], re.IGNORECASE)


def compiled(directive: Directive, text: str) -> Expression:
    """A regular expression; `Malformed` if it is none that CoreDNS takes."""
    try:
        return Expression(text)
    except re.error as error:
        raise wrong(directive, f"error parsing regexp: {error}: `{text}`") from None


# -- template ----------------------------------------------------------------------------------

_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_GROUP = re.compile(r"\.Group\.(\w+)|index \.Group \"(\w+)\"|\.Match\.(\w+)|index \.Match (\d+)")


class Template(NamedTuple):
    """Answers a question that one of its patterns fits."""

    zones: tuple[str, ...]
    kinds: tuple[int, ...]
    patterns: tuple[Pattern, ...]
    sections: dict[str, tuple[str, ...]]
    code: int
    through: tuple[str, ...]

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """The answer to a query."""
        zone = next((zone for zone in self.zones if within(query.name, zone)), None)
        if zone is None or (dnswire.ANY not in self.kinds and query.kind not in self.kinds):
            return ask_on(query)
        found = next((found for p in self.patterns if (found := p.search(query.name))), None)
        if found is None:
            through = any(within(query.name, zone) for zone in self.through)
            return ask_on(query) if through else dnswire.answer(query, dnswire.NXDOMAIN)
        try:
            made = {
                name: [dnswire.spoken(_made(text, query, zone, found)) for text in texts]
                for name, texts in self.sections.items()
            }
        except (ValueError, IndexError):
            return dnswire.answer(query, dnswire.SERVFAIL)
        return dnswire.answer(
            query, self.code, made["answer"], made["authority"], made["additional"]
        )


def _made(text: str, query: Query, zone: str, found: re.Match[str] | Found) -> str:
    def place(each: re.Match[str]) -> str:
        known = {".Name": query.name, ".Zone": zone, ".Class": "IN",
                 ".Type": dnswire.TYPES.get(query.kind, "")}  # fmt: skip
        if (simple := known.get(each[1].strip())) is not None:
            return simple
        group = _GROUP.fullmatch(each[1].strip())
        if group is None:
            raise ValueError(each[1])
        key = next(part for part in group.groups() if part is not None)
        return found[int(key) if key.isdigit() else key] or ""

    return _PLACE.sub(place, text)


def template(directive: Directive, zones: Sequence[str]) -> Template:
    """`template CLASS TYPE [ZONE…] { … }`; `Malformed`."""
    words = directive.words[1:]
    if len(words) < 2 or words[0].upper() not in ("IN", "ANY"):
        raise wrong(directive, "Wrong argument count or unexpected line ending after 'template'")
    if words[1].upper() not in dnswire.KINDS:
        raise wrong(directive, f"invalid RR type {words[1]}")
    sections: dict[str, list[str]] = {"answer": [], "additional": [], "authority": []}
    patterns, code, through = list[Pattern](), dnswire.NOERROR, tuple[str, ...]()
    codes = {word: number for number, word in dnswire.RCODES.items()}
    for option in directive.below:
        match option.words:
            case ["match", *texts]:
                patterns += [compiled(option, text) for text in texts]
            case [("answer" | "additional" | "authority") as name, *texts]:
                sections[name] += [_checked(option, text) for text in texts]
            case ["rcode", word] if word.upper() in codes:
                code = codes[word.upper()]
            case ["fallthrough", *names]:
                through = tuple(names) or (".",)
            case _:
                raise lacking(option, f"netlab's stand-in has no '{option.words[0]}' of template")
    return Template(
        tuple(words[2:]) or tuple(zones),
        (dnswire.KINDS[words[1].upper()],),
        tuple(patterns) or (re.compile(".*"),),
        {name: tuple(texts) for name, texts in sections.items()},
        code,
        through,
    )


def _checked(option: Directive, text: str) -> str:
    for each in map(str.strip, _PLACE.findall(text)):
        known = each in (".Name", ".Zone", ".Class", ".Type") or _GROUP.fullmatch(each)
        if not known:
            raise lacking(option, f"netlab's stand-in does not know {{{{ {each} }}}}")
    return text


def within(name: str, zone: str) -> bool:
    """Whether a name, with its dot, is a zone's."""
    zone = zone.lower().strip(".")
    return not zone or f".{name}".endswith(f".{zone}.")
