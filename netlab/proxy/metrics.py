"""What kube-proxy measures of itself, in the text format of Prometheus. Pure.

Names, labels and buckets are kube-proxy's (pkg/proxy/metrics).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from netlab import exposition
from netlab.exposition import Histogram, Labels
from netlab.proxy.addresses import Family
from netlab.proxy.config import ModeName

_FAMILY: dict[Family, str] = {"ipv4": "IPv4", "ipv6": "IPv6"}

SYNC_BUCKETS = tuple(0.001 * 2**power for power in range(15))
PROGRAMMING_BUCKETS = (
    0.0, 0.25, 0.5, *range(1, 60), *range(60, 120, 5), *range(120, 301, 30),
)  # fmt: skip

_HELP = {
    "sync_proxy_rules_duration_seconds": "SyncProxyRules latency in seconds",
    "sync_full_proxy_rules_duration_seconds": "SyncProxyRules latency in seconds for full resyncs",
    "sync_partial_proxy_rules_duration_seconds": (
        "SyncProxyRules latency in seconds for partial resyncs"
    ),
    "sync_proxy_rules_last_timestamp_seconds": (
        "The last time proxy rules were successfully synced"
    ),
    "sync_proxy_rules_last_queued_timestamp_seconds": (
        "The last time a sync of proxy rules was queued"
    ),
    "network_programming_duration_seconds": "In Cluster Network Programming Latency in seconds",
    "sync_proxy_rules_endpoint_changes_pending": "Pending proxy rules Endpoint changes",
    "sync_proxy_rules_endpoint_changes_total": "Cumulative proxy rules Endpoint changes",
    "sync_proxy_rules_service_changes_pending": "Pending proxy rules Service changes",
    "sync_proxy_rules_service_changes_total": "Cumulative proxy rules Service changes",
    "sync_proxy_rules_iptables_total": "Total number of iptables rules owned by kube-proxy",
    "sync_proxy_rules_iptables_last": (
        "Number of iptables rules written by kube-proxy in last sync"
    ),
    "sync_proxy_rules_iptables_restore_failures_total": (
        "Cumulative proxy iptables restore failures"
    ),
    "sync_proxy_rules_iptables_partial_restore_failures_total": (
        "Cumulative proxy iptables partial restore failures"
    ),
    "sync_proxy_rules_nftables_sync_failures_total": "Cumulative proxy nftables sync failures",
    "sync_proxy_rules_no_local_endpoints_total": (
        "Number of services with a Local traffic policy and no endpoints"
    ),
    "conntrack_reconciler_deleted_entries_total": (
        "Cumulative conntrack flows deleted by conntrack reconciler"
    ),
    "proxy_healthz_total": "Cumulative proxy healthz HTTP status",
    "proxy_livez_total": "Cumulative proxy livez HTTP status",
}


class FamilySync(Struct, frozen=True):
    """How one family's part of a sync went; `partly_refused` when a partial one had to become a
    full one. `written` counts the rules of a partial one by table, in iptables mode."""

    family: Family
    full: bool
    seconds: float
    refused: bool = False
    partly_refused: bool = False
    forgotten: int = 0
    written: Mapping[str, int] = {}


class Inventory(Struct, frozen=True):
    """What there is now: rules by family and table; ports whose policy (`internal`, `external`)
    wants an endpoint on the node that is not there, by family and policy."""

    rules: Mapping[tuple[Family, str], int] = {}
    without_local: Mapping[tuple[Family, str], int] = {}


class ProxyMetrics:
    """The measurements of one node's proxy in its mode, for its families."""

    def __init__(
        self, mode: ModeName, families: Iterable[Family], now: Callable[[], float] = time.time
    ) -> None:
        self._mode = mode
        self._families = tuple(families)
        self._now = now
        self._started = now()
        self._histograms: dict[tuple[str, Family], Histogram] = {}
        self._values: dict[str, dict[Labels, float]] = {}
        self._pending: Counter[str] = Counter()
        self._wrote_all: set[Family] = set()
        """The families of which the last sync was a full one."""
        for family in self._families:
            self._begin(family)

    def _begin(self, family: Family) -> None:
        for kind in ("sync", "sync_full", "sync_partial"):
            name = f"{kind}_proxy_rules_duration_seconds"
            self._histograms[name, family] = Histogram(SYNC_BUCKETS)
        programming = Histogram(PROGRAMMING_BUCKETS)
        self._histograms["network_programming_duration_seconds", family] = programming
        for name in (
            "sync_proxy_rules_last_timestamp_seconds",
            "sync_proxy_rules_last_queued_timestamp_seconds",
            "sync_proxy_rules_endpoint_changes_total",
            "sync_proxy_rules_service_changes_total",
            "conntrack_reconciler_deleted_entries_total",
            *self._failures(),
        ):
            self._add(name, 0, _of(family))

    def _failures(self) -> tuple[str, ...]:
        if self._mode == "nftables":
            return ("sync_proxy_rules_nftables_sync_failures_total",)
        return (
            "sync_proxy_rules_iptables_restore_failures_total",
            "sync_proxy_rules_iptables_partial_restore_failures_total",
        )

    # -- what happens ----------------------------------------------------------------------

    def changed(self, kind: str) -> None:
        """A Service or an EndpointSlice changed: a sync will be."""
        what = {"Service": "service", "EndpointSlice": "endpoint"}.get(kind)
        for family in self._families:
            self._set("sync_proxy_rules_last_queued_timestamp_seconds", self._now(), _of(family))
            if what:
                self._add(f"sync_proxy_rules_{what}_changes_total", 1, _of(family))
        if what:
            self._pending[what] += 1

    def begun(self) -> None:
        """A sync takes up what is pending."""
        self._pending.clear()

    def synced(self, syncs: Iterable[FamilySync], triggered: Iterable[float] = ()) -> None:
        """A sync ended; `triggered` says when what it brought into force began (epoch seconds)."""
        now = self._now()
        since = [now - when for when in triggered]
        for sync in syncs:
            labels = _of(sync.family)
            kind = "sync_full" if sync.full else "sync_partial"
            for each in ("sync", kind):
                name = f"{each}_proxy_rules_duration_seconds"
                self._histograms[name, sync.family].observe(sync.seconds)
            self._add("conntrack_reconciler_deleted_entries_total", sync.forgotten, labels)
            for name, failed in zip(
                self._failures(), (sync.refused, sync.partly_refused), strict=False
            ):
                self._add(name, int(failed), labels)
            if sync.refused:
                continue
            self._set("sync_proxy_rules_last_timestamp_seconds", now, labels)
            (self._wrote_all.add if sync.full else self._wrote_all.discard)(sync.family)
            for table, count in sync.written.items():
                of_table = (*labels, ("table", table))
                self._set("sync_proxy_rules_iptables_last", count, of_table)
            for seconds in since:
                name = "network_programming_duration_seconds"
                self._histograms[name, sync.family].observe(seconds)

    def asked(self, what: str, code: int) -> None:
        """`healthz` or `livez` was answered with that code."""
        self._add(f"proxy_{what}_total", 1, (("code", str(code)),))

    # -- what is told ----------------------------------------------------------------------

    def text(self, there: Inventory) -> str:
        """All of it, and what there is now."""
        values = {name: dict(entries) for name, entries in self._values.items()}
        for (family, table), count in there.rules.items():
            labels = (*_of(family), ("table", table))
            values.setdefault("sync_proxy_rules_iptables_total", {})[labels] = count
            if family in self._wrote_all:
                values.setdefault("sync_proxy_rules_iptables_last", {})[labels] = count
        for (family, policy), count in there.without_local.items():
            labels = (*_of(family), ("traffic_policy", policy))
            values.setdefault("sync_proxy_rules_no_local_endpoints_total", {})[labels] = count
        for what in ("endpoint", "service"):
            pending = {_of(family): float(self._pending[what]) for family in self._families}
            values[f"sync_proxy_rules_{what}_changes_pending"] = pending
        return exposition.page(self._lines(values))

    def _lines(self, values: Mapping[str, Mapping[Labels, float]]) -> Iterator[str]:
        for name in sorted(values.keys() | {name for name, _ in self._histograms}):
            full = f"kubeproxy_{name}"
            histograms = [each for each in self._histograms.items() if each[0][0] == name]
            counts = name.endswith("_total") and name not in _GAUGES
            kind: exposition.Type = "histogram" if histograms else "counter" if counts else "gauge"
            yield from exposition.head(full, kind, f"[ALPHA] {_HELP[name]}")
            for (_, family), histogram in histograms:
                yield from histogram.lines(full, _of(family))
            for labels, value in sorted(values.get(name, {}).items()):
                yield exposition.sample(full, labels, value)
        yield from exposition.family(
            "process_start_time_seconds",
            "gauge",
            [((), self._started)],
            "[ALPHA] Start time of the process since unix epoch in seconds.",
        )

    def _add(self, name: str, value: float, labels: Labels) -> None:
        entries = self._values.setdefault(name, {})
        entries[labels] = entries.get(labels, 0.0) + value

    def _set(self, name: str, value: float, labels: Labels) -> None:
        self._values.setdefault(name, {})[labels] = value


# They count what there is, in spite of their names.
_GAUGES = frozenset(
    {"sync_proxy_rules_iptables_total", "sync_proxy_rules_no_local_endpoints_total"}
)


def _of(family: Family) -> Labels:
    return (("ip_family", _FAMILY[family]),)
