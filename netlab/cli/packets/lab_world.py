"""The running lab as checks and traces see it, and why what they try fails there."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options

if TYPE_CHECKING:
    from netlab.diagnosis.facts import Facts
    from netlab.objects.lab import Lab
    from netlab.objects.types import EndpointSlice
    from netlab.pathcheck.slices import Slices
    from netlab.pathcheck.world import World
    from netlab.trace.story import Story


def world(arguments: argparse.Namespace, directory: Path) -> World:
    """Its objects, asked of the API, and its namespaces."""
    from netlab import inventory
    from netlab.kernel import paths
    from netlab.network import names
    from netlab.objects.sloppy import standardized
    from netlab.pathcheck.world import world_of

    spec, namespaces = inventory.read_lab(directory), paths.namespaces(directory)
    with options.client(arguments) as client:
        return world_of(
            spec,
            services=list(map(standardized, client.list("Service"))),
            slices=_slices(arguments),
            pods=client.list("Pod"),
            nodes=client.list("Node"),
            netns=lambda place: namespaces / names.namespace(spec.name, *place.split(".", 1)),
        )


def _slices(arguments: argparse.Namespace) -> Slices:
    """Asked for when somebody needs them: of thousands of Services nearly all are not."""
    from netlab.objects import meta
    from netlab.objects.endpointslices import LABEL_SERVICE_NAME
    from netlab.objects.sloppy import standardized
    from netlab.pathcheck.slices import Slices

    def read(namespace: str | None = None, **query: str) -> Sequence[EndpointSlice]:
        with options.client(arguments) as client:
            return list(map(standardized, client.list("EndpointSlice", namespace, query=query)))

    def of(service: str) -> Sequence[EndpointSlice]:
        namespace, name = meta.split_key(service)
        return read(namespace, labelSelector=f"{LABEL_SERVICE_NAME}={name}")

    return Slices(read, of)


def facts(arguments: argparse.Namespace, directory: Path) -> Facts:
    """What causes are found from."""
    from netlab import inventory
    from netlab.cli import diagnosing

    with options.client(arguments) as client:
        return diagnosing.facts(client, inventory.read_lab(directory), directory, node_ports=True)


def silent(arguments: argparse.Namespace) -> tuple[str, ...]:
    """A line for each process of the lab's that answers nobody, and for what else it lacks."""
    from netlab.client import settled

    with options.client(arguments) as client:
        return settled.look(client).lacking


def with_causes(
    story: Story, world: World, lab: Lab, arguments: argparse.Namespace, directory: Path
) -> Story:
    """A packet's story, with why it was not answered if it was not."""
    if story.journey.outcome == "reachable":
        return story
    from netlab.cli.packets import reasons

    return reasons.explained(story, world, facts(arguments, directory), lab, directory)
