"""A packet's story, as a test reads it."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from netlab.trace.agreement import observed
from netlab.trace.document import document
from netlab.trace.misses import Miss
from netlab.trace.story import Story
from netlab.view import packets
from netlab.view import trace as view


class Trace(Struct, frozen=True):
    """What became of one packet; `str` of it is what `netlab trace` prints."""

    story: Story

    def __str__(self) -> str:
        return "\n".join(view.lines(self.story))

    @property
    def verdict(self) -> str:
        """What became of the packet: `delivered`, `refused` or `lost`."""
        return observed(self.story.journey)

    @property
    def outcome(self) -> str:
        """What became of who asks: `reachable`, `refused`, `unreachable`, `timeout`."""
        return self.story.journey.outcome

    @property
    def delivered_to(self) -> str | None:
        """The pod `namespace/name`, or the machine, where it arrived; None if it did not."""
        return self.story.journey.delivered_at

    @property
    def path(self) -> tuple[str, ...]:
        """The places that it was seen at, in turn."""
        return tuple(dict.fromkeys(hop.place for hop in self.story.journey.hops))

    @property
    def agrees(self) -> bool:
        """Whether the kernel did what its rules say."""
        return not self.story.agreement.difference

    @property
    def nearest(self) -> str:
        """The rule that lacked least of those that did not take the packet, where it was, and what
        it lacked; "" where none had met anything of it. One that a draw passed by lacked nothing.
        """
        missed = {
            id(miss): f"{visit.place} {visit.table} {visit.chain} rule {miss.number}: {miss.said}"
            for visit in self.story.there
            for miss in visit.misses
            if miss.words and "--probability" not in miss.condition
        }
        misses = [miss for visit in self.story.there for miss in visit.misses if id(miss) in missed]
        best = max(misses, key=_nearness, default=None)
        return missed[id(best)] if best is not None and any(_nearness(best)) else ""

    def document(self) -> dict[str, Any]:
        """All of it, as `netlab trace -o json` has it."""
        return document(self.story)

    def saved(self) -> bytes:
        """What `netlab trace --show` reads."""
        return f"{json.dumps(self.document(), indent=2)}\n".encode()

    def pcap(self) -> bytes:
        """Its packets as pcapng, with the rules that sent them on, for Wireshark."""
        return packets.capture(self.story)


def _nearness(miss: Miss) -> tuple[bool, int]:
    """A map that has nearly the same key comes first, then who met most."""
    return ", which has " in miss.words, miss.met
