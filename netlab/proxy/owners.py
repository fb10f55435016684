"""Which Service a rule belongs to: its comment says so, or those of its chain do."""

from __future__ import annotations

import re

from netlab.proxy.model import Ruleset, Table

# Every comment names the service port: alone, first, or after "for" or "to".
_NAME = r"([a-z0-9.-]+/[a-z0-9.-]+(?::[A-Za-z0-9-]+)?)"
_COMMENT = re.compile(rf'--comment "(?:[^"]*?\b(?:for|to) )?{_NAME}(?:"| )')


def service_port(rule: str) -> str | None:
    """`ns/name[:port]` as the rule's comment has it; None when it names none."""
    match = _COMMENT.search(rule)
    return match.group(1) if match else None


def service_of(port: str) -> str:
    """`ns/name:port` → `ns/name`."""
    return port.partition(":")[0]


def chain_owners(table: Table) -> dict[str, str]:
    """Chain → service port, for chains whose rules all speak of one."""
    owners = {}
    for chain in table.chains.values():
        named = {port for rule in chain.rules if (port := service_port(rule))}
        if len(named) == 1:
            owners[chain.name] = named.pop()
    return owners


def owner(ruleset: Ruleset, table: str, chain: str, rule: str = "") -> str | None:
    """The service port behind a rule of that chain, or behind the chain itself."""
    found = ruleset.chain(table, chain)
    candidates = (rule, *(found.rules if found else ()))
    if not chain.startswith("KUBE-") or chain[5:9] not in ("SVC-", "SVL-", "EXT-", "SEP-"):
        candidates = (rule, *(found.rules if found and chain.startswith("KUBE-FW-") else ()))
    return next((port for text in candidates if (port := service_port(text))), None)
