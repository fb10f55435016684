"""Servers that a node's cache is to ask over TCP (`force_tcp`), which dnsmasq does for none. Pure.

    dnsmasq → 127.0.53.1:10530, by UDP → relay → 10.96.0.9:53, over TCP

A relay is a server block of a CoreDNS, as its pod's image has one; dnsmasq asks it instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from netlab.dns.corefile import CacheSettings

PORT = 10530
_NETWORK = "127.0.53."
_MOST = 254


def relays(settings: CacheSettings) -> Mapping[str, str]:
    """The address of the node's loopback for each server that is asked over TCP."""
    zones = dict(settings.servers)
    forced = dict.fromkeys(server for zone in settings.forced for server in zones.get(zone, ()))
    return {server: f"{_NETWORK}{n}" for n, server in enumerate(list(forced)[:_MOST], 1)}


def asked(settings: CacheSettings) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Whom dnsmasq asks, by zone."""
    known = relays(settings)

    def one(zone: str, server: str) -> str:
        is_relayed = zone in settings.forced and server in known
        return place(known[server]) if is_relayed else server

    return tuple(
        (zone, tuple(one(zone, server) for server in servers)) for zone, servers in settings.servers
    )


def place(address: str) -> str:
    """A relay's address, as dnsmasq has it."""
    return f"{address}#{PORT}"


def corefile(known: Mapping[str, str]) -> str:
    """By what the relays go."""
    return "".join(
        f".:{PORT} {{\n    bind {address}\n    forward . {_server(server)} {{\n"
        "        force_tcp\n    }\n}\n"
        for server, address in known.items()
    )


def _server(text: str) -> str:
    """`10.96.0.9` or `fd00::9#5353`, as a Corefile has it."""
    address, _, port = text.partition("#")
    return f"[{address}]:{port or 53}" if ":" in address else f"{address}:{port or 53}"
