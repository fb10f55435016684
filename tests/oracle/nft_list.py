"""What `nft list ruleset` tells, as text or as JSON, in a form that compares by its meaning.

Tables, sets, maps, chains and the elements of a set may come in any order; the order of rules
says something. Handles, counters, and what the kernel put into a set by itself do not; neither does
what some releases of nft spell otherwise, or leave out: 1.0.6, 1.0.9, 1.1.3 and 1.1.7 compare.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from oracle.iptables_save import changed

Listing = dict[str, list[str]]
"""`chain ip kube-proxy services` → its rules; the same for sets, maps and tables."""

_TABLE = re.compile(r"^table (\S+ \S+) \{\n(.*?)^\}$", re.M | re.S)
_OBJECT = re.compile(r"^\t(\w+) (\S+) \{\n(.*?)^\t\}$", re.M | re.S)


def load(text: str) -> Listing:
    """From `nft list ruleset`. Raises ValueError for anything else."""
    found: Listing = {}
    for table, body in _TABLE.findall(text):
        found[f"table {table}"] = [*_whole(_OBJECT.sub("", body))]
        for kind, name, content in _OBJECT.findall(body):
            lines = [_sorted_braces(_plain_line(line)) for line in _whole(content)]
            found[f"{kind} {table} {name}"] = _set(lines) if kind in ("set", "map") else lines
    _nothing(_TABLE.sub("", text))
    return found


def _nothing(rest: str) -> None:
    if rest.strip():
        raise ValueError(f"not understood: {rest.strip().splitlines()[0]}")


_ELEMENTS = "elements = "


def _set(lines: list[str]) -> list[str]:
    """What a set is, then its elements; those of a dynamic one are the kernel's doing."""
    told = sorted(line for line in lines if not line.startswith(_ELEMENTS))
    if any(re.match("flags .*dynamic", line) for line in told):
        return told
    listed = [line for line in lines if line.startswith(_ELEMENTS)]
    return told + [element for line in listed for element in _split(line[len(_ELEMENTS) + 1 : -1])]


def _whole(text: str) -> Iterator[str]:
    """Lines; what nft wraps inside braces is one of them."""
    line = ""
    for part in text.splitlines():
        line = f"{line} {part.strip()}".strip()
        bare = re.sub('"[^"]*"', "", line)
        if line and bare.count("{") == bare.count("}"):
            yield line
            line = ""
    _nothing(line)


def _plain_line(line: str) -> str:
    """Without counts; the priority of a hook as a number, as nft before 1.0.9 knew it in OUTPUT."""
    line = re.sub(r"packets \d+ bytes \d+", "packets 0 bytes 0", line)
    return re.sub(r"priority dstnat(?: - (\d+))?;", _priority, line)


def _priority(found: re.Match[str]) -> str:
    return f"priority {-100 - int(found[1] or 0)};"


def _sorted_braces(line: str) -> str:
    return re.sub(r"\{([^{}]*)\}", lambda found: "{ " + ", ".join(_split(found[1])) + " }", line)


def _split(elements: str) -> list[str]:
    return sorted(part.strip() for part in re.findall(r'(?:"[^"]*"|[^",])+', elements))


def load_json(text: str) -> Listing:
    """From `nft -j list ruleset`."""
    found: Listing = {}
    for entry in json.loads(text)["nftables"]:
        ((kind, value),) = entry.items()
        if kind != "metainfo":
            _add(found, kind, _plain(value))
    return found


def _add(found: Listing, kind: str, value: dict[str, Any]) -> None:
    table = f"{value['family']} {value.get('table', value.get('name'))}"
    if kind == "rule":
        rule = {key: value[key] for key in value.keys() - {"family", "table", "chain"}}
        found.setdefault(f"chain {table} {value['chain']}", []).append(_text(rule))
        return
    if kind in ("table", "chain"):
        value.pop("comment", None)  # told since 1.0.9
    elements = value.pop("elem", [])
    if "timeout" in value.get("flags", []):
        elements = []
    name = f"{kind} {table}" if kind == "table" else f"{kind} {table} {value['name']}"
    found.setdefault(name, []).extend([_text(value), *sorted(map(_text, elements))])


def _plain(value: Any) -> Any:
    """Without what says nothing, the members of anonymous sets sorted."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    told = {key: _plain(value[key]) for key in value.keys() - {"handle", "index", "expires"}}
    if {"packets", "bytes"} <= told.keys():
        told |= {"packets": 0, "bytes": 0}
    if "flags" in told:  # one was not a list before 1.1.7; "dynamic" is told since 1.0.9
        flags = told["flags"]
        told["flags"] = sorted({flags} if isinstance(flags, str) else {*flags} - {"dynamic"})
    if isinstance(told.get("set"), list):
        told["set"] = sorted(told["set"], key=_text)
    return told


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def differences(ours: Listing, theirs: Listing) -> list[str]:
    """Lines that say what differs, for people; none when both do the same."""
    found: list[str] = []
    for name in sorted(ours.keys() | theirs.keys()):
        if name in ours and name in theirs:
            found += changed(name, ours[name], theirs[name])
        else:
            found.append(f"{name} only in {'ours' if name in ours else 'theirs'}")
    return found
