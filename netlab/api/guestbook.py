"""Who is in the lab's API by its inner door, and who has to go for somebody else. Pure.

A connection counts for the address that it comes from until somebody has shown by a token who he
is, then for his pod, or for his account where the token is bound to none: pods behind one address,
as those of a node whose packets it masquerades, are told apart by it.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct

from netlab.objects.rbac import ANONYMOUS, User

_POD_UID = "authentication.kubernetes.io/pod-uid"

ASKING = float("inf")


class Guest(Struct, eq=False):
    """A connection from an address (`host`), and for whom it counts (`holder`, "" for nobody).

    It asks for nothing `since` then, or is `ASKING`; before its handshake it has no transport.
    """

    socket: socket.socket
    host: str
    holder: str
    since: float
    transport: asyncio.Transport | None = None


def holder_of(user: User, host: str) -> str:
    """For whom the connections of a user count who comes from an address."""
    if user.is_master:
        return ""
    if user.name == ANONYMOUS.name:
        return host
    uids = user.extra.get(_POD_UID) or [user.name]
    return str(uids[0])


class Full(Exception):
    """There is no room for one more."""


def leaver(guests: Sequence[Guest], host: str, most: int, each: int) -> Guest | None:
    """Whom one more from that address takes the place of, None if there is room for both.

    `most` may come in all, and so many `each` address or holder. Who has most makes room for who
    has less, with a connection that is idle if he has one; of those at one address nobody knows
    whose they are, so it is the one that was idle longest.
    """
    strangers = [guest for guest in guests if guest.holder == host]
    if len(strangers) >= each:
        return _longest_idle(strangers)
    if len(guests) < most:
        return None
    counts = Counter(guest.holder for guest in guests if guest.holder)
    holder, number = counts.most_common(1)[0] if counts else ("", 0)
    if number <= counts[host] + 1:
        raise Full
    theirs = [guest for guest in guests if guest.holder == holder]
    try:
        return _longest_idle(theirs)
    except Full:
        return theirs[0]


def _longest_idle(guests: Sequence[Guest]) -> Guest:
    found = min(guests, key=lambda guest: guest.since)
    if found.since == ASKING:
        raise Full
    return found
