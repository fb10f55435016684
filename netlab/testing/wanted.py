"""What an assertion says, as a PathCheck, and what of it no PathCheck has. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from msgspec.structs import replace

from netlab.objects.pathcheck import Expectation, PathCheck, Protocol
from netlab.pathcheck.path import Journey
from netlab.pathcheck.world import World
from netlab.trace.ends import check_of

Endpoints = str | int | Sequence[str] | None
"""`"all"`, a number of different ones, a name or names of pods or Deployments, or None: any."""


def check(
    sender: str,
    target: str,
    world: World,
    *,
    namespace: str,
    protocol: Protocol,
    expect: Expectation,
) -> PathCheck:
    """A check of that way, in the words of `netlab trace`."""
    found = check_of(sender, target, world, namespace=namespace, protocol=protocol)
    return replace(found, name=f"{sender} to {target}", expect=expect)


def endpoints(said: Endpoints) -> Literal["all"] | int | tuple[str, ...] | None:
    """As a PathCheck has them."""
    if said is None or isinstance(said, int):
        return said
    if isinstance(said, str):
        return cast(Literal["all"], said) if said == "all" else (said,)
    return tuple(said)


def nodes(journey: Journey, world: World) -> tuple[str, ...]:
    """The nodes that a packet passed, in turn; one that it came back to stands again."""
    passed = [hop.place for hop in journey.hops if world.places[hop.place].role == "node"]
    before = [None, *passed]
    return tuple(each for each, last in zip(passed, before, strict=False) if each != last)
