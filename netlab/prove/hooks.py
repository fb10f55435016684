"""All packets through a node: its hooks in their order, and the routing decision between them.

    prerouting → routing decision → input, or forward → postrouting
    output → routing decision → postrouting (→ prerouting → input, by lo)

What comes of it has the ends of all packets as leaves: `delivered` to the node itself, `sent` on,
`dropped`, `rejected`, or `open` where a rule decides that nobody understands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple

from netlab.prove.diagram import Diagram, Diagrams, Leaf, Node, Place, State, Way, child
from netlab.prove.space import (
    CT,
    DADDR,
    DPORT,
    IIF,
    LOOPBACK_LINK,
    NEW,
    NO_LINK,
    OIF,
    SADDR,
    Region,
    Space,
    Values,
    meet,
)
from netlab.prove.steps import HERE, Hooked, Rules
from netlab.prove.walk import LEFT, Walker, ended

Entry = Literal["PREROUTING", "OUTPUT"]

ROUTE = "ROUTE"
"""Where the routing decision is, on a path."""

_ENDS = {"IN": "delivered", "ON": "sent"}
_PATHS: Mapping[str, tuple[str, ...]] = {
    "PREROUTING": ("PREROUTING", ROUTE),
    "OUTPUT": ("OUTPUT", ROUTE),
    "input": ("INPUT", "IN"),
    "forward": ("FORWARD", "POSTROUTING", "ON"),
    "postrouting": ("POSTROUTING", "ON"),
    "loop": ("POSTROUTING", "PREROUTING", "INPUT", "IN"),
}
_BEHIND: Mapping[str, tuple[str, str]] = {
    "PREROUTING": ("input", "forward"),
    "OUTPUT": ("loop", "postrouting"),
}
"""The paths behind the routing decision, of what is the node's own and of the rest."""


class _At(NamedTuple):
    """Where all packets of a region are: on a path, before a hook's chain."""

    path: str
    hook: int
    chain: int


class HandsOn(NamedTuple):
    """Of which links a node hands on nothing that comes in by them, and its bridges, which do so
    from port to port."""

    still: tuple[int, ...] = ()
    bridges: tuple[int, ...] = ()


class Hooks:
    """A node's rules, of whichever kinds they are, as functions of the header."""

    def __init__(
        self,
        rules: Sequence[Rules],
        space: Space,
        diagrams: Diagrams,
        routes: Sequence[tuple[Values, int]] | None = None,
        hands_on: HandsOn | None = None,
    ) -> None:
        self._hands_on = hands_on or HandsOn()
        self.rules, self.space, self.diagrams = rules, space, diagrams
        self._routes = routes
        self._walker = Walker(space, diagrams)
        self._hooks = _in_order(rules)
        self._known: dict[tuple[str, _At, State, Region], Diagram] = {}

    def ends(self, entry: Entry, region: Region) -> Diagram:
        """What becomes of all packets of a region that come in, or that the node sends."""
        if entry == "OUTPUT":
            region = _with(region, IIF, NO_LINK)
        found = self._follow(entry, _At(entry, 0, 0), State(), region)
        if entry == "OUTPUT":
            found = self._by_route(found)
        return self.diagrams.altered(found, self._settled) if self.unknown() else found

    def unknown(self) -> set[Place]:
        """The rules met so far that nobody understands."""
        return self._walker.unknown()

    def _follow(self, entry: str, at: _At, state: State, region: Region) -> Diagram:
        key = (entry, at, state, region)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._followed(entry, at, state, region)
        return found

    def _followed(self, entry: str, at: _At, state: State, region: Region) -> Diagram:
        hook = _PATHS[at.path][at.hook]
        if hook in _ENDS:
            return self.diagrams.certain(Way(_ENDS[hook], ended(state)))
        if hook == ROUTE:
            return self._routed(entry, state, region)
        chains = self._hooks.get(hook, ())
        if at.chain == len(chains):
            return self._follow(entry, _At(at.path, at.hook + 1, 0), state, region)
        return self._asked(entry, at, hook, chains[at.chain], state, region)

    def _routed(self, entry: str, state: State, region: Region) -> Diagram:
        here, on = _BEHIND[entry]
        mine = meet(region[DADDR], self.space.local)
        handed = self._follow(entry, _At(on, 0, 0), state, region)
        if on == "forward":
            handed = self._held(handed, state)
        sent = self._by_route(handed)
        if not mine:
            return sent
        looped = _with(_with(region, IIF, LOOPBACK_LINK), OIF, LOOPBACK_LINK)
        into = looped if here == "loop" else region
        kept = self._follow(entry, _At(here, 0, 0), state, into)
        return self.diagrams.graft(((DADDR, self.space.local),), kept, sent)

    def _held(self, handed: Diagram, state: State) -> Diagram:
        """But for what comes in by links of which nothing is handed on."""
        lost = self.diagrams.certain(Way("lost", ended(state), None, "forwarding is off"))
        for link in self._hands_on.still:
            kept: Diagram = lost
            if link in self._hands_on.bridges and not state.translated:
                kept = self.diagrams.graft(((OIF, ((link, link),)),), handed, lost)
            handed = self.diagrams.graft(((IIF, ((link, link),)),), kept, handed)
        return handed

    def _by_route(self, sent: Diagram) -> Diagram:
        """With the link that routes choose by the destination, where they are known."""
        if self._routes is None:
            return sent
        found = self.diagrams.fixed(sent, OIF, NO_LINK)
        for values, link in self._routes:
            chosen = self.diagrams.fixed(sent, OIF, link)
            found = self.diagrams.graft(((DADDR, values),), chosen, found)
        return found

    def _asked(
        self, entry: str, at: _At, hook: str, base: Hooked, state: State, region: Region
    ) -> Diagram:
        behind = at._replace(chain=at.chain + 1)
        if not base.is_nat:
            return self._through(entry, behind, base, state, region)
        skipped = self._follow(entry, behind, state, region)
        first = meet(region[CT], NEW)
        if not first or not _translates(entry, hook, state):
            return skipped
        part = (*region[:CT], first, *region[CT + 1 :])
        asked = self._through(entry, behind, base, state, part)
        return self.diagrams.graft(((CT, NEW),) if first != region[CT] else (), asked, skipped)

    def _through(
        self, entry: str, behind: _At, base: Hooked, state: State, region: Region
    ) -> Diagram:
        """A base chain and all that comes after it."""
        asked = self._walker.base(base.rules, base.table, base.chain, state, region)
        plain = {
            way: self._by_policy(way, base) or self._further(entry, behind, way, state, region)
            for way in asked.going
            if way.state.to == state.to
        }
        whole = list(region)
        whole[DADDR], whole[DPORT] = self.space.all[DADDR], self.space.all[DPORT]
        everywhere = tuple(whole)

        def turned(way: Way) -> Diagram:
            """Behind a translation: as any packet with that destination."""
            there = self._follow(entry, behind, _untold(way.state), everywhere)
            assert way.state.to is not None
            address, port = way.state.to
            if address == HERE:
                return self._sent_here(there, way.state, port, entry)
            return self._sent_to(there, way.state)

        return self.diagrams.resumed(asked, plain, turned)

    def _further(self, entry: str, behind: _At, way: Way, before: State, region: Region) -> Diagram:
        """Behind a base chain that left the destination alone. What comes back by lo is asked there
        by the source that it was given."""
        state = way.state
        given = self._address(state.source) if state.source != before.source else None
        if behind.path != "loop" or given is None:
            return self._follow(entry, behind, state, region)
        there = self._follow(entry, behind, state, _with(region, SADDR, given))
        return self.diagrams.fixed(there, SADDR, given)

    def _address(self, source: str) -> int | None:
        """That of a source that is one: whose a masquerade's is, only the kernel says."""
        try:
            values = self.space.network(source)
        except ValueError:
            return None
        return values[0][0] if values else None

    def _by_policy(self, way: Way, base: Hooked) -> Diagram | None:
        """What becomes of those that no rule of a base chain accepted, if they do not go on."""
        if way.at != LEFT or not base.drops:
            return None
        place = Place(base.table, base.chain)
        return self.diagrams.certain(Way("dropped", ended(way.state), place))

    def _sent_here(self, there: Diagram, state: State, port: int | None, entry: str) -> Diagram:
        """To the node itself. Which of its addresses the link has that a packet comes in by is not
        known: where they come to different ends, all of them are left open."""
        space = self.space
        if entry == "OUTPUT":
            (loopback, _), *_ = space.network("127.0.0.1" if space.family == "ipv4" else "::1")
            return self._sent_to(there, state._replace(to=(loopback, port)))
        own = [one for low, high in space.known_local for one in range(low, high + 1)]
        ends = {at_end(self.diagrams, there, (one, port)) for one in own or [space.own]}
        if len(ends) > 1:
            how = "its link's address decides where it is redirected"
            return self.diagrams.certain(Way("open", ended(state), None, how))
        return self._named_end(ends.pop(), state._replace(to=(space.own, port)))

    def _sent_to(self, there: Diagram, state: State) -> Diagram:
        assert state.to is not None
        return self._named_end(at_end(self.diagrams, there, state.to), state)

    def _named_end(self, there: Diagram, state: State) -> Diagram:
        """With where it was translated to."""

        def told(leaf: Leaf) -> Leaf:
            return self.diagrams.ways(leaf, lambda way: _to(way, state))

        return self.diagrams.altered(there, told)

    def _settled(self, leaf: Leaf) -> Leaf:
        """No doubt where all comes to the same, whichever rules are taken to match."""
        places = sorted({place for way, _ in leaf.ways for place, _ in way.state.doubts})
        if not places:
            return leaf
        if len(places) <= _SUPPOSED:
            cases = product((True, False), repeat=len(places))
            found = [self._supposing(leaf, dict(zip(places, so, strict=True))) for so in cases]
            if len({_roughly(one) for one in found}) == 1:
                return found[0]
        return self.diagrams.certain(Way("open", State(), places[0], _named(places)))

    def _supposing(self, leaf: Leaf, so: Mapping[Place, bool]) -> Leaf:
        """The ends when rules match so. Each doubt on a way has halved its share."""
        pieces = [
            (self.diagrams.certain(_certain(way)), share * 2 ** len(way.state.doubts))
            for way, share in leaf.ways
            if all(so[place] is matched for place, matched in way.state.doubts)
        ]
        found = self.diagrams.mix(pieces)
        assert isinstance(found, Leaf)
        return found


_SUPPOSED = 6
"""So many rules that nobody understands are taken to match and not to, in all ways."""


def _roughly(leaf: Leaf) -> tuple[tuple[Way, float], ...]:
    """Two that differ by what was rounded off are the same."""
    return tuple((way, round(share, 6)) for way, share in leaf.ways)


def at_end(diagrams: Diagrams, there: Diagram, to: tuple[int | None, int | None]) -> Diagram:
    """What is left for an address and a port, None for those that stay."""
    address, port = to
    if address is not None:
        there = child(there, DADDR, address)
    if port is None:
        return there
    if not isinstance(there, Node) or there.field > DADDR:
        return child(there, DPORT, port)
    return diagrams.node(DADDR, there.ends, [child(one, DPORT, port) for one in there.children])


def _named(places: Sequence[Place]) -> str:
    return " ".join(f"{one.table}/{one.chain}/{one.number}" for one in places)


def _certain(way: Way) -> Way:
    return way._replace(state=way.state._replace(doubts=()))


def _untold(state: State) -> State:
    """Without where it was translated to."""
    return State(state.mark, state.untracked, state.translated, None, *state[4:])


def _to(way: Way, state: State) -> Way:
    """With where it was translated to, if it comes there."""
    at, had, place, how = way
    if at in _ENDS.values():
        after = State(had.mark, had.untracked, had.translated, state.to, *had[4:])
        return Way(at, after, place, how)
    return way


def _with(region: Region, field: int, value: int) -> Region:
    return (*region[:field], ((value, value),), *region[field + 1 :])


def _translates(entry: str, hook: str, state: State) -> bool:
    """As in `simulation.hooks`: only a connection's first packet is asked, a settled end stays,
    and one that began here is not translated when it comes in by lo."""
    settled = state.translated if hook in ("PREROUTING", "OUTPUT") else bool(state.source)
    again = entry == "OUTPUT" and hook in ("PREROUTING", "INPUT")
    return not (state.untracked or settled or again)


def _in_order(rules: Sequence[Rules]) -> dict[str, list[Hooked]]:
    found: dict[str, list[tuple[int, Hooked]]] = {}
    for one in rules:
        for hook, chains in one.hooks.items():
            found.setdefault(hook, []).extend(chains)
    return {
        hook: [hooked for _, hooked in sorted(chains, key=lambda each: each[0])]
        for hook, chains in found.items()
    }
