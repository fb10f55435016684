"""Examples:

    netlab graph -o lab.svg                  nodes, networks, pods, Services, and who backs whom
    netlab graph -o png > lab.png
    netlab graph -o mermaid                  for Markdown, as GitHub draws it
    netlab graph -f lab.yaml -o lab.svg      what a file says; no lab is needed
    netlab graph -n shop --each -o lab.svg   one namespace, each pod a box of its own
    sudo netlab graph rules svc/web -o web.svg
    netlab graph trace web.json -o web.svg

Where there are many pods, those of a workload on a node are one box. SVG and PNG are laid out by
Graphviz (apt-get install graphviz); DOT and Mermaid need nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from netlab.cli import options
from netlab.cli.packets import pictures

if TYPE_CHECKING:
    from netlab.graph.model import Picture
    from netlab.graph.topology import Objects
    from netlab.objects.lab import Lab
    from netlab.objects.meta import AnyObject

T = TypeVar("T", bound="AnyObject")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of what, how, and as what."""
    parser.add_argument(
        "-n", "--namespace", dest="space", metavar="NS", help="this namespace alone (all)"
    )
    much = parser.add_mutually_exclusive_group()
    much.add_argument(
        "--each", action="store_true", help="each pod is a box, however many there are"
    )
    much.add_argument("--fold", action="store_true", help="replicas are one box, however few")
    options.add_files(parser)
    pictures.add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Draw the lab."""
    from netlab.graph.topology import topology

    with pictures.output(arguments.output) as draw:
        folded = False if arguments.each else True if arguments.fold else None
        if arguments.filename:
            draw(_planned(arguments, folded))
            return 0
        lab, objects = _running(arguments)
        draw(topology(lab, objects, folded=folded))
    return 0


def _planned(arguments: argparse.Namespace, folded: bool | None) -> Picture:
    """What files come to: with a lab among them, as its controllers would have it."""
    from netlab import onpaper
    from netlab.graph.planned import planned
    from netlab.graph.topology import Objects, topology
    from netlab.objects.kinds import BY_KIND

    arguments.namespace = "default"  # of objects that say none
    loaded = options.load(arguments)
    space = arguments.space
    if loaded.lab is None:
        return planned(
            _of(space, [one for one in loaded.objects if BY_KIND[one["kind"]].namespaced])
        )
    paper = onpaper.settled(loaded)
    objects = Objects(_of(space, paper.pods), _of(space, paper.services), _of(space, paper.slices))
    return topology(paper.lab, objects, folded=folded)


def _of(space: str | None, objects: Iterable[T]) -> list[T]:
    """Those of a namespace, or (None) all."""
    from netlab.objects import meta

    return [one for one in objects if space in (None, meta.namespace(one))]


def _running(arguments: argparse.Namespace) -> tuple[Lab, Objects]:
    from netlab import inventory
    from netlab.graph.topology import Objects
    from netlab.objects.nodes import now
    from netlab.objects.sloppy import standardized

    directory = inventory.running(arguments.lab)
    with options.client(arguments) as client:
        space = arguments.space
        lab = now(inventory.read_lab(directory), client.list("Node"))
        pods = client.list("Pod", space)
        services = list(map(standardized, client.list("Service", space)))
        slices = list(map(standardized, client.list("EndpointSlice", space)))
        return lab, Objects(pods, services, slices)
