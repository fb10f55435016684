"""IP addresses and prefixes in the spelling the kernel's tools print; None for what is none."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from typing import Any, Literal

Family = Literal["ipv4", "ipv6"]

_AF: dict[Family, socket.AddressFamily] = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}

HOST_BITS: dict[Family, int] = {"ipv4": 32, "ipv6": 128}
LOOPBACK: dict[Family, str] = {"ipv4": "127.0.0.0/8", "ipv6": "::1/128"}


def family_of(address: str) -> Family:
    """The family an address or prefix looks to be of."""
    return "ipv6" if ":" in address else "ipv4"


def address(text: Any, family: Family) -> str | None:
    """The canonical spelling of an address of that family; None when it is none.

    inet_pton and not `ipaddress`: 30,000 endpoints are read at a start.
    """
    if not isinstance(text, str):
        return None
    try:
        packed = socket.inet_pton(_AF[family], text)
    except (OSError, ValueError):
        return None
    return text if family == "ipv4" else socket.inet_ntop(socket.AF_INET6, packed)


def prefix(text: Any, family: Family) -> str | None:
    """The canonical spelling of a prefix of that family, host bits cleared, else None."""
    if not isinstance(text, str) or "/" not in text or family_of(text) != family:
        return None
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return None


def first_prefix(texts: Iterable[str], family: Family) -> str | None:
    """The first of those prefixes that is of that family."""
    return next((found for text in texts if (found := prefix(text, family))), None)


def contains(network: str, inner: str) -> bool:
    """True when the address lies in the prefix; families that differ never do."""
    return ipaddress.ip_address(inner) in ipaddress.ip_network(network, strict=False)


def overlaps_loopback(network: str) -> bool:
    """True when an IPv4 prefix holds addresses of 127.0.0.0/8."""
    loopback = ipaddress.ip_network("127.0.0.0/8")
    return ipaddress.ip_network(network, strict=False).overlaps(loopback)
