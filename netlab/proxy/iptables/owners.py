"""Which Service a rule belongs to: its comment says so, or those of its chain do."""

from __future__ import annotations

import re

from netlab.proxy.iptables.chains import is_of_service
from netlab.proxy.iptables.model import Table

# Every comment names the service port: alone, first, or after "for" or "to".
_NAME = r"([a-z0-9.-]+/[a-z0-9.-]+(?::[A-Za-z0-9-]+)?)"
_COMMENT = re.compile(rf'--comment "(?:[^"]*?\b(?:for|to) )?{_NAME}(?:"| )')


def service_port(rule: str) -> str | None:
    """`ns/name[:port]` as the rule's comment has it; None when it names none."""
    match = _COMMENT.search(rule)
    return match.group(1) if match else None


def owner(table: Table | None, chain: str, rule: str = "") -> str | None:
    """The service port behind a rule of that chain, or behind a chain of one Service's own."""
    named = service_port(rule)
    found = table.chains.get(chain) if table else None
    if named or found is None or not is_of_service(chain):
        return named
    return next((port for text in found.rules if (port := service_port(text))), None)
