"""Routes and routing rules that somebody added, and that turn a packet away. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from netlab.diagnosis.facts import Cause, within
from netlab.diagnosis.remedies import on_node

_TURNING = ("blackhole", "unreachable", "prohibit")
_WORDS = {
    "blackhole": "drops it in silence",
    "unreachable": "says that it is unreachable",
    "prohibit": "says that it is prohibited",
}

Entry = Mapping[str, Any]


def turned_away(
    node: str, source: str, destination: str, routes: Iterable[Entry], rules: Iterable[Entry]
) -> Cause:
    """For a node that sends on nothing from there to there. `routes` and `rules` are all of its
    family, as `ip -j route show table all` and `ip -j rule` list them."""
    family = "-6 " if ":" in destination else ""
    for rule in rules:
        if rule.get("action") in _TURNING and _is_about(rule, source, destination):
            way = " ".join(f"{word} {_end(rule, key)}" for word, key in _SIDES if _end(rule, key))
            entry = f"ip rule {rule['priority']}: {way or 'from all'} {rule['action']}"
            command = f"ip {family}rule del priority {rule['priority']}"
            return _cause(node, destination, entry, rule["action"], command)
    fitting = [one for one in routes if one.get("type") in _TURNING and _leads(one, destination)]
    if fitting:
        found = max(fitting, key=_length)
        table = f" table {found['table']}" if found.get("table") not in (None, "main") else ""
        entry = f"{found['type']} {found['dst']}{table}"
        command = f"ip {family}route del {entry}"
        return _cause(node, destination, f"its route {entry}", found["type"], command)
    return Cause("NoRoute", f"node {node} has no route to {destination}", nodes=(node,))


_SIDES = (("from", "src"), ("to", "dst"))


def _cause(node: str, destination: str, entry: str, kind: str, command: str) -> Cause:
    text = f"node {node} does not send on what is for {destination}: {entry} {_WORDS[kind]}"
    return Cause("NoRoute", text, nodes=(node,), remedy=on_node(node, command))


def _is_about(rule: Entry, source: str, destination: str) -> bool:
    ends = ((source, _end(rule, "src")), (destination, _end(rule, "dst")))
    return all(not wanted or within(address, wanted) for address, wanted in ends)


def _end(rule: Entry, key: str) -> str:
    """The network that a rule asks for, "" for any."""
    address, length = rule.get(key, "all"), rule.get(f"{key}len")
    return "" if address == "all" else f"{address}/{length}" if length is not None else address


def _leads(route: Entry, destination: str) -> bool:
    return route["dst"] == "default" or within(destination, route["dst"])


def _length(route: Entry) -> int:
    if route["dst"] == "default":
        return 0
    _, slash, length = route["dst"].partition("/")
    return int(length) if slash else 128
