"""Examples:

    sudo netlab graph rules svc/web -o web.svg
    sudo netlab graph rules svc/web --node worker001 -o mermaid

Reads the rules that are in force in the node's namespace, with their counters (which kube-proxy's
nftables mode has none of). Without --node it is the first node's that is on.
"""

from __future__ import annotations

import argparse

from netlab.cli import options
from netlab.cli.packets import pictures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which Service, on which node, as what."""
    parser.add_argument("service", metavar="SERVICE", help="svc/NAME or NAME")
    options.add_namespace(parser)
    parser.add_argument("--node", metavar="NODE", help="on this node (the first)")
    pictures.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw the Service's chains."""
    from netlab import inventory, lab
    from netlab.cli.packets.rules_ import found_rules
    from netlab.graph.rules import Tree, rules

    lab.need_root("graph rules")
    name = options.service_name(arguments.service, "graph rules")
    with pictures.output(arguments.output) as draw, inventory.in_use(arguments.lab) as directory:
        key, found = found_rules(name, directory, arguments)
        first = [one for one in found if one.node == found[0].node]
        draw(
            rules(
                f"rules for {key}",
                [Tree(f"{one.node} ({one.family})", one.branches) for one in first],
            )
        )
    return 0
