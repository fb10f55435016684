"""Which Service a rule belongs to: its comment says so, or those of its chain do."""

from __future__ import annotations

import re

from netlab.proxy.iptables.chains import is_of_service
from netlab.proxy.iptables.model import Chain, Table

# Every comment names the service port: alone, first, or after "for" or "to".
_NAME = r"([a-z0-9.-]+/[a-z0-9.-]+(?::[A-Za-z0-9-]+)?)"
_COMMENT = re.compile(rf'--comment "(?:[^"]*?\b(?:for|to) )?{_NAME}(?:"| )')


def service_port(rule: str) -> str | None:
    """`ns/name[:port]` as the rule's comment has it; None when it names none."""
    match = _COMMENT.search(rule)
    return match.group(1) if match else None


def owner(table: Table | None, chain: str, rule: str = "") -> str | None:
    """The service port behind a rule of that chain, as `in_chain` says."""
    return in_chain(table.chains.get(chain) if table else None, rule)


def in_chain(chain: Chain | None, rule: str = "") -> str | None:
    """The service port behind a rule of that chain, or behind a chain of one Service's own."""
    named = service_port(rule)
    if named or chain is None or not is_of_service(chain.name):
        return named
    return next((port for text in chain.rules if (port := service_port(text))), None)
