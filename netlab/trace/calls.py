"""A real connection traced: its first packet, what was answered, and, behind an Ingress controller,
the second connection by which nginx asks one of its endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.objects.lab import Lab
from netlab.objects.pathcheck import PathCheck, Sender, Target
from netlab.pathcheck import bpf
from netlab.pathcheck.calls import Caller, Exchange, HttpRequest, Question
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.decode import Observation, split
from netlab.pathcheck.world import World
from netlab.trace.doors import Door, IngressObjects, controllers, door
from netlab.trace.session import Wish, traced
from netlab.trace.story import Story

_REST_SECONDS = 0.005


class Behind(Struct, frozen=True):
    """What a controller did with a request: the rule that took it (None if it is not known), the
    connections by which it was passed on, in turn, from `source` to `destination`, the place of the
    last of them, and how packets go there. `problem` is why that could not be seen."""

    controller: str
    door: Door | None
    passed: tuple[tuple[str, str], ...] = ()
    place: str = ""
    story: Story | None = None
    problem: str = ""


class Call(Struct, frozen=True):
    """A connection's story: of its first packet, of its answer, of what is behind it. `entered` is
    whose address was asked where the name has none."""

    question: Question
    story: Story
    exchange: Exchange
    behind: Behind | None = None
    entered: str = ""


def called(
    check: PathCheck,
    question: Question,
    world: World,
    lab: Lab,
    objects: IngressObjects,
    wish: Wish | None = None,
) -> Call:
    """Ask, from where a check sends."""
    doors = {name: world.places[name].netns for name in controllers(world)}
    with Capture(doors, bpf.STREAMS) as capture, Caller(question) as caller:
        if doors:
            capture.prove()
        story = traced(check, world, lab, replace(wish or Wish(), sender=caller))
        exchange = caller.exchange()
        seen = capture.collect(_REST_SECONDS) if doors else []
    call = Call(question, story, exchange)
    at = story.journey.delivered_at
    if at not in doors or not isinstance(question, HttpRequest):
        return call
    return replace(call, behind=_behind(at, question, seen, world, lab, objects))


def _behind(
    at: str,
    request: HttpRequest,
    seen: Sequence[Observation],
    world: World,
    lab: Lab,
    objects: IngressObjects,
) -> Behind:
    taken = door(world.pods[at], request.host, request.path, objects, world)
    passed = tuple(dict.fromkeys(_passed(at, request, seen)))
    behind = Behind(at, taken, passed)
    if not passed:
        unseen = taken is not None and taken.service
        problem = "no request of it was seen: it asks by https, or answered by itself"
        return replace(behind, problem=problem if unseen else "")
    address, port = split(passed[-1][1])
    space, _, name = at.partition("/")
    check = PathCheck("trace", Sender("pod", name, space), Target(address=address, port=port))
    behind = replace(behind, place=world.owner(address) or address)
    try:
        return replace(behind, story=traced(check, world, lab))
    except NetlabError as error:
        return replace(behind, problem=error.message)


def _passed(
    at: str, request: HttpRequest, seen: Sequence[Observation]
) -> Iterator[tuple[str, str]]:
    """The connections on which the request went on: it has its identity, which came in with it."""
    ident = request.ident.encode()
    for one in sorted(seen, key=lambda each: each.time):
        if one.place == at and one.outgoing and ident in one.data:
            yield one.packet.source, one.packet.destination
