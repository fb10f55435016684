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
        "mode": rules.mode,
        "tables": [
            {"table": name, "chains": chains[name], "rules": dict(found.most_common())}
            for name, found in writers(rules).items()
        ],
        "services": sorted(services(rules)),
        "notUnderstood": [
            {"line": one.where, "table": one.table, "chain": one.chain, "number": one.number}
            | {"words": one.words, "asks": one.asks}
            for one in not_understood(rules)
        ],
    }


_MOST = 10
"""So many Services, and rules that nobody understands, are listed; -o json has all."""


def _lines(name: str, overview: dict[str, Any]) -> Iterator[str]:
    yield f"{name} ({overview['family']}), kube-proxy in {overview['mode']} mode"
    for table in overview["tables"]:
        whose = ", ".join(f"{who} {count}" for who, count in table["rules"].items())
        yield f"  {table['table']}: {table['chains']} chains; rules of {whose or 'nobody'}"
    services = overview["services"]
    yield f"  Services: {len(services)}"
    yield from (f"    {service}" for service in services[:_MOST])
    if len(services) > _MOST:
        yield f"    and {len(services) - _MOST} more"
    odd = overview["notUnderstood"]
    yield f"  rules not understood: {len(odd)}"
    for one in odd[:_MOST]:
        kind = "asks what is not in a save" if one["asks"] else "does what nobody here knows"
        yield f"    {one['line']}, {one['table']} {one['chain']} rule {one['number']} {kind}:"
        yield f"      {one['words']}"
    if len(odd) > _MOST:
        yield f"    and {len(odd) - _MOST} more"
