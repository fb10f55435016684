"""Examples:

    sudo netlab rules svc/web                 on every node
    sudo netlab rules svc/web --node worker001 --words
    sudo netlab rules web -o json

    netlab rules --from-save node.save        whose rules a real node's are, and which are odd
    netlab rules --from-save node.save svc/web --objects objects.yaml

Reads the rules that are in force in the node's namespace, with their counters. With --from-save
those of a real node, as iptables-save or nft list ruleset print them, without lab and root.

-o json: [{node, family, causes, handsOff, loose: [TEXT],
rules: [{table, chain, rule, words, packets, share, line, rules}]}]
or, of a save without a Service, [{family, mode, tables, services, notUnderstood}]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.cli import options
from netlab.cli.packets import node_save, rules_save
from netlab.client.sync import Client
from netlab.diagnosis.facts import Cause, Way
from netlab.errors import NetlabError, SwitchedOff, UsageError
from netlab.objects import meta
from netlab.objects.sloppy import standardized
from netlab.objects.types import Service

if TYPE_CHECKING:
    from netlab.objects.lab import Lab
    from netlab.view.rules import Branch


class FoundRules(Struct, frozen=True):
    """One node's rules for the Service in one family, and why they lead nowhere if they do. Of a
    node that is left alone (`is_left`), `loose` are those that nothing leads to."""

    node: str
    family: str
    branches: list[Branch]
    causes: tuple[Cause, ...] = ()
    is_left: bool = False
    loose: tuple[str, ...] = ()

    def json(self) -> dict[str, object]:
        """All of it as plain data."""
        return {
            "node": self.node,
            "family": self.family,
            "causes": [cause.json() for cause in self.causes],
            "rules": [branch.json() for branch in self.branches],
            "handsOff": self.is_left,
            "loose": list(self.loose),
        }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which Service, on which node."""
    parser.add_argument("service", metavar="SERVICE", nargs="?", help="svc/NAME or NAME")
    options.add_namespace(parser)
    node_save.add_arguments(parser, node="on this node alone (all); the node that a save is of")
    parser.add_argument("--words", action="store_true", help="without rule syntax")
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Print the tree for each node."""
    from netlab import inventory, lab

    if arguments.from_save:
        return rules_save.run(arguments)
    node_save.need_save(arguments)
    if arguments.service is None:
        raise UsageError("which Service?", hint="such as: sudo netlab rules svc/web")
    lab.need_root("rules")
    name = options.service_name(arguments.service, "rules")
    with inventory.in_use(arguments.lab) as directory:
        return _show(name, directory, arguments)


def _show(name: str, directory: Path, arguments: argparse.Namespace) -> int:
    key, found = found_rules(name, directory, arguments)
    if arguments.output == "json":
        print(json.dumps([one.json() for one in found], indent=2))
    else:
        print_found(found, key, words_only=arguments.words)
    return 0


def found_rules(
    name: str, directory: Path, arguments: argparse.Namespace
) -> tuple[str, list[FoundRules]]:
    """The Service's key, and its rules on `--node`, or on each node."""
    from netlab import inventory
    from netlab.cli import diagnosing
    from netlab.diagnosis.service import causes
    from netlab.objects.nodes import is_left, now, present

    spec = inventory.read_lab(directory)
    with options.client(arguments) as client:
        service: Service = standardized(client.get("Service", arguments.namespace, name))
        facts = diagnosing.facts(client, spec, directory)
        machines, spec = present(spec, facts.nodes), now(spec, facts.nodes)
        _check_has_rules(service, causes(service, facts))
        places = _places(client)
    key = meta.key(service)
    nodes = _nodes(spec, machines, arguments.node)
    left = {meta.name(node) for node in facts.nodes if is_left(node, "rules")}
    found = [
        FoundRules(
            node, family, tree, causes(service, facts, _way(node, family)), node in left,
            loose if node in left and not tree else (),
        )
        for node, family, tree, loose in _trees(spec, directory, key, nodes, places)
    ]  # fmt: skip
    return key, found


def _way(node: str, family: str) -> Way:
    return Way(node=node, family="IPv4" if family == "ipv4" else "IPv6")


def _check_has_rules(service: Service, causes: Sequence[Cause] = ()) -> None:
    if (meta.spec(service).get("clusterIP") or "None") == "None":
        name, space = meta.name(service), meta.namespace(service)
        external = meta.spec(service).get("type") == "ExternalName"
        kind = "an ExternalName" if external else "headless"
        where = "" if space == "default" else f" -n {space}"
        raise NetlabError(
            f"service {name} has no rules: it is {kind}, DNS alone makes it work"
            + "".join(f"\n  why it does not: {cause}" for cause in causes),
            hint=f"netlab describe svc {name}{where}"
            if external
            else f"netlab get endpointslices{where} -l kubernetes.io/service-name={name}",
        )


def _nodes(lab: Lab, machines: Lab, node: str | None) -> list[str]:
    """The nodes to show, of those of `machines` that `lab` says are on."""
    names = [entry.name for entry in lab.nodes]
    if node not in names and node in [entry.name for entry in machines.nodes]:
        raise SwitchedOff(node)
    if node is not None and node not in names:
        raise UsageError(f"there is no node {node}", hint=f"there are: {', '.join(names)}")
    return names if node is None else [node]


def _places(client: Client) -> dict[str, str]:
    """Who has which address: `{"10.244.1.3": "pod web-abc12"}`."""
    nodes = {
        entry["address"]: f"node {meta.name(node)}"
        for node in client.list("Node")
        for entry in meta.status(node).get("addresses") or []
    }
    pods = {
        entry["ip"]: f"pod {meta.name(pod)}"
        for pod in client.list("Pod")
        if not meta.spec(pod).get("hostNetwork")
        for entry in meta.status(pod).get("podIPs") or []
    }
    return nodes | pods


def _trees(
    lab: Lab, directory: Path, key: str, nodes: Sequence[str], places: dict[str, str]
) -> Iterator[tuple[str, str, list[Branch], tuple[str, ...]]]:
    """(node, family, tree, all that names the Service) for each of the nodes and each family of the
    lab."""
    from netlab.kernel import paths
    from netlab.network import plan
    from netlab.proxy import modes
    from netlab.proxy.addresses import Family
    from netlab.view import nft_rules, rules
    from netlab.view.loose_rules import naming

    mode = modes.of(lab.proxy_mode)
    tree = nft_rules.tree if lab.proxy_mode == "nftables" else rules.tree
    families: list[Family] = ["ipv4" if family == "IPv4" else "ipv6" for family in lab.ip_families]
    for name in nodes:
        netns = paths.namespace(directory, plan.node_name(lab, name))
        for family in families:
            found = mode.applier(lab.iptables, family, netns).read()
            yield name, family, tree(found, key, places), tuple(naming(key, found))


def print_found(found: Sequence[FoundRules], key: str, *, words_only: bool) -> None:
    """The trees, each under its node."""
    from netlab.cli import diagnosing, terminal
    from netlab.view.rules import Look, render

    look = Look(syntax=not words_only, dim=terminal.dim, width=terminal.width())
    for number, one in enumerate(found):
        print(f"{chr(10) if number else ''}{key} on {one.node} ({one.family})")
        for line in diagnosing.why(one.causes, look.width):
            print(line)
        for line in render(one.branches, look) if one.branches else _without(one):
            print(line, file=terminal.raw(sys.stdout))  # the colour is ours


def _without(one: FoundRules) -> Iterator[str]:
    """What is said where nothing leads to the Service."""
    from netlab.objects.nodes import HANDS_OFF
    from netlab.view.escape import escape_line

    if not one.is_left:
        yield "(no rules)"
        return
    yield f"(nothing leads to it: node {one.node} is left alone, by its annotation {HANDS_OFF})"
    yield from (escape_line(f"  left there  {text}") for text in one.loose)
