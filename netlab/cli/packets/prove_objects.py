"""`netlab prove --objects FILE --save FILE`: whether a node does what its Services ask."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import prove_diff_, prove_input, proxy_input
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.proxy_input import ProxyInput
    from netlab.prove.compared import Compared
    from netlab.prove.ground import Node
    from netlab.proxy.addresses import Family
    from netlab.proxy.config import ModeName


def run(arguments: argparse.Namespace) -> int:
    """Hold the saved rules against those that the objects ask for, by what they do with packets."""
    if not arguments.save or arguments.filename:
        raise UsageError("--objects is for a node's saved rules", hint="--save node.save")
    if arguments.target or arguments.expect:
        raise UsageError("--objects is a question of its own", hint="leave out --to and --expect")
    with prove_input.proving():
        found = list(_compared(arguments))
    if arguments.output == "json":
        from netlab.prove.compared import document

        print(json.dumps([document(one, each) for each in found for one in each.found], indent=2))
    else:
        prove_diff_.show(found, sides=("asked", "is"), total="otherwise than the Services ask")
    return int(any(each.found for each in found))


def _compared(arguments: argparse.Namespace) -> Iterator[Compared]:
    from netlab.prove.compared import compare
    from netlab.prove.ground import Node
    from netlab.prove.serving import boxes, node_addresses

    saved = prove_input.saved(arguments.save, arguments)
    node = saved.nodes[0]
    mode: ModeName = "iptables" if any(save.iptables for save in node.saves) else "nftables"
    given = proxy_input.read_input(_of_proxy(arguments, mode, saved.pods))
    own = tuple(arguments.local) or tuple(node_addresses(given.node, given.config))
    node = Node(node.name, node.saves, own)
    _check_same_cluster(given, node)
    for family in node.families():
        asked = _asked(given, mode, family, own)
        to = boxes(given.dump.of("Service"), family, own)
        if to:
            yield compare(asked, node, family, to)
    for note in given.notes:
        options.note(note)


def _check_same_cluster(given: ProxyInput, node: Node) -> None:
    """Rules that name Services, but none of these, are another cluster's."""
    from netlab.objects import meta
    from netlab.prove.ground import doors_of

    asked = {meta.key(service) for service in given.dump.of("Service")}
    doors = (door for family in node.families() for door in doors_of(node.saves, family))
    found = {door.owner.partition(":")[0] for door in doors}
    if asked and found and not asked & found:
        some = ", ".join(sorted(found)[:3])
        raise UsageError(
            f"{node.saves[0].name} knows none of these Services: is it another cluster's?",
            hint=f"it has {some}",
        )


def _of_proxy(
    arguments: argparse.Namespace, mode: ModeName, pods: tuple[str, ...]
) -> argparse.Namespace:
    """As `netlab proxy` is asked."""
    return argparse.Namespace(
        filename=arguments.objects,
        config=arguments.config,
        node=arguments.node or "",
        cluster_cidr=",".join(pods) or None,
        mode=None if arguments.config else mode,
    )


def _asked(given: ProxyInput, mode: ModeName, family: Family, own: tuple[str, ...]) -> Node:
    """The rules that do what the objects ask, as a node."""
    from netlab.prove.ground import Node
    from netlab.prove.intake import of_rules
    from netlab.proxy import modes
    from netlab.proxy.node_view import node_view

    seen = node_view(given.node, given.config, family)
    made = modes.of(mode)
    compiled = made.compile_services(given.dump.of("Service"), given.dump.of("EndpointSlice"), seen)
    given.complain([complaint for rules in compiled for complaint in rules.complaints])
    rules = made.assemble(compiled, seen)
    return Node("", (of_rules("", {family: rules if mode == "iptables" else [rules]}),), own)
