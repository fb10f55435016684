"""Whom the cluster's DNS asks for names that are not the cluster's, and what it asks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from netlab.dns.terms import Terms

if TYPE_CHECKING:
    from netlab.workload.inside.corefile import Directive

PLUGINS = "plugins"
"""The key of `blocks` among a names process' entries; no Service has one without a slash."""


class Block(Struct, frozen=True):
    """Of a server block of a Corefile what questions and answers go through before they are
    anybody's: `rewrite`, `template`, `hosts`, `file`. It `asks` if somebody is to know what these
    do not: its `servers`, or those of a zone that is among its `homes`."""

    zones: tuple[str, ...]
    directives: tuple[Directive, ...]
    asks: bool = True
    servers: tuple[str, ...] = ()
    homes: tuple[str, ...] = ()


class Forwarding(Struct, frozen=True):
    """Servers (`192.0.2.1` or `192.0.2.1#5353`) by zone, those for all other names (None: the
    lab's own); `blocks`, and the `files` that these name; on what `terms` names are answered (None:
    the usual ones); `notes` say what was asked for and is not done."""

    zones: tuple[tuple[str, tuple[str, ...]], ...] = ()
    outside: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    terms: Terms | None = None


NO_FORWARDING = Forwarding()


def to_json(forwarding: Forwarding, domain: str) -> dict[str, Any]:
    """What goes before the dnsmasqs, as it travels to the process that has it."""
    blocks = [
        {
            "zones": block.zones,
            "directives": block.directives,
            "asks": block.asks,
            "servers": block.servers,
            "homes": block.homes,
        }
        for block in forwarding.blocks
    ]
    zones = [".", *(zone for zone, _ in forwarding.zones)]
    return {"domain": domain, "zones": zones, "blocks": blocks, "files": dict(forwarding.files)}
