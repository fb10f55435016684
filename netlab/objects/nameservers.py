"""Name servers as a Lab names them: `192.0.2.53`, `192.0.2.53:5353`, `[2001:db8::53]:53`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from netlab.objects import fields

MACHINE = "machine"
"""The word for those that the machine itself asks."""

PORT = 53
_WITH_PORT = re.compile(r"(?:\[([^]]+)\]|([^:]+)):([0-9]{1,5})")


def parsed(text: str) -> tuple[str, int] | None:
    """Address and port; None when that is neither."""
    match = _WITH_PORT.fullmatch(text)
    host, port = (match[1] or match[2], int(match[3])) if match else (text, PORT)
    sound = fields.parse_address(host) is not None and 1 <= port <= 65535
    return (host, port) if sound else None


def servers(listed: Iterable[str], resolv_conf: Callable[[], str]) -> list[tuple[str, int]]:
    """Those listed, in their order; `resolv_conf` is read if the machine's are among them."""
    found: list[tuple[str, int]] = []
    for text in listed:
        if text == MACHINE:
            found += in_resolv_conf(resolv_conf())
        elif server := parsed(text):
            found.append(server)
    return found


def in_resolv_conf(text: str) -> list[tuple[str, int]]:
    """Those of a resolv.conf, in its order."""
    lines = (line.split() for line in text.splitlines())
    hosts = [line[1] for line in lines if line[:1] == ["nameserver"] and len(line) > 1]
    return [(host, PORT) for host in hosts if fields.parse_address(host.partition("%")[0])]
