"""NftTable → what `nft -f` takes: the whole table, or the commands of a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.proxy.nftables.model import NftChain, NftChange, NftTable

PART = 500
"""Rules with a set of their own in one transaction of those that make a large table."""


def render(table: NftTable) -> str:
    """The table as `nft list table` shows it."""
    by_set = _elements(table)
    lines = [f"table {table.address} {{", f'\tcomment "rules for {table.name}"']
    for name, content in table.sets.items():
        lines += [f"\t{content.kind} {name} {{", *(f"\t\t{line}" for line in content.header)]
        if by_set[name]:
            lines.append("\t\telements = { " + ",\n\t\t\t     ".join(by_set[name]) + " }")
        lines += ["\t}", ""]
    for name, chain in table.chains.items():
        lines.append(f"\tchain {name} {{")
        lines += [f"\t\t{line}" for line in (chain.header, *chain.rules) if line]
        lines += ["\t}", ""]
    lines[-1:] = ["}", ""]
    return "\n".join(lines)


def _elements(table: NftTable) -> dict[str, list[str]]:
    """The elements of each set."""
    by_set: dict[str, list[str]] = {name: [] for name in table.sets}
    for (name, key), value in table.elements.items():
        by_set[name].append(f"{key} {value}" if value else key)
    return by_set


def is_large(table: NftTable) -> bool:
    """Whether it had better be made in parts."""
    return sum(_has_set(rule) for chain in table.chains.values() for rule in chain.rules) > PART


def render_parts(table: NftTable) -> Iterator[str]:
    """Commands that put this table in the place of one that no hook leads into, or of none: a
    transaction each. Packets meet it with the last, which makes the hooks and what they look up.

    For each rule with a set of its own, as kube-proxy has one for each Service, the kernel goes
    through all that the transaction has done so far: one of 10,000 takes twice as long as twenty.
    """
    led_to = {name: chain for name, chain in table.chains.items() if not is_hooked(chain)}
    names = {name: NftChain(header=chain.header) for name, chain in led_to.items()}
    yield render_replacement(NftTable(table.family, names, table.sets, name=table.name))
    rules = [(name, rule) for name, chain in led_to.items() for rule in chain.rules]
    for part in _parts(rules):
        yield "".join(f"add rule {table.address} {name} {rule}\n" for name, rule in part)
    hooked = {name: chain for name, chain in table.chains.items() if is_hooked(chain)}
    elements = "".join(
        f"add element {table.address} {name} {{ {', '.join(found)} }}\n"
        for name, found in _elements(table).items()
        if found
    )
    yield elements + render(NftTable(table.family, hooked, name=table.name))


def _parts(rules: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """Rules in their order, so many with a set of their own in each part."""
    part: list[tuple[str, str]] = []
    sets = 0
    for each in rules:
        part.append(each)
        sets += _has_set(each[1])
        if sets >= PART:
            yield part
            part, sets = [], 0
    if part:
        yield part


def _has_set(rule: str) -> bool:
    return "{" in rule


def is_hooked(chain: NftChain) -> bool:
    """Whether packets come to it by themselves."""
    return chain.header.startswith("type ")


def render_replacement(table: NftTable) -> str:
    """Commands that put this table in the place of the one there, or of none, at once."""
    return f"{render_removal(table)}{render(table)}"


def render_rewriting(old: NftTable, new: NftTable) -> str:
    """Commands that put a table in the place of another of its name, whose hooked chains stay: of
    one priority those go first that were made last, and kube-proxy makes its own but once."""
    hooked = {name for name in old.chains if _is_hooked(old, new, name)}
    gone = [f"delete {each.kind} {old.address} {name}" for name, each in old.sets.items()]
    gone += [f"delete chain {old.address} {name}" for name in old.chains if name not in hooked]
    return "".join(f"{line}\n" for line in (f"flush table {old.address}", *gone)) + render(new)


def _is_hooked(old: NftTable, new: NftTable, name: str) -> bool:
    chain = old.chains[name]
    return is_hooked(chain) and name in new.chains and new.chains[name].header == chain.header


def render_removal(table: NftTable) -> str:
    """Commands after which there is no such table, whether there was one or not."""
    return f"add table {table.address}\ndelete table {table.address}\n"


def render_change(change: NftChange) -> str:
    """Commands of a change, in an order in which nothing refers to what is not there."""
    return "".join(f"{line}\n" for line in _commands(change))


def _commands(change: NftChange) -> Iterator[str]:
    table = change.table
    for name, (old_set, new_set) in change.sets.items():
        if new_set and not old_set:
            header = "; ".join(new_set.header)
            yield f"add {new_set.kind} {table} {name} {{ {header} ; }}"
    for name, (old, new) in change.chains.items():
        if new and not old:
            yield f"add chain {table} {name}"
        else:
            yield f"flush chain {table} {name}"
    for name, (_, new) in change.chains.items():
        for rule in new.rules if new else ():
            yield f"add rule {table} {name} {rule}"
    for (name, key), (before, _) in change.elements.items():
        if before is not None:
            yield f"delete element {table} {name} {{ {key} }}"
    for (name, key), (_, after) in change.elements.items():
        if after is not None:
            yield f"add element {table} {name} {{ {key} {after} }}"
    for name, (_, new) in change.chains.items():
        if new is None:
            yield f"delete chain {table} {name}"
    for name, (_, new_set) in change.sets.items():
        if new_set is None:
            yield f"delete set {table} {name}"
