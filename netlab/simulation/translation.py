"""The end that a rule of either mode gives a packet."""

from __future__ import annotations

import ipaddress
import re
from typing import Literal

from msgspec.structs import replace

from netlab.simulation.packet import Packet

Translation = Literal["dnat", "snat", "masquerade", "redirect"]


def translated(kind: Translation, to: str, packet: Packet) -> Packet:
    """The packet with the end `to`, in the words of `_END`. `ValueError` for what is none, and for
    a range to choose from, but of sources' ports, which nobody asks for."""
    if kind == "masquerade":
        return replace(packet, snat=True)
    match = _END.fullmatch(to)
    if match is None or (match["last"] and kind != "snat"):
        raise ValueError(to)
    if match["port"] == "0" or (kind == "dnat" and not to):  # what an older iptables prints
        raise ValueError(to)
    address = match["bracketed"] or match["address"] or ""
    if address:
        ipaddress.ip_address(address)
    if kind == "snat":
        return replace(packet, source=address or packet.source, snat=True)
    if kind == "redirect":
        address = packet.link_address or ("::1" if ":" in packet.destination else "127.0.0.1")
    port = int(match["port"] or 0)
    return replace(
        packet,
        destination=address or packet.destination,
        dport=port or packet.dport,
        dnat=True,
    )


# `10.0.0.1:80`, `[fd00::1]:80`, `10.0.0.1 . 80`, `fd00::1`, `:80`, `:80-90`, nothing
_END = re.compile(
    r"(?:\[(?P<bracketed>[^]]+)\]|(?P<address>[^:\s]*|[^:\s]*:[^:\s]*:\S*))"
    r"(?:(?::| \. )(?P<port>\d+)(?P<last>-\d+)?)?"
)
