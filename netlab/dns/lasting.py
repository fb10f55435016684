"""How long answers of the cluster's DNS last, which it gives again, and what it counts. Pure.

The dnsmasqs and the responder give the cluster's own names for no time at all, so that neither of
them keeps one: here they get their `ttl`. What is kept is so as CoreDNS' `cache` has it: with the
Corefile of kubeadm the reverse names of the cluster, and none below its domain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from netlab import exposition
from netlab.dns import terms
from netlab.exposition import Histogram, Labels
from netlab.workload.inside import dnscache, dnswire
from netlab.workload.inside.dnsrewrite import within

VERSION = "1.12.0"
"""The CoreDNS that kubeadm 1.33 installs."""

_HEADER = 12
_REVERSE = (b"\7in-addr\4arpa\0", b"\3ip6\4arpa\0")
_SERVER = ("server", "dns://:53")
_VIEW = ("view", "")
_DURATIONS = tuple(0.00025 * 2**power for power in range(16))


class _Block(Struct, frozen=True):
    zone: str
    cache: dnscache.Cache | None
    zones: str


class Lasting:
    """`told` is `terms.to_json`."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        domain = str(told["domain"])
        self._own = dnswire.written(domain)
        self._ttl = int(told["ttl"]).to_bytes(4, "big")
        caches = {
            zone: (dnscache.of_directive(terms.directive(*each["directive"]), each["zones"]), each)
            for each in reversed(told["caches"])
            for zone in each["zones"]
        }
        rows = [_block(zone, *caches.get(zone, (None, None))) for zone in told["zones"]]
        self._blocks = sorted(rows, key=lambda row: -len(row.zone.strip(".")))
        here = self._block(f"{domain}.")
        self._of_own = here.cache if here is not None else None
        self._keeps_own = self._of_own is not None and self._of_own.keeps(f"{domain}.")

    def zone(self, packet: bytes) -> str:
        """Which server block a query is for."""
        if len(self._blocks) == 1 and self._blocks[0].zone == ".":
            return "."
        try:
            block = self._block(dnswire.read(packet).name)
        except (ValueError, IndexError):
            return ""
        return _dotted(block.zone) if block is not None else ""

    def kept(self, packet: bytes, *, stream: bool) -> bytes | None:
        """The answer that there is for a query already."""
        if self._is_not_kept(packet):
            if self._of_own is not None:
                self._of_own.counts["miss"] += 1
            return None  # which most are
        if (found := self._cached(packet, stream=stream)) is None:
            return None
        cache, query = found
        said = cache.found(query)
        if said is None or stream:
            return said
        return dnswire.fitting(query, said)

    def given(self, reply: bytes) -> bytes:
        """A reply with the time that the cluster's own names last."""
        end = reply.find(b"\0", _HEADER) + 1
        if not reply[_HEADER:end].lower().endswith((self._own, *_REVERSE)):
            return reply
        return lasting(reply, end + 4, self._ttl)

    def learnt(self, packet: bytes, said: bytes, *, stream: bool) -> bytes:
        """What a client is told of what somebody has said; it is kept, if that is to be."""
        if (found := self._cached(packet, stream=stream)) is None:
            return said
        cache, query = found
        told = cache.learnt(query, said)
        return told if stream else dnswire.fitting(query, told)

    def _cached(
        self, packet: bytes, *, stream: bool
    ) -> tuple[dnscache.Cache, dnswire.Query] | None:
        if self._is_not_kept(packet):
            return None
        try:
            query = dnswire.read(packet, stream=stream)
        except (ValueError, IndexError):
            return None
        block = self._block(query.name)
        return (block.cache, query) if block is not None and block.cache is not None else None

    def _is_not_kept(self, packet: bytes) -> bool:
        return not self._keeps_own and self._own in packet

    def _block(self, name: str) -> _Block | None:
        return next((block for block in self._blocks if within(name, block.zone)), None)

    def samples(self) -> Iterable[str]:
        """What its caches have counted, as CoreDNS tells Prometheus."""
        caches = {id(each.cache): (each.cache, each.zones) for each in self._blocks if each.cache}
        sorts = (dnscache.SUCCESS, dnscache.DENIAL)
        hits, misses, asked, entries = [], [], [], []
        for cache, zones in caches.values():
            labels: Labels = (_SERVER, ("zones", zones), _VIEW)
            sizes = cache.sizes()
            hits += [((*_typed(sort), *labels[1:]), cache.counts[sort]) for sort in sorts]
            entries += [((*_typed(sort), *labels[1:]), sizes[sort]) for sort in sorts]
            misses.append((labels, cache.counts["miss"]))
            asked.append((labels, cache.counts.total()))
        if caches:
            yield from exposition.family("coredns_cache_entries", "gauge", entries)
            yield from exposition.family("coredns_cache_hits_total", "counter", hits)
            yield from exposition.family("coredns_cache_misses_total", "counter", misses)
            yield from exposition.family("coredns_cache_requests_total", "counter", asked)


def _typed(sort: str) -> Labels:
    return (_SERVER, ("type", sort))


def _block(zone: str, cache: dnscache.Cache | None, told: Mapping[str, Any] | None) -> _Block:
    return _Block(zone, cache, _dotted(told["zones"][0]) if told is not None else "")


def _dotted(zone: str) -> str:
    return f"{zone.strip('.')}."


def lasting(reply: bytes, at: int, ttl: bytes) -> bytes:
    """A reply whose records, which begin at a byte of it, last so long if they lasted for no time.
    What is cut off is left as it is."""
    said = bytearray(reply)
    try:
        for _ in range(sum(int.from_bytes(reply[each : each + 2], "big") for each in (6, 8, 10))):
            while length := reply[at]:
                if length >= 0xC0:
                    at += 1
                    break
                at += 1 + length
            at += 1
            if reply[at + 4 : at + 8] == b"\0\0\0\0" and reply[at + 1] != dnswire.OPT:
                said[at + 4 : at + 8] = ttl
            at += 10 + int.from_bytes(reply[at + 8 : at + 10], "big")
    except IndexError:
        return reply
    return bytes(said) if at <= len(reply) else reply


# -- counting ----------------------------------------------------------------------------------


class Counts:
    """What came and what was answered, by what CoreDNS tells it by."""

    def __init__(self) -> None:
        self._asked = Counter[tuple[str, str, str, int]]()
        """By zone, protocol, family and type."""
        self._told = Counter[tuple[str, int]]()
        """By zone and code."""
        self._took: dict[str, Histogram] = {}
        """By zone: seconds."""

    def asked(self, zone: str, packet: bytes, proto: str, family: str) -> None:
        """A query came."""
        end = packet.find(b"\0", _HEADER)
        kind = int.from_bytes(packet[end + 1 : end + 3], "big") if end > 0 else 0
        self._asked[zone, proto, family, kind] += 1

    def told(self, zone: str, said: bytes, seconds: float) -> None:
        """It was answered, so long after it came."""
        self._told[zone, said[3] & 15] += 1
        if zone not in self._took:
            self._took[zone] = Histogram(_DURATIONS)
        self._took[zone].observe(seconds)

    def samples(self) -> Iterable[str]:
        """As CoreDNS tells Prometheus."""
        asked: Counter[Labels] = Counter()
        for (zone, proto, family, kind), count in self._asked.items():
            named = ("type", dnswire.TYPES.get(kind, "other"))
            labels = (_SERVER, ("zone", zone), _VIEW, ("proto", proto), ("family", family), named)
            asked[labels] += count
        told = [
            ((_SERVER, ("zone", zone), _VIEW, ("rcode", _code(code))), count)
            for (zone, code), count in self._told.items()
        ]
        if self._took:
            name = "coredns_dns_request_duration_seconds"
            yield from exposition.head(name, "histogram")
            for zone, took in self._took.items():
                yield from took.lines(name, (_SERVER, ("zone", zone), _VIEW))
        if asked:
            family_of = exposition.family
            yield from family_of("coredns_dns_requests_total", "counter", list(asked.items()))
            yield from family_of("coredns_dns_responses_total", "counter", told)


def _code(number: int) -> str:
    return dnswire.RCODES.get(number, f"RCODE{number}")


def page(counts: Counts, lasts: Lasting | None) -> str:
    """What there is for Prometheus."""
    build: Sequence[tuple[Labels, float]] = [((("goversion", "none"), ("version", VERSION)), 1)]
    return exposition.page(
        [
            *exposition.family("coredns_build_info", "gauge", build),
            *(lasts.samples() if lasts is not None else ()),
            *counts.samples(),
            *exposition.family("coredns_panics_total", "counter", [((), 0)]),
        ]
    )
