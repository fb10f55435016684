"""A packet through a node that has rules of iptables and tables of nftables' own, in one order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.nftables.model import NftTable
from netlab.simulation import iptables, nftables
from netlab.simulation.hooks import BaseChain, EntryHook, Route, walk
from netlab.simulation.packet import Outcome, Packet


def simulate(
    ruleset: Ruleset,
    tables: Sequence[NftTable],
    packet: Packet,
    *,
    entry: EntryHook = "PREROUTING",
    route: Route | None = None,
) -> list[Outcome]:
    """As `iptables.simulate`; at the same place iptables' chains are asked first."""
    return walk(_Both(ruleset, tables), packet, entry, route)


class _Both:
    def __init__(self, ruleset: Ruleset, tables: Sequence[NftTable]) -> None:
        self._sides = (iptables.rules_of(ruleset), nftables.rules_of(tables))

    def at(self, hook: str) -> Iterable[BaseChain]:
        """As `hooks.Rules` says."""
        return sorted((base for side in self._sides for base in side.at(hook)), key=_order)


def _order(base: BaseChain) -> tuple[int, int]:
    return base.order
