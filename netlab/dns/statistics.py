"""What a dnsmasq counts, and the same under the names by which CoreDNS tells it. Pure.

dnsmasq answers questions for texts of class CHAOS (dnsmasq(8), "cachesize.bind" and what follows).
It does not count by type or protocol, so none of these labels is given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from dnslib import CLASS, QTYPE, DNSError, DNSQuestion, DNSRecord
from msgspec import Struct

from netlab import exposition
from netlab.dns import relays
from netlab.dns.corefile import CacheSettings

_NUMBERS = ("hits", "misses", "evictions")
_SERVERS = "servers"


class Statistics(Struct, frozen=True):
    """How many questions it answered by itself, and passed on; how many answers it dropped for want
    of room; and by server (`10.96.0.9#53`) how many questions that had."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    servers: Mapping[str, int] = {}


def questions() -> list[bytes]:
    """What to ask it, each in a datagram of its own."""
    return [
        DNSRecord(q=DNSQuestion(f"{name}.bind", QTYPE.TXT, CLASS.CH)).pack()
        for name in (*_NUMBERS, _SERVERS)
    ]


def statistics(answers: Iterable[bytes]) -> Statistics:
    """What it counts, of the answers that have come; what is missing is 0."""
    found: dict[str, list[str]] = {}
    for data in answers:
        try:
            record = DNSRecord.parse(data)
        except DNSError:
            continue
        name = str(record.q.qname).partition(".")[0]
        found[name] = [text.decode() for answer in record.rr for text in answer.rdata.data]
    numbers = {name: int((found.get(name) or ["0"])[0]) for name in _NUMBERS}
    entries = (text.split() for text in found.get(_SERVERS, ()))
    return Statistics(**numbers, servers={entry[0]: int(entry[1]) for entry in entries})


def metrics(counted: Statistics, settings: CacheSettings, version: str) -> str:
    """The page that a CoreDNS has for Prometheus."""
    server = ("server", "dns://:53")
    asked = counted.hits + counted.misses
    zones = ("zone", ",".join(zone for zone, _ in settings.servers))
    behind = {
        relays.place(address): to if "#" in to else f"{to}#53"
        for to, address in relays.relays(settings).items()
    }
    asked_of = Counter[str]()
    for to, count in counted.servers.items():
        asked_of[behind.get(to, to).replace("#", ":")] += count
    forwarded = [((("to", to),), count) for to, count in asked_of.items()]
    plugins = [((("name", name), server, zones), 1) for name in settings.plugins]
    build = (("goversion", "none"), ("version", version))
    return exposition.page(
        [
            *exposition.family("coredns_build_info", "gauge", [(build, 1)]),
            *_counter("coredns_cache_evictions_total", [((server,), counted.evictions)]),
            *_counter("coredns_cache_hits_total", [((server,), counted.hits)]),
            *_counter("coredns_cache_misses_total", [((server,), counted.misses)]),
            *_counter("coredns_cache_requests_total", [((server,), asked)]),
            *_counter("coredns_dns_requests_total", [((server, zones), asked)]),
            *(_counter("coredns_forward_requests_total", forwarded) if forwarded else ()),
            *_counter("coredns_panics_total", [((), 0)]),
            *(exposition.family("coredns_plugin_enabled", "gauge", plugins) if plugins else ()),
        ]
    )


_SETUP = ("configmap", "interface_add", "interface_check", "iptables", "iptables_lock")


def setup_metrics(errors: Mapping[str, int]) -> str:
    """The page of node-cache itself: how often setting up its link and rules failed, by what."""
    samples = [((("errortype", name),), errors.get(name, 0)) for name in _SETUP]
    return exposition.page([*_counter("coredns_nodecache_setup_errors_total", samples)])


def _counter(name: str, samples: Iterable[tuple[exposition.Labels, float]]) -> Iterable[str]:
    return exposition.family(name, "counter", samples)
