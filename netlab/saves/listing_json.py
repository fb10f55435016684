"""`nft -j list ruleset` → the tables that its text comes to, with each rule's handle.

The text is one line, so it is the handle by which a rule can be found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from netlab.errors import InputError, Problem
from netlab.proxy.addresses import Family
from netlab.proxy.nftables.model import NftChain, NftSet, NftTable
from netlab.saves import rule_json
from netlab.saves.listing import Listed, distinct
from netlab.saves.save import Written

_MET: dict[Family, tuple[str, str]] = {"ipv4": ("ip", "inet"), "ipv6": ("ip6", "inet")}
_HINT = "expected the output of nft -j list ruleset"


def tables(text: str, file: str) -> Iterator[Listed]:
    """All tables that packets meet, those of inet once for each family. Raises `InputError`."""
    entries = _entries(text, file)
    try:
        return iter([*_listed(entries, file)])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise _lacking(error, file) from None


def _listed(entries: Sequence[dict[str, Any]], file: str) -> Iterator[Listed]:
    for family, kinds in _MET.items():
        found = {
            (kind, entry["table"]["name"]): _Growing(family, entry["table"]["name"])
            for entry in entries
            if "table" in entry
            for kind in [entry["table"]["family"]]
            if kind in kinds and not _is_dormant(entry["table"])
        }
        for entry in entries:
            _take(entry, found)
        yield from distinct((kind, one.listed(file)) for (kind, _), one in found.items())


def _entries(text: str, file: str) -> list[dict[str, Any]]:
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        cut = getattr(error, "pos", 0) >= len(text.rstrip()) or "Unterminated" in str(error)
        said = "is cut off: its JSON does not end" if cut else f"is no JSON: {error}"
        raise InputError([Problem(file, line, "", said, _HINT)]) from None
    found = whole.get("nftables") if isinstance(whole, dict) else None
    if isinstance(whole, dict) and "kind" in whole:
        raise InputError([Problem(file, 1, "", "holds objects of Kubernetes, and no rules", _HINT)])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError([Problem(file, 1, "", "is JSON, and no listing of nft's", _HINT)])
    try:
        return [_checked(entry) for entry in found]
    except (KeyError, TypeError, AttributeError) as error:
        raise _lacking(error, file) from None


def _lacking(error: Exception, file: str) -> InputError:
    why = f"an entry lacks {error}" if isinstance(error, KeyError) else f"in an entry {error}"
    return InputError([Problem(file, 1, "", f"is no listing of nft's: {why}", _HINT)])


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """With all that is needed of it. Raises KeyError, TypeError."""
    for kind, fields in _NEEDED.items():
        if kind in entry:
            for name in fields:
                entry[kind][name]
    return entry


_NEEDED = {
    "table": ("family", "name"),
    "chain": ("family", "table", "name"),
    "rule": ("family", "table", "chain", "expr"),
    "set": ("family", "table", "name", "type"),
    "map": ("family", "table", "name", "type", "map"),
}


def _is_dormant(table: dict[str, Any]) -> bool:
    return "dormant" in (table.get("flags") or ())


class _Growing:
    """A table while its parts are still coming."""

    def __init__(self, family: Family, name: str) -> None:
        self.table = NftTable(family, name=name)
        self.rules: dict[str, list[str]] = {}
        self.handles: dict[str, list[int]] = {}
        self.headers: dict[str, str] = {}

    def listed(self, file: str) -> Listed:
        for name, rules in self.rules.items():
            self.table.chains[name] = NftChain(tuple(rules), self.headers[name])
        written = {
            name: Written(file, tuple(handles), " handle ")
            for name, handles in self.handles.items()
        }
        return Listed(self.table, written)

    def chain(self, found: dict[str, Any]) -> None:
        name = found["name"]
        self.rules.setdefault(name, [])
        self.handles.setdefault(name, [int(found.get("handle", 0)) if "hook" in found else 0])
        self.headers[name] = _header(found)

    def rule(self, found: dict[str, Any]) -> None:
        if found["chain"] not in self.rules:
            self.chain({"name": found["chain"]})
        self.rules[found["chain"]].append(rule_json.text(found["expr"], found.get("comment", "")))
        self.handles[found["chain"]].append(int(found.get("handle", 0)))

    def set(self, kind: str, found: dict[str, Any]) -> None:
        self.table.sets[found["name"]] = NftSet(kind, tuple(_set_header(found)))
        for element in found.get("elem") or ():
            key, value = rule_json.element(element, rule_json.dotted(found["type"]))
            self.table.elements[found["name"], key] = value


def _take(entry: dict[str, Any], into: dict[tuple[str, str], _Growing]) -> None:
    """Put a part into its table."""
    for kind in ("chain", "rule", "set", "map"):
        found = entry.get(kind)
        growing = into.get((found["family"], found["table"])) if found else None
        if found is None or growing is None:
            continue
        if kind == "chain":
            growing.chain(found)
        elif kind == "rule":
            growing.rule(found)
        else:
            growing.set(kind, found)


def _header(chain: dict[str, Any]) -> str:
    if "hook" not in chain:
        return ""
    policy, hook = chain.get("policy", "accept"), chain["hook"]
    place = _priority(chain["prio"], hook)
    return f"type {chain['type']} hook {hook} priority {place}; policy {policy};"


def _priority(number: int, hook: str) -> str:
    """As nft names it: after the nearest of the usual ones, if it is that of this hook."""
    for name, place in _PRIORITIES.items():
        apart = number - place
        if abs(apart) <= _NEAR and hook in _HOOKS.get(name, (hook,)):
            return name if not apart else f"{name} {'+' if apart > 0 else '-'} {abs(apart)}"
    return str(number)


_NEAR = 10
_HOOKS = {"dstnat": ("prerouting",), "srcnat": ("postrouting",)}
_PRIORITIES = {
    "raw": -300, "mangle": -150, "dstnat": -100, "filter": 0, "security": 50, "srcnat": 100,
}  # fmt: skip


def _set_header(found: dict[str, Any]) -> Iterator[str]:
    """The lines of a set before its elements, as nft writes them."""
    value = f" : {rule_json.dotted(found['map'])}" if "map" in found else ""
    yield f"type {rule_json.dotted(found['type'])}{value}"
    if "size" in found:
        yield f"size {found['size']}"
    flags = list(found.get("flags") or ())
    if "size" in found and "timeout" in flags and "dynamic" not in flags:
        flags.insert(0, "dynamic")  # which nft 1.0.6 leaves out
    if flags:
        yield f"flags {','.join(flags)}"
    if "timeout" in found:
        yield f"timeout {_time(found['timeout'])}"
    if "comment" in found:
        yield f'comment "{found["comment"]}"'


def _time(seconds: int) -> str:
    """`1h30m` of so many seconds."""
    days, hours = (seconds // 86400, "d"), (seconds // 3600 % 24, "h")
    parts = (days, hours, (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)
