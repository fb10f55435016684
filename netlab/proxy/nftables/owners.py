"""Which Service a part of the nftables table belongs to."""

from __future__ import annotations

import re

# Chains are named after the service port, and refusing elements have a comment.
_CHAIN = re.compile(r"[A-Z2-7]{8}-([a-z0-9.-]+/[a-z0-9.-]+)/(?:tcp|udp|sctp)/([A-Za-z0-9-]*)")
_COMMENT = re.compile(r'comment "([a-z0-9.-]+/[a-z0-9.-]+(?::[A-Za-z0-9-]+)?)"')


def service_port(text: str) -> str | None:
    """`ns/name[:port]` of a chain's name, or of what refers to one."""
    if match := _CHAIN.search(text):
        return f"{match.group(1)}:{match.group(2)}" if match.group(2) else match.group(1)
    comment = _COMMENT.search(text)
    return comment.group(1) if comment else None
