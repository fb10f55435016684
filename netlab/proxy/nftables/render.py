"""NftTable → what `nft -f` takes: the whole table, or the commands of a change."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.proxy.nftables.model import NftChange, NftTable


def render(table: NftTable) -> str:
    """The table as `nft list table` shows it."""
    by_set: dict[str, list[str]] = {name: [] for name in table.sets}
    for (name, key), value in table.elements.items():
        by_set[name].append(f"{key} {value}" if value else key)
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
    header = old.chains[name].header
    return header.startswith("type ") and name in new.chains and new.chains[name].header == header


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
