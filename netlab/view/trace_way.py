"""A packet's way beside its rules, as lines: routes, neighbours, connections, the answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.pathcheck.decode import endpoint
from netlab.trace.story import Story
from netlab.trace.way import Connection, Decision, Tuple, WayBack

_NOWHERE = {
    "none": "no route to {}",
    "blackhole": "the route to {} is a black hole",
    "unreachable": "the route to {} says unreachable",
    "prohibit": "the route to {} prohibits it",
}


def way_on(story: Story, place: str, *, detailed: bool) -> Iterator[str]:
    """Where a place sent the packet, and by what; what its connection tracking remembers."""
    for each in story.evidence.decisions:
        if each.place == place:
            yield from _decision(each, detailed=detailed)
    for one in story.evidence.tracked:
        if one.place == place and one.connection is not None:
            yield from _connection(one.connection, detailed=detailed)
        elif one.place == place and detailed:
            yield "  conntrack: nothing is remembered"


def _decision(found: Decision, *, detailed: bool) -> Iterator[str]:
    route = found.route
    if route is None:
        if detailed:
            yield f"  bridge: {found.bridge} has {found.destination} at its port {found.port}"
        return
    if route.kind in _NOWHERE:
        yield f"  route: {_NOWHERE[route.kind].format(found.destination)}"
        return
    # Of pods the route is told on demand: they have but one.
    if route.kind == "local" or not (detailed or "/" not in found.place):
        if detailed:
            yield f"  route: {found.destination} is its own address"
        return
    via = f" via {route.gateway}" if route.gateway else ""
    yield f"  route: {route.destination}{via}, out by {route.link}"
    if not found.mac and found.asked:
        yield f"  neighbour: nobody answers for {found.neighbour} on {route.link}"
    elif found.mac and detailed:
        port = f", behind {found.bridge}'s port {found.port}" if found.port else ""
        yield f"  neighbour: {found.neighbour} is {found.mac}{port}"


def _connection(known: Connection, *, detailed: bool) -> Iterator[str]:
    original, reply = known.original, known.reply
    if known.is_plain and not detailed:
        return
    yield f"  conntrack: {_way(original)}"
    state = f" ({_state(known)})" if detailed else ""
    yield f"    replies: {_way(reply)}{state}"


def _way(way: Tuple) -> str:
    source = endpoint(way.source, way.sport) if way.dport else way.source
    return f"{source} → {endpoint(way.destination, way.dport)}"


def _state(known: Connection) -> str:
    words = [known.state] if known.state else []
    words.append("a reply was seen" if known.seen_reply else "no reply yet")
    if known.mark:
        words.append(f"mark {known.mark:#x}")
    return f"{', '.join(words)}, for {known.timeout} s"


def way_back(story: Story, *, detailed: bool) -> Iterator[str]:
    """The answer: what, by which places, where its addresses were turned back."""
    back = story.evidence.back
    if back is None:
        return
    places = list(dict.fromkeys(hop.place for hop in back.hops))
    yield f"reply: {back.what}, {' → '.join(places)}"
    if detailed:
        yield from _hops(back)
    for each in (*back.destinations, *back.sources):
        yield f"  {each.place}: {each.before} became {each.after} again, by conntrack"
    if back.last != story.sender:
        yield f"  seen last at {back.last}, and never by {story.sender}"


def _hops(back: WayBack) -> Iterator[str]:
    for place in dict.fromkeys(hop.place for hop in back.hops):
        names = [hop.ifname for hop in back.hops if hop.place == place]
        yield f"  {place}: {' → '.join(dict.fromkeys(names))}"
