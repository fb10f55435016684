"""The running lab as checks and traces see it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options

if TYPE_CHECKING:
    from netlab.pathcheck.world import World


def world(arguments: argparse.Namespace, directory: Path) -> World:
    """Its objects, asked of the API, and its namespaces."""
    from netlab import inventory
    from netlab.kernel import paths
    from netlab.network import names
    from netlab.pathcheck.world import world_of

    spec = inventory.read_lab(directory)
    with options.client(arguments) as client:
        return world_of(
            spec,
            services=client.list("Service"),
            slices=client.list("EndpointSlice"),
            pods=client.list("Pod"),
            nodes=client.list("Node"),
            netns=lambda place: paths.namespace(
                directory, names.namespace(spec.name, *place.split(".", 1))
            ),
        )
