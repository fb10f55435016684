"""A packet's story, as a test reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from netlab.trace.agreement import observed
from netlab.trace.document import document
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

    def document(self) -> dict[str, Any]:
        """All of it, as `netlab trace -o json` has it."""
        return document(self.story)

    def save(self, path: Path) -> None:
        """Write it for `netlab trace --show`."""
        path.write_text(f"{json.dumps(self.document(), indent=2)}\n")

    def pcap(self, path: Path) -> None:
        """Write its packets, with the rules that sent them on, for Wireshark."""
        path.write_bytes(packets.capture(self.story))
