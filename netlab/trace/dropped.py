"""The kernel's own reason for dropping a packet, where it is certain to be this packet's."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from netlab.errors import EnvironmentLacks
from netlab.kernel.drops import Drop, Drops, Mark
from netlab.kernel.nftrace import Pattern, Patterns
from netlab.pathcheck.capture import CANARY
from netlab.pathcheck.world import World

_LONGEST = 8
_TOKEN = Mark(15, f"{CANARY:08x}".encode())
"""The end of what a canary carries, which goes to where nobody listens."""

_OF_OBSERVERS = ("PACKET_SOCK_ERROR",)
"""A capture's own copy had no room."""

WORDS = {
    "NETFILTER_DROP": "a rule said so",
    "NO_SOCKET": "nobody listens there",
    "SOCKET_RCVBUFF": "who listens does not read",
    "TCP_LISTEN_OVERFLOW": "who listens does not accept",
    "IP_RPFILTER": "its source is not where it came from: rp_filter",
    "IP_LOCALNET": "an address of loopback came by a link",
    "IP_LOCAL_SOURCE": "it came by a link with an address of that machine's own",
    "IP_INVALID_SOURCE": "its source is no address to send from",
    "IP_INVALID_DEST": "its destination is no address to send to",
    "IP_INADDRERRORS": "the machine does not forward, or not to there",
    "IP_INNOROUTES": "no route leads on",
    "IP_OUTNOROUTES": "no route leads there",
    "NEIGH_FAILED": "the next machine answers no ARP",
    "NEIGH_QUEUEFULL": "too many wait for the next machine's ARP",
    "NEIGH_DEAD": "the next machine is gone",
    "OTHERHOST": "it came to a machine whose hardware address it had not",
    "UNHANDLED_PROTO": "nobody there knows its protocol",
    "IP_NOPROTO": "nobody there knows its protocol",
    "IPV6DISABLED": "IPv6 is switched off there",
    "PKT_TOO_BIG": "it is too big for the link",
    "QDISC_DROP": "the link's queue had no room",
    "TC_INGRESS": "a filter of the link's said so",
    "TC_EGRESS": "a filter of the link's said so",
}
"""What some reasons mean."""


class Reasons:
    """Watches for drops of one packet, that has some of these patterns, as long as it is open."""

    def __init__(self, patterns: Patterns, world: World, stack: contextlib.ExitStack) -> None:
        self._drops: Drops | None = None
        alone = [each for each in patterns if isinstance(each, Pattern)]
        marks = [_mark(each) for each in alone if not each.in_network_header and not each.mask]
        if not marks:
            return
        with contextlib.suppress(EnvironmentLacks):
            self._drops = stack.enter_context(Drops([_TOKEN, *marks], _directory(world)))

    def prove(self) -> None:
        """Go on only if it has told of a canary."""
        if self._drops is not None and not any(drop.mark == 0 for drop in self._drops.collect()):
            self._drops = None

    def told(self) -> str:
        """`NETFILTER_DROP`; "" where there was none, or more than one."""
        return the_reason(self._drops.collect()) if self._drops is not None else ""


def the_reason(drops: Sequence[Drop]) -> str:
    """That of the packet, if all that was dropped of it was for the same."""
    found = {drop.reason for drop in drops if drop.mark and drop.reason not in _OF_OBSERVERS}
    return found.pop() if len(found) == 1 else ""


def said(reason: str) -> str:
    """`NETFILTER_DROP: a rule said so`."""
    return f"{reason}: {WORDS[reason]}" if reason in WORDS else reason


def _mark(pattern: Pattern) -> Mark:
    """The end of what tells it apart: a token begins as all others do."""
    more = max(len(pattern.value) - _LONGEST, 0)
    return Mark(pattern.offset + more, pattern.value[more:])


def _directory(world: World) -> Path | None:
    """The lab's own, which goes with it."""
    places = (place.netns for place in world.places.values())
    return next((netns.parent.parent for netns in places if isinstance(netns, Path)), None)
