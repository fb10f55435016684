"""Whom the cluster's DNS asks for names that are not the cluster's. Pure."""

from __future__ import annotations

from msgspec import Struct

from netlab.dns.records import HostRecord


class Forwarding(Struct, frozen=True):
    """Servers (`192.0.2.1` or `192.0.2.1#5353`) by zone, those for all other names (None: the
    lab's own), addresses that have names besides; `notes` say what was asked for and is not
    done."""

    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()
    outside: tuple[str, ...] | None = None
    hosts: tuple[HostRecord, ...] = ()
    notes: tuple[str, ...] = ()


NO_FORWARDING = Forwarding()
