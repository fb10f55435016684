"""The running lab as checks and traces see it, and why what they try fails there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.cli import options

if TYPE_CHECKING:
    from netlab.client.sync import Client
    from netlab.diagnosis.facts import Facts
    from netlab.objects.lab import Lab
    from netlab.objects.pathcheck import PathCheck
    from netlab.objects.types import EndpointSlice, Node, Pod, Service
    from netlab.pathcheck.services import Services
    from netlab.pathcheck.slices import Slices
    from netlab.pathcheck.world import World
    from netlab.trace.story import Story


def world(arguments: argparse.Namespace, directory: Path) -> World:
    """Its objects, asked of the API, and its namespaces."""
    with options.client(arguments) as client:
        return _made(
            directory,
            services=_services(client, arguments),
            slices=_slices(arguments),
            pods=client.list("Pod"),
            nodes=client.list("Node"),
        )


def world_of_checks(
    checks: Sequence[PathCheck], arguments: argparse.Namespace, directory: Path
) -> World:
    """The same with no more Services and pods than these checks are about; its `whole` has all."""
    from netlab.objects.sloppy import standardized
    from netlab.pathcheck.needed import needed

    slices = _slices(arguments)
    found = needed(checks, slices.of)
    if found is None:
        return world(arguments, directory)
    with options.client(arguments) as client:
        return _made(
            directory,
            services=list(map(standardized, _named(client, "Service", found.services))),
            slices=slices,
            pods=_named(client, "Pod", found.pods),
            nodes=client.list("Node"),
            read_all=lambda: world(arguments, directory),
        )


def _named(client: Client, kind: str, keys: Iterable[str]) -> list[Any]:
    """Those of these objects that there are."""
    from netlab.objects import meta

    found: list[Any] = []
    for key in sorted(keys):
        namespace, name = meta.split_key(key)
        found += client.list(kind, namespace, query={"fieldSelector": f"metadata.name={name}"})
    return found


def _made(
    directory: Path,
    *,
    services: Sequence[Service] | Services,
    slices: Slices,
    pods: Sequence[Pod],
    nodes: Sequence[Node],
    read_all: Callable[[], World] | None = None,
) -> World:
    from netlab import inventory
    from netlab.kernel import paths
    from netlab.network import names
    from netlab.pathcheck.world import world_of

    spec, namespaces = inventory.read_lab(directory), paths.namespaces(directory)
    return world_of(
        spec,
        services=services,
        slices=slices,
        pods=pods,
        nodes=nodes,
        netns=lambda place: namespaces / names.namespace(spec.name, *place.split(".", 1)),
        read_all=read_all,
    )


_MANY = 200
"""Of more Services than these no more are fetched than somebody asks for."""


def _services(client: Client, arguments: argparse.Namespace) -> Sequence[Service] | Services:
    from netlab.objects import meta
    from netlab.objects.sloppy import standardized
    from netlab.pathcheck.services import Services

    some, left = client.some("Service", _MANY)
    if not left:
        return list(map(standardized, some))

    def read() -> Mapping[str, Service]:
        with options.client(arguments) as client:
            return {meta.key(one): standardized(one) for one in client.list("Service")}

    def read_one(key: str) -> Service | None:
        with options.client(arguments) as client:
            return next(iter(map(standardized, _named(client, "Service", [key]))), None)

    return Services(len(some) + left, read, read_one)


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
