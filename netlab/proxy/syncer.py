"""One node's kube-proxy: takes objects as they change, keeps the node's rules in step.

Blocking. `set_*` may be called from any thread; `sync` and `repair` from one worker thread.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netlab.conntrack import parsed
from netlab.errors import NetlabError
from netlab.kernel.conntrack import is_empty
from netlab.kernel.run import run
from netlab.objects.types import EndpointSlice, Node, Service, ServiceCIDR
from netlab.proxy import conntrack, modes
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier
from netlab.proxy.book import AnyBook
from netlab.proxy.compile import ServiceRules
from netlab.proxy.config import ProxyConfig
from netlab.proxy.metrics import FamilySync, Inventory, ProxyMetrics
from netlab.proxy.node_view import node_view
from netlab.proxy.object_cache import ObjectCache
from netlab.proxy.other_rules import OtherRules
from netlab.proxy.services import Complaint
from netlab.proxy.sharing import Compiled


class SyncReport(Struct, frozen=True):
    """What a sync did: `full` or only the `changed` Services (`ns/name`), in how many seconds;
    `complaints` are about what in those objects could not be used."""

    full: bool
    seconds: float
    changed: tuple[str, ...]
    complaints: tuple[Complaint, ...] = ()


class HealthCheck(Struct, frozen=True):
    """What a healthCheckNodePort answers: 200 with local endpoints, else 503."""

    service: str
    local_endpoints: int


class Proxier:
    """Keeps the rules of one node: `appliers` has one for each family the node has. It has the
    `others` write theirs, too; what is `compiled` it shares with other nodes' proxiers."""

    def __init__(
        self,
        config: ProxyConfig,
        appliers: Sequence[AnyApplier],
        *,
        netns: int | Path | None = None,
        node: Node | None = None,
        others: Iterable[OtherRules] = (),
        compiled: Compiled | None = None,
    ) -> None:
        self.config = config
        self._others = list(others)
        self.objects = ObjectCache()
        self._netns = netns
        self._node = node
        self._node_changed = False
        self._ranges: dict[str, list[str]] = {}
        book = modes.of(config.mode).book
        self._families = [
            _FamilySyncer(book(node_view(node, config, one.family), self.objects, compiled), one)
            for one in appliers
        ]
        self.metrics = ProxyMetrics(config.mode, [one.family for one in appliers])

    def set_node(self, node: Node | None) -> None:
        """The Node object of this node: its zone, its addresses."""
        self._node, self._node_changed = node, True

    def set_service(self, key: str, service: Service | None) -> None:
        """Keep a Service under `ns/name`; None forgets it."""
        self.objects.set_service(key, service)

    def set_slice(self, key: str, endpoint_slice: EndpointSlice | None) -> None:
        """Keep an EndpointSlice under `ns/name`; None forgets it."""
        self.objects.set_slice(key, endpoint_slice)

    def set_range(self, name: str, service_cidr: ServiceCIDR | None) -> None:
        """Keep a ServiceCIDR's ranges; None forgets them. In nftables mode nobody else has their
        addresses."""
        if service_cidr is None:
            self._ranges.pop(name, None)
        else:
            self._ranges[name] = service_cidr["spec"]["cidrs"]
        self._node_changed = True

    def add(self, other: OtherRules) -> None:
        """Have somebody's rules written beside kube-proxy's, from the next sync on."""
        self._others.append(other)

    def sync(self) -> SyncReport:
        """Bring the node's rules in step with the objects, all changes so far in one restore.

        The first sync, and the one after a failure, writes everything. Raises RestoreFailed
        when even that is refused; the old rules are in force then, and the next sync tries again.
        """
        started = time.perf_counter()
        touched = self.objects.take_touched()
        if self._node_changed:
            self._node_changed = False
            self._look_at_node()
        failures: list[NetlabError] = []
        full = False
        for family in self._families:
            family.suspect()
        self.metrics.begun()
        triggered = [self.objects.take_triggered(key) for key in touched]
        for family in self._families:
            try:
                family.sync(touched, self._netns)
            except NetlabError as failure:  # the other family is to have its rules all the same
                failures.append(failure)
            full |= family.last.full
        self.metrics.synced(
            [family.last for family in self._families],
            [when for each in triggered for when in each],
        )
        for other in self._others:
            try:
                other.repair() if full else other.sync()
            except NetlabError as failure:
                failures.append(failure)
        for family in self._families:
            family.note_fingerprint()
        if failures:
            raise failures[0]
        seconds = time.perf_counter() - started
        return SyncReport(full, seconds, tuple(touched), tuple(self._complaints(touched)))

    def repair(self, *, thorough: bool = False) -> bool:
        """Put right what somebody deleted or changed by hand; True when something was.

        Costs next to nothing while the kernel's tables are untouched; `thorough` reads and
        compares them in any case.
        """
        looked_at = [family for family in self._families if thorough or family.is_touched()]
        if not looked_at:
            return False
        repaired = [family.repair() for family in looked_at]
        others = [other.repair() for other in self._others]
        if any(others):
            for family in self._families:
                family.note_fingerprint()
        return any(repaired + others)

    def rulesets(self) -> Mapping[Family, Any]:
        """What the node should have, by family: a Ruleset, in nftables mode an NftTable."""
        return {family.applier.family: family.book.ruleset() for family in self._families}

    def health_checks(self) -> dict[int, HealthCheck]:
        """healthCheckNodePort → the Service behind it and its endpoints on this node."""
        checks: dict[int, HealthCheck] = {}
        for family in self._families:
            for rules in family.book:
                for port, count in rules.health.items():
                    before = checks.get(port)
                    total = count + (before.local_endpoints if before else 0)
                    checks[port] = HealthCheck(rules.key, total)
        return checks

    def inventory(self) -> Inventory:
        """What the node has by now, counted anew: for whoever asks for metrics."""
        rules: Counter[tuple[Family, str]] = Counter()
        without: Counter[tuple[Family, str]] = Counter()
        for each in self._families:
            family, ruleset = each.applier.family, each.book.ruleset()
            for service in each.book:
                for policy, count in service.without_local.items():
                    without[family, policy] += count
            for table in getattr(ruleset, "tables", {}).values():
                rules[family, table.name] += sum(len(one.rules) for one in table.own())
        return Inventory(rules, without)

    def _look_at_node(self) -> None:
        config = self.config
        if self._ranges:
            cidrs = {cidr for each in self._ranges.values() for cidr in each}
            config = replace(config, service_cidrs=tuple(sorted(cidrs, key=_in_order)))
        for family in self._families:
            family.look_again(self._node, config)

    def _complaints(self, keys: Iterable[str]) -> Iterable[Complaint]:
        for family in self._families:
            for key in keys:
                rules = family.book.get(key)
                if rules:
                    yield from rules.complaints


def _in_order(cidr: str) -> tuple[int, int, int]:
    """As the kernel lists a set of them."""
    network = ipaddress.ip_network(cidr)
    return network.version, int(network.network_address), network.prefixlen


class _FamilySyncer:
    """The sync of one address family: what should be there, and how it gets there."""

    def __init__(self, book: AnyBook, applier: AnyApplier) -> None:
        self.book = book
        self.applier = applier
        self._in_force = self._looked_back = False
        self._fingerprint: object = None
        self._suspect = False
        self._replaced: dict[str, ServiceRules | None] = {}
        self.last = FamilySync(applier.family, full=False, seconds=0.0)
        """How it went the last time."""

    def look_again(self, node: Node | None, config: ProxyConfig) -> None:
        seen = node_view(node, config, self.applier.family)
        if seen != self.book.node:
            self.book.look_again(seen)
            self._in_force = False

    def suspect(self) -> None:
        """Remember that somebody else changed rules since we last looked: our own change is
        about to make that invisible."""
        if self._in_force and self.applier.fingerprint() != self._fingerprint:
            self._suspect = True

    def note_fingerprint(self) -> None:
        if self._in_force:
            self._fingerprint = self.applier.fingerprint()

    def sync(self, touched: Sequence[str], netns: int | Path | None) -> None:
        """A full sync is also what follows when a partial one is refused."""
        started, tries = time.perf_counter(), self._in_force
        change, replaced = self.book.update(touched)
        self._replaced = {**replaced, **self._replaced}
        full = not (self._in_force and self._try(change))
        refused, forgotten = True, 0
        try:
            if full:
                self._write_all()
            refused, forgotten = False, self._forget(netns)
        finally:
            self.last = FamilySync(
                self.applier.family,
                full,
                time.perf_counter() - started,
                refused,
                full and tries,
                forgotten,
                {} if full else _written(change),
            )

    def _try(self, change: object) -> bool:
        self._in_force = False
        try:
            self.applier.change(change)
        except NetlabError:
            return False
        self._in_force = True
        return True

    def _write_all(self) -> bool:
        self._in_force = False
        fingerprint = self.applier.fingerprint()
        changed = self.applier.replace(self.book.ruleset())
        self._in_force, self._suspect = True, False
        # Of a look that changed nothing it is that of before: what came meanwhile is not missed.
        self._fingerprint = self.applier.fingerprint() if changed else fingerprint
        return changed

    def _forget(self, netns: int | Path | None) -> int:
        """How many entries of connection tracking led nowhere."""
        replaced, self._replaced = self._replaced, {}
        found = 0 if self._looked_back else self._look_back(netns)
        self._looked_back = True
        for key, old in replaced.items():
            entries = conntrack.stale_entries(old, self.book.get(key))
            found += _forget_entries(netns, self.applier.family, entries)
        return found

    def _look_back(self, netns: int | Path | None) -> int:
        """Endpoints may have gone while nobody kept these rules."""
        if netns is None or not any(rules.udp for rules in self.book) or is_empty(netns):
            return 0
        argv = ["conntrack", "-L", "-f", self.applier.family, "-p", "udp"]
        listing = run(argv, netns=netns, check=False).stdout
        entries = conntrack.left_over(self.book, parsed(listing))
        return _forget_entries(netns, self.applier.family, entries)

    def is_touched(self) -> bool:
        """Whether somebody else may have changed rules since we last looked."""
        self.suspect()
        return self._suspect

    def repair(self) -> bool:
        return self._in_force and self._write_all()


def _written(change: object) -> dict[str, int]:
    """How many rules of a change go into each table, in iptables mode."""
    written: Counter[str] = Counter()
    for (table, _), rules in getattr(change, "after", {}).items():
        written[table] += len(rules or ())
    for (table, _), edit in getattr(change, "edited", {}).items():
        written[table] += edit.after
    return dict(written)


def _forget_entries(
    netns: int | Path | None, family: Family, entries: Iterable[conntrack.Entry]
) -> int:
    """Delete conntrack entries; how many there were, which may be none. To find them the kernel
    goes through the machine's whole table (10 ms), so a namespace that has none is not asked."""
    entries = list(entries)
    if not entries or is_empty(netns):
        return 0
    found = 0
    for entry in entries:
        argv = ["conntrack", "-D", "-f", family, "-p", "udp", *entry]
        found += len(run(argv, netns=netns, check=False).stdout.splitlines())
    return found
