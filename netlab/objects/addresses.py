"""IP addresses as texts: which are such, how each is written, and how a port is added."""

import ipaddress
import re

PLAIN = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}", re.ASCII)
"""IPv4 as nearly all write it, which is the one way."""


def is_address(text: str) -> bool:
    """Of either family."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def canonical(address: str) -> str:
    """The one way in which an address is written: `fd00:0::01` → `fd00::1`."""
    return address if PLAIN.fullmatch(address) else str(ipaddress.ip_address(address))


def bracketed(host: str) -> str:
    """As an address or a name stands in a URL: `10.244.1.2`, `[fd00::2]`."""
    return f"[{host}]" if ":" in host else host


def join_host_port(host: str, port: int | str) -> str:
    """`10.244.1.2:80`, `[fd00::2]:80`, as Go's function of that name writes it."""
    return f"{bracketed(host)}:{port}"
