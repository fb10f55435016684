"""The names of kube-proxy's chains, which of them are a single Service's, and whose others are."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

MANGLE, FILTER, NAT = "mangle", "filter", "nat"

SERVICES = "KUBE-SERVICES"
EXTERNAL_SERVICES = "KUBE-EXTERNAL-SERVICES"
NODEPORTS = "KUBE-NODEPORTS"
PROXY_FIREWALL = "KUBE-PROXY-FIREWALL"
FIREWALL = "KUBE-FIREWALL"
FORWARD = "KUBE-FORWARD"
POSTROUTING = "KUBE-POSTROUTING"
MARK_MASQ = "KUBE-MARK-MASQ"
CANARY = "KUBE-PROXY-CANARY"

Place = tuple[str, str]
"""A table and a chain in it."""

SHARED: tuple[Place, ...] = (
    (FILTER, EXTERNAL_SERVICES),
    (FILTER, NODEPORTS),
    (FILTER, PROXY_FIREWALL),
    (FILTER, SERVICES),
    (NAT, NODEPORTS),
    (NAT, SERVICES),
)
"""The chains to which every Service adds its own rules."""

FIXED: dict[str, frozenset[str]] = {
    MANGLE: frozenset({CANARY}),
    FILTER: frozenset(
        {EXTERNAL_SERVICES, FIREWALL, FORWARD, NODEPORTS, CANARY, PROXY_FIREWALL, SERVICES}
    ),
    NAT: frozenset({MARK_MASQ, NODEPORTS, POSTROUTING, CANARY, SERVICES}),
}
"""The chains that exist whatever the Services are."""

# XLB is what EXT was called before Kubernetes 1.24; found on a node, it is stale.
_OF_SERVICE = re.compile(r"KUBE-(?:SVC|SVL|EXT|FW|SEP|XLB)-[A-Z2-7]{16}\Z")


def is_of_service(chain: str) -> bool:
    """True for the chains of a single service port or endpoint."""
    return _OF_SERVICE.match(chain) is not None


def is_ours(table: str, chain: str) -> bool:
    """True for every chain that kube-proxy owns in that table; all else is somebody else's."""
    return chain in FIXED.get(table, ()) or (table == NAT and is_of_service(chain))


class RulesOwner(NamedTuple):
    """Who writes rules into a node's tables: which chains are his, and which chains the rules in
    built-in ones jump to that are. All else is somebody else's, and stays.

    `precedes`: his jumps stand before kube-proxy's, which accept what is under way already; but in
    the built-in chains of `follows` they come after these.
    """

    owns: Callable[[str, str], bool]
    is_entrance: Callable[[str], bool]
    precedes: bool = False
    follows: frozenset[str] = frozenset()


ENTRANCES = frozenset().union(*FIXED.values()) - {MARK_MASQ, CANARY}

KUBE_PROXY = RulesOwner(is_ours, ENTRANCES.__contains__)


def owner(prefix: str, follows: frozenset[str] = frozenset()) -> RulesOwner:
    """Somebody whose chains are those whose names begin so."""

    def is_his(chain: str) -> bool:
        return chain.startswith(prefix)

    return RulesOwner(lambda _, chain: is_his(chain), is_his, precedes=True, follows=follows)
