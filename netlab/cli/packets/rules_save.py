"""`netlab rules --from-save FILE [SERVICE]`: a real node's rules, without lab and root."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from netlab.cli import terminal
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.node_save import Given
    from netlab.cli.packets.rules_ import FoundRules
    from netlab.saves.save import SavedRules


def run(arguments: argparse.Namespace) -> int:
    """Print a Service's rules as a tree, or without one what there is."""
    from netlab.cli.packets import node_save

    given = node_save.read(arguments)
    if arguments.service:
        return _one(given, arguments)
    overview = [_overview(rules) for rules in given.save.families.values()]
    if arguments.output == "json":
        print(json.dumps(overview, indent=2))
    else:
        for number, one in enumerate(overview):
            for line in _lines(given.name, one):
                print(("\n" if number and line.startswith(given.name) else "") + terminal.fit(line))
    return 0


def _one(given: Given, arguments: argparse.Namespace) -> int:
    from netlab.cli.packets import rules_

    key = _key(arguments)
    found = [one for rules in given.save.families.values() if (one := _found(given, rules, key))]
    if not found:
        raise _nobody(given, key)
    if arguments.output == "json":
        print(json.dumps([one.json() for one in found], indent=2))
    else:
        rules_.print_found(found, key, words_only=arguments.words)
    return 0


def _key(arguments: argparse.Namespace) -> str:
    from netlab.cli import options

    name = options.service_name(arguments.service, "rules")
    return f"{arguments.namespace or 'default'}/{name}"


def _found(given: Given, rules: SavedRules, key: str) -> FoundRules | None:
    from netlab.cli.packets.rules_ import FoundRules
    from netlab.view import nft_rules
    from netlab.view import rules as iptables_rules

    places = {
        address: f"{place.role} {place.name}"
        for place in given.world.places.values()
        for address in place.addresses
    }
    branches = iptables_rules.tree(rules.ruleset, key, places)
    for table in rules.kube_proxys():
        branches += nft_rules.tree(table, key, places)
    _place(branches, rules)
    return FoundRules(given.name, rules.family, branches) if branches else None


def _place(branches: list[Any], rules: SavedRules) -> None:
    """Say of each branch where its rule stands."""
    for branch in branches:
        branch.where = rules.where_of(branch.table, branch.chain, branch.text)
        _place(branch.branches, rules)


def _nobody(given: Given, key: str) -> UsageError:
    from netlab.objects.problems import did_you_mean
    from netlab.saves.services import services

    known = sorted({name for rules in given.save.families.values() for name in services(rules)})
    meant = did_you_mean(key, known)
    space, _, name = (meant or "/").partition("/")
    files = ", ".join(given.save.files)
    hint = f"did you mean svc/{name} -n {space}?" if meant else f"netlab rules --from-save {files}"
    return UsageError(f"no rule of {files} names Service {key}", hint=hint)


def _overview(rules: SavedRules) -> dict[str, Any]:
    from netlab.saves.services import services
    from netlab.saves.understood import not_understood
    from netlab.saves.writers import writers

    chains = {table.name: len(table.chains) for table in rules.ruleset.tables.values()}
    chains |= {table.name: len(table.chains) for table in rules.tables}
    return {
        "family": rules.family,
        "mode": rules.proxy_mode,
        "tables": [
            {"table": name, "chains": chains[name], "rules": dict(found.most_common())}
            for name, found in writers(rules).items()
        ],
        "services": sorted(services(rules)),
        "namesLeftOut": rules.mode != rules.proxy_mode == "iptables",
        "notUnderstood": [
            {"line": one.where, "table": one.table, "chain": one.chain, "number": one.number}
            | {"words": one.words, "asks": one.asks}
            for one in not_understood(rules)
        ],
    }


_MOST = 10
"""So many Services, and rules that nobody understands, are listed; -o json has all."""


def _lines(name: str, overview: dict[str, Any]) -> Iterator[str]:
    mode = overview["mode"]
    whose = f"kube-proxy in {mode} mode" if mode else "without kube-proxy's rules"
    yield f"{name} ({overview['family']}), {whose}"
    for table in overview["tables"]:
        whose = ", ".join(f"{who} {count}" for who, count in table["rules"].items())
        yield f"  {table['table']}: {table['chains']} chains; rules of {whose or 'nobody'}"
    services = overview["services"]
    named = services or not overview["namesLeftOut"]
    yield f"  Services: {len(services) if named else 'nft leaves their names out'}"
    yield from (f"    {service}" for service in services[:_MOST])
    if len(services) > _MOST:
        yield f"    and {len(services) - _MOST} more"
    yield from _odd(overview["notUnderstood"])


def _odd(rules: list[dict[str, Any]]) -> Iterator[str]:
    """Rules that nobody understands, those with the same words together."""
    yield f"  rules not understood: {len({(one['line'], one['table']) for one in rules})}"
    kinds: dict[tuple[str, bool], list[dict[str, Any]]] = {}
    for one in rules:
        kinds.setdefault((one["words"], one["asks"]), []).append(one)
    for (words, asks), these in list(kinds.items())[:_MOST]:
        first, more = these[0], len(these) - 1
        place = f"{first['line']}, {first['table']} {first['chain']} rule {first['number']}"
        yield f"    {place}{f' and {more} more' if more else ''} {_lacks(words, asks, more > 0)}:"
        yield f"      {words}"
    if len(kinds) > _MOST:
        yield f"    and {len(kinds) - _MOST} more kinds"


def _lacks(words: str, asks: bool, several: bool) -> str:
    from netlab.saves.half_listed import is_half

    verb = ("ask" if asks else "do") + ("" if several else "s" if asks else "es")
    if is_half(words):
        return f"{verb} what nft does not tell"
    return f"{verb} what {'is not in a save' if asks else 'nobody here knows'}"
