"""A Corefile → zones, and who answers for each: CoreDNS' plugins, as far as there are any here.

They are asked in the order of `PLUGINS`, whatever their order in the file. CoreDNS' other plugins
are not played: a file that has one is refused, and by its line.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from netlab.workload.inside import (
    corefile,
    dnscache,
    dnscluster,
    dnsfiles,
    dnsplugins,
    dnsrewrite,
    dnswire,
    web,
)
from netlab.workload.inside.corefile import (
    Directive,
    Malformed,
    ServerBlock,
    lacking,
    seconds,
    wrong,
)
from netlab.workload.inside.dnsfiles import is_address
from netlab.workload.inside.dnsplugins import AskOn, Plugin, is_port

_PAGES = {"health": (8080, "/health"), "ready": (8181, "/ready"), "prometheus": (9153, "/metrics")}
_RELOAD = 30.0
"""Seconds between two looks at a file, unless it says otherwise."""

PLUGINS = ("bind", "bufsize", "debug", "ready", "health", "prometheus", "errors", "log", "minimal",
           "loadbalance", "cache", "rewrite", "template", "hosts", "kubernetes", "file", "loop",
           "reload", "forward", "whoami")  # fmt: skip
"""Those that there are."""

OTHERS = ("acl", "any", "auto", "autopath", "azure", "cancel", "chaos", "clouddns", "dns64",
          "dnssec", "dnstap", "erratic", "etcd", "geoip", "grpc", "header", "import",
          "k8s_external", "local", "metadata", "multisocket", "nsid", "pprof", "root", "route53",
          "secondary", "sign", "timeouts", "tls", "trace", "transfer", "tsig", "view")  # fmt: skip
"""Those that CoreDNS has besides."""


class Zone(NamedTuple):
    """One zone on one port of these addresses ("" is all), and who answers for it."""

    name: str
    port: int
    places: tuple[str, ...]
    ask: AskOn
    logs: bool


class Reading(NamedTuple):
    """What comes of a file: zones, pages by their ports and paths, clusters to be asked, caches,
    and how often it is looked at again."""

    zones: list[Zone]
    pages: dict[tuple[int, str], Callable[[], web.Answer]]
    clusters: list[dnscluster.Cluster]
    caches: list[dnscache.Cache]
    reloads: list[float]


def read(text: str, port: int, whole: AskOn, metrics: Callable[[], str]) -> Reading:
    """The zones of a Corefile, the longest names first; `Malformed` for what is none. `whole` is
    asked as anybody asks the server, `metrics` what it has to tell."""
    reading = Reading([], {}, [], [], [])
    for block in corefile.parse(text):
        _read_block(block, port, whole, metrics, reading)
    reading.zones.sort(key=lambda zone: -len(zone.name))
    return reading


def _read_block(
    block: ServerBlock, port: int, whole: AskOn, metrics: Callable[[], str], reading: Reading
) -> None:
    names = [_key(key, block.line, port) for key in block.keys]
    zones = tuple(name for name, _ in names)
    for directive in block.directives:
        _refuse_others(directive)
        if directive.name in _PAGES:
            _page(directive, metrics, reading)
        elif directive.name == "reload":
            reading.reloads.append(_interval(directive))
    plugins = list[Plugin]()
    for name in PLUGINS:
        found = [directive for directive in block.directives if directive.name == name]
        if found and (make := _MAKERS.get(name)) is not None:
            plugins += make(found, zones, whole, reading)
    ask = dnsplugins.chain(plugins, lambda query: dnswire.answer(query, _unanswered(plugins)))
    places = tuple(
        place for each in block.directives if each.name == "bind" for place in _places(each)
    )
    logs = any(directive.name == "log" for directive in block.directives)
    reading.zones.extend(Zone(name, at, places or ("",), ask, logs) for name, at in names)


def _unanswered(plugins: Sequence[Plugin]) -> int:
    return dnswire.SERVFAIL if plugins else dnswire.REFUSED


def _refuse_others(directive: Directive) -> None:
    if directive.name in OTHERS:
        raise lacking(directive, f"netlab's stand-in has no plugin '{directive.name}', but these: "
                    f"{', '.join(PLUGINS)}")  # fmt: skip
    if directive.name not in PLUGINS:
        raise wrong(directive, f"Unknown directive '{directive.name}'")


def _key(key: str, line: int, default: int) -> tuple[str, int]:
    """`.`, `example.org:1053`, `dns://.:53`; a network is its reverse zone."""
    name, _, port = key.removeprefix("dns://").partition(":")
    with contextlib.suppress(ValueError):
        if "/" in key:
            return reverse_zone(key.removeprefix("dns://")), default
        if not port or is_port(port):
            return f"{name.lower().strip('.')}." if name.strip(".") else ".", int(port or default)
    raise Malformed(f"Corefile:{line} - Error during parsing: '{key}' is no zone")


def reverse_zone(network: str) -> str:
    """The zone of a network's reverse names, which is as large as the network or larger."""
    found = ipaddress.ip_network(network)
    step = 4 if found.version == 6 else 8
    pointer = found.network_address.reverse_pointer.split(".")
    return ".".join(pointer[found.max_prefixlen // step - found.prefixlen // step :]) + "."


def _places(directive: Directive) -> Iterable[str]:
    for word in directive.words[1:]:
        if not is_address(word):
            raise lacking(directive, f"bind {word}: netlab's stand-in binds to addresses alone")
        yield word


def _page(directive: Directive, metrics: Callable[[], str], reading: Reading) -> None:
    default, path = _PAGES[directive.name]
    word = directive.words[1] if len(directive.words) > 1 else f":{default}"
    number = word.rpartition(":")[2]
    if not is_port(number):
        raise wrong(directive, f"address {word}: {'invalid' if number else 'missing'} port")

    def ready() -> web.Answer:
        waiting = not all(cluster.ready for cluster in reading.clusters)
        return web.Answer("kubernetes", 503) if waiting else web.Answer("OK")

    shown = {"health": lambda: web.Answer("OK"), "ready": ready,
             "prometheus": lambda: web.Answer(metrics())}  # fmt: skip
    reading.pages[int(number), path] = shown[directive.name]


def _interval(directive: Directive) -> float:
    if len(directive.words) < 2:
        return _RELOAD
    try:
        return max(2.0, seconds(directive.words[1]))
    except ValueError:
        raise wrong(directive, f"time: invalid duration {directive.words[1]}") from None


# -- its plugins -------------------------------------------------------------------------------

Directives = Sequence[Directive]


def _cache(found: Directives, zones: Sequence[str], _: AskOn, reading: Reading) -> list[Plugin]:
    made = dnscache.of_directive(found[0], zones)
    reading.caches.append(made)
    return [made]


def _kubernetes(
    found: Directives, zones: Sequence[str], whole: AskOn, reading: Reading
) -> list[Plugin]:
    directive = found[0]
    given = tuple(f"{word.lower().rstrip('.')}." for word in directive.words[1:]) or tuple(zones)
    options = dnscluster.Options(given, through=dnsfiles.through(directive))
    for option in directive.below:
        match option.words:
            case ["pods", ("disabled" | "insecure" | "verified") as word]:
                options = options._replace(pods=word)
            case ["ttl", word] if word.isdigit() and int(word) <= 3600:
                options = options._replace(ttl=int(word))
            case ["namespaces", *names] if names:
                options = options._replace(namespaces=frozenset(names))
            case ["fallthrough" | "upstream" | "resyncperiod" | "endpoint_pod_names", *_]:
                pass
            case _:
                text = f"netlab's stand-in has no '{option.name}' of kubernetes"
                raise lacking(option, text)
    cluster = dnscluster.Cluster()
    reading.clusters.append(cluster)
    return [dnscluster.Kubernetes(cluster, options, whole)]


_MAKERS: dict[str, Callable[[Directives, Sequence[str], AskOn, Reading], list[Plugin]]] = {
    "loadbalance": lambda *_: [dnsplugins.loadbalance],
    "cache": _cache,
    "rewrite": lambda found, *_: [dnsrewrite.Rewrite([dnsrewrite.rule(each) for each in found])],
    "template": lambda found, zones, *_: [dnsrewrite.template(each, zones) for each in found],
    "hosts": lambda found, zones, *_: [dnsfiles.Hosts(found[0], zones)],
    "kubernetes": _kubernetes,
    "file": lambda found, zones, whole, _: [dnsfiles.File(each, zones, whole) for each in found],
    "forward": lambda found, *_: [dnsplugins.forward(each) for each in found],
    "whoami": lambda *_: [dnsplugins.whoami],
}
