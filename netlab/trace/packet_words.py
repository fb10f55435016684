"""`tcp 10.0.0.5:40000 > 10.96.0.10:80` → a packet."""

from __future__ import annotations

import re

from netlab.errors import UsageError
from netlab.objects.addresses import canonical, is_address
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.protocols import BY_NAME, ProtocolName

SOURCE_PORT = 40000
_EXAMPLE = "--packet 'tcp 10.0.0.5:40000 > 10.96.0.10:80'"
_WORDS = re.compile(r"\s*(\S+)\s+(\S+)\s*(?:->|→|>)\s*(\S+)\s*\Z")


def packet(text: str) -> ProbePacket:
    """The packet that is meant, from port 40000 if none is said. `UsageError` for what is none."""
    found = _WORDS.match(text)
    if found is None:
        raise UsageError(f"{text!r} is no packet", hint=_EXAMPLE)
    protocol = _protocol(found[1])
    source, sport = _end(found[2])
    destination, dport = _end(found[3])
    if (":" in source) != (":" in destination):
        raise UsageError(f"{source} and {destination} are of two families", hint=_EXAMPLE)
    has_ports = BY_NAME[protocol].has_ports
    if has_ports and not dport:
        raise UsageError(f"to which port of {destination}?", hint=_EXAMPLE)
    if not has_ports and (sport or dport):
        raise UsageError(f"{protocol} has no ports", hint=f"--packet 'icmp {source} > …'")
    return probe(protocol, source, sport, destination, dport)


def probe(
    protocol: ProtocolName, source: str, sport: int, destination: str, dport: int
) -> ProbePacket:
    """A packet that nobody sends; from port 40000 if that is 0."""
    sport = sport or (SOURCE_PORT if BY_NAME[protocol].has_ports else 0)
    return ProbePacket(0, protocol, source, sport, destination, dport, 1)


def _protocol(word: str) -> ProtocolName:
    for name in BY_NAME:
        if name == word.lower():
            return name
    raise UsageError(f"{word!r} is no protocol", hint=f"one of {', '.join(BY_NAME)}; {_EXAMPLE}")


def _end(word: str) -> tuple[str, int]:
    address, _, port = word.rpartition(":")
    if is_address(word.strip("[]")):
        address, port = word, ""
    bare = address.removeprefix("[").removesuffix("]")
    if not is_address(bare) or (port and not _is_port(port)) or word.endswith(":"):
        raise UsageError(f"{word!r} is no address and port", hint=_EXAMPLE)
    return canonical(bare), int(port or 0)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 0 < int(text) < 65536
