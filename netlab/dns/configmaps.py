"""The ConfigMaps by which people tell a cluster's DNS whom to ask → a `Forwarding`. Pure.

    coredns    Corefile              a block of a zone with `forward`, `hosts`, `rewrite`,
                                     `template`, `file`, `cache`, `kubernetes` with its `ttl`,
                                     `health`, `ready`, `prometheus`; other keys are files,
                                     /etc/coredns/KEY
    kube-dns   stubDomains           {"acme.local": ["10.0.0.1"]}
               upstreamNameservers   ["10.0.0.1", "10.0.0.2:5353"]

Both are JSON in kube-dns'. The cluster's own names are answered whatever they say.
https://kubernetes.io/docs/tasks/administer-cluster/dns-custom-nameservers/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from netlab.dns.corefile import (
    LAST_PORT,
    CorefileError,
    blocks,
    forwarded,
    is_zone,
    server,
    zones_of,
)
from netlab.dns.forwarding import NO_FORWARDING, Block, Forwarding
from netlab.dns.terms import LONGEST_TTL, OWN_TTL, PAGES, PagePlace, Terms
from netlab.workload.inside.corefile import Directive, Lacking, Malformed, ServerBlock

if TYPE_CHECKING:
    from netlab.workload.inside.dnswire import Query

_SILENT = {"bufsize", "debug", "errors", "loadbalance", "loop", "minimal", "nsid",
           "reload"}  # fmt: skip
"""Plugins without which the answers are the same, or that dnsmasq is by itself."""

_LEFT_OUT = {"acl", "any", "auto", "autopath", "bind", "cancel", "chaos", "dns64", "dnssec",
             "dnstap", "erratic", "etcd", "geoip", "grpc", "header", "import",
             "k8s_external", "local", "metadata", "multisocket", "pprof", "root",
             "secondary", "sign", "timeouts", "tls", "trace", "transfer", "tsig",
             "view", "whoami"}  # fmt: skip
"""Plugins that CoreDNS has, and that would make answers which a dnsmasq does not give."""

_BEFORE = ("rewrite", "template", "hosts", "file")
"""Plugins that stand before the dnsmasqs."""

_MOUNTED = "/etc/coredns"

_OPTIONS_LEFT_OUT = {
    "except": "what is excepted is asked of the same servers",
    "force_tcp": "the servers are asked by UDP first",
    "tls": "the servers are asked without TLS",
    "tls_servername": "the servers are asked without TLS",
}

_OF_KUBERNETES = {
    "endpoint_pod_names": "an endpoint's name is its hostname or address",
    "namespaces": "names of all namespaces are answered",
    "namespace_labels": "names of all namespaces are answered",
    "labels": "names of all Services are answered",
    "ignore": "headless Services without endpoints have no addresses, and exist",
}

_AT = "Corefile:{} - Error during parsing: "

_OWN_HINT = "the cluster's own names are always answered"


class _Reading(Struct):
    domain: str
    own: tuple[str, ...]
    zones: dict[str, tuple[str, ...]]
    notes: list[str]
    files: Mapping[str, str]
    ttl: int = OWN_TTL
    named: dict[str, None] = {}
    """The zones of all blocks."""
    caches: list[tuple[tuple[str, ...], Directive]] = []
    pages: dict[str, PagePlace] = {}
    blocks: list[Block] = []
    used: dict[str, str] = {}

    def note(self, line: int, text: str) -> None:
        self.notes.append(f"Corefile:{line}: {text}")

    def file(self, path: str) -> str | None:
        """What a file of that path holds, which is then one that is used."""
        if path in self.files:
            self.used[path] = self.files[path]
        return self.files.get(path)


NAMES = ("coredns", "kube-dns")


def asked(name: str, data: Mapping[str, str], domain: str, own: tuple[str, ...]) -> Forwarding:
    """What the data of the ConfigMap of one of these names asks for, as `of_corefile` and
    `of_kube_dns` read it."""
    if name == "kube-dns":
        return of_kube_dns(data, domain)
    text = data.get("Corefile", "")
    files = {f"{_MOUNTED}/{key}": text for key, text in data.items() if key != "Corefile"}
    return of_corefile(text, domain, own, files) if text.strip() else NO_FORWARDING


def of_corefile(
    text: str, domain: str, own: tuple[str, ...], files: Mapping[str, str] | None = None
) -> Forwarding:
    """What the Corefile of a cluster asks for, where `own` are the servers of a node's resolv.conf,
    and `files` what it may name. `CorefileError` for what CoreDNS would not begin with."""
    reading = _Reading(domain, own, {}, [], files or {})
    for block in blocks(text):
        zones = [zone for key in block.keys for zone in zones_of(key, block.line)]
        reading.named |= dict.fromkeys(zones)
        for directive in block.directives:
            _read(directive, zones, reading)
        _before(block, zones, reading)
    outside = reading.zones.pop(".", ())
    return Forwarding(
        tuple(reading.zones.items()),
        outside,
        tuple(reading.notes),
        tuple(reading.blocks),
        tuple(reading.used.items()),
        _terms(reading),
    )


def _terms(reading: _Reading) -> Terms:
    pages = (reading.pages[name] for name in PAGES if name in reading.pages)
    return Terms(reading.ttl, tuple(reading.named), tuple(reading.caches), tuple(pages))


def _before(block: ServerBlock, zones: Sequence[str], reading: _Reading) -> None:
    """What goes before whoever is asked. It is made here to see that it can be."""
    names = {directive.name for directive in block.directives}
    if not names.intersection(_BEFORE):
        return
    from netlab.dns import plugins  # few Corefiles have one

    made = []
    for directive in block.directives:
        if directive.name not in plugins.NAMES:
            continue
        try:
            plugins.plugins_of([directive], zones, _nobody, reading.file)
        except Lacking as error:
            reading.notes.append(f"{error}: it is left out")
        except Malformed as error:
            raise CorefileError(str(error)) from None
        else:
            made.append(directive)
            if directive.name == "file" and directive.words[1] not in reading.files:
                text = f"the ConfigMap has no {directive.words[1].removeprefix(f'{_MOUNTED}/')}"
                reading.note(directive.line, f"{text}: names of its zones fail")
    if made:
        asks = bool(names & {"forward", "kubernetes"})
        servers = reading.zones.get(zones[0], ())
        bases = [each.words[1] for each in block.directives if each.name == "forward"]
        homes = (*zones, *(base.lower().rstrip(".") for base in bases if base != "."))
        reading.blocks.append(Block(tuple(zones), tuple(made), asks, servers, homes))


def _nobody(_: Query) -> bytes:
    raise LookupError("nobody is asked")


def _read(directive: Directive, zones: Sequence[str], reading: _Reading) -> None:
    name = directive.name
    if (read := _PLUGINS.get(name)) is not None:
        read(directive, zones, reading)
    elif name == "log":
        reading.note(directive.line, "log is left out: queries are counted, and not logged")
    elif name in _LEFT_OUT:
        reading.note(directive.line, f"{name} is left out: the cluster's DNS is a dnsmasq")
    elif name not in (*_SILENT, *_BEFORE):
        raise CorefileError(
            f"Corefile:{directive.line} - Error during parsing: Unknown directive '{name}'"
        )


def _forward(directive: Directive, zones: Sequence[str], reading: _Reading) -> None:
    base, targets = forwarded(directive)
    found = [each for word in targets for each in _servers(word, directive.line, reading)]
    for zone in zones if base == "." else [base]:
        if zone == reading.domain:
            reading.note(directive.line, f"zone {zone} is not forwarded: {_OWN_HINT}")
        else:
            reading.zones.setdefault(zone, tuple(dict.fromkeys(found)))
    for option in directive.below:
        if why := _OPTIONS_LEFT_OUT.get(option.name):
            reading.note(option.line, f"{option.name} is left out: {why}")


def _servers(word: str, line: int, reading: _Reading) -> Sequence[str]:
    if word.startswith("/"):
        return reading.own
    if word.startswith("tls://"):
        reading.note(line, f"{word} is left out: the cluster's DNS speaks no TLS")
        return ()
    return [server(word, line)]


def _kubernetes(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    for word in directive.words[1:]:
        zone = word.lower().rstrip(".")
        if zone != reading.domain and not zone.endswith(("in-addr.arpa", "ip6.arpa")):
            text = f"kubernetes {word} is left out: the lab's names are below {reading.domain}"
            reading.note(directive.line, text)
    for option in directive.below:
        if option.name == "ttl":
            reading.ttl = _ttl(option)
        elif why := _left_out_of_kubernetes(option):
            reading.note(option.line, f"{' '.join(option.words)} is left out: {why}")


def _left_out_of_kubernetes(option: Directive) -> str:
    """Why an option says nothing, where a CoreDNS would make other answers of it."""
    if option.words[:2] in (("pods", "disabled"), ("pods", "verified")):
        return "pods' names are answered as `pods insecure` says"
    return _OF_KUBERNETES.get(option.name, "")


def _ttl(option: Directive) -> int:
    word = option.words[1] if len(option.words) > 1 else ""
    try:
        seconds = int(word)
    except ValueError:
        raise CorefileError(f"{_AT.format(option.line)}ttl: '{word}' is no number") from None
    if not 0 <= seconds <= LONGEST_TTL:
        text = f"ttl must be in range [0, {LONGEST_TTL}]: {seconds}"
        raise CorefileError(f"{_AT.format(option.line)}{text}")
    return seconds


def _hosts(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    if len(directive.words) > 1 and directive.words[1] not in reading.files:
        why = f"{directive.words[1]} is left out: the ConfigMap has no such key"
        reading.note(directive.line, why)
    if not any(option.name == "fallthrough" for option in directive.below):
        of = " ".join(directive.words[2:]) or "the block"
        text = f"hosts has no fallthrough: no other name of {of} is answered, as by a CoreDNS"
        reading.note(directive.line, text)


def _cache(directive: Directive, zones: Sequence[str], reading: _Reading) -> None:
    from netlab.workload.inside import dnscache

    try:
        dnscache.of_directive(directive, zones)
    except Malformed as error:
        raise CorefileError(str(error)) from None
    reading.caches.append((tuple(zones), directive))
    for option in directive.below:
        if option.name == "prefetch":
            reading.note(option.line, "prefetch is left out: nothing is asked before its time")


def _page(directive: Directive, _: Sequence[str], reading: _Reading) -> None:
    """Where nobody says otherwise, Prometheus is answered on the loopback."""
    name, port = directive.name, PAGES[directive.name][0]
    host = "localhost" if name == "prometheus" else ""
    if len(directive.words) > 1:
        host, _, word = directive.words[1].rpartition(":")
        port = int(word) if word.isascii() and word.isdigit() and len(word) < 6 else 0
    if not 0 < port <= LAST_PORT:
        text = f"address {directive.words[1]}: invalid port"
        raise CorefileError(f"{_AT.format(directive.line)}{text}")
    local = host == "localhost" or host.startswith("127.") or host == "[::1]"
    reading.pages[name] = PagePlace(name, port, local)


_PLUGINS: Mapping[str, Callable[[Directive, Sequence[str], _Reading], None]] = {
    "forward": _forward,
    "hosts": _hosts,
    "kubernetes": _kubernetes,
    "cache": _cache,
    **dict.fromkeys(PAGES, _page),
}


# -- kube-dns' form ---------------------------------------------------------------------------

STUBS, UPSTREAMS = "stubDomains", "upstreamNameservers"


def of_kube_dns(data: Mapping[str, str], domain: str) -> Forwarding:
    """What the data of a ConfigMap `kube-dns` asks for; `CorefileError` for what is malformed."""
    notes = [f"{key} is left out" for key in data if key not in (STUBS, UPSTREAMS)]
    zones = {}
    for zone, servers in stubs_of(data).items():
        name = zone.lower().strip(".")
        if name == domain:
            notes.append(f"{STUBS}: {zone} is left out: {_OWN_HINT}")
        else:
            zones[name] = tuple(_each(servers, f"{STUBS}: {zone}", notes))
    upstreams = json_of(data, UPSTREAMS, list)
    outside = tuple(_each(upstreams, UPSTREAMS, notes)) if upstreams else None
    return Forwarding(tuple(zones.items()), outside, tuple(notes))


def stubs_of(data: Mapping[str, str]) -> Mapping[str, object]:
    """The servers of each stub domain; `CorefileError` for what is no domain."""
    found: Mapping[str, object] = json_of(data, STUBS, dict) or {}
    for zone in found:
        if not is_zone(zone.lower().strip(".")):
            raise CorefileError(f"{STUBS}: invalid domain name: {json.dumps(zone)}")
    return found


def json_of(data: Mapping[str, str], key: str, kind: type) -> Any:
    """The value of a key, None if there is none; `CorefileError` for another kind of value."""
    if not data.get(key, "").strip():
        return None
    try:
        found = json.loads(data[key])
    except (ValueError, RecursionError) as error:
        raise CorefileError(f"{key}: no JSON: {error}") from None
    if not isinstance(found, kind):
        wanted = "an object of lists" if kind is dict else "a list"
        raise CorefileError(f"{key}: {wanted} of addresses is needed")
    return found


def _each(servers: Any, where: str, notes: list[str]) -> Iterator[str]:
    if not isinstance(servers, list):
        raise CorefileError(f"{where}: a list of addresses is needed")
    for word in servers:
        try:
            yield server(str(word), 0)
        except CorefileError:
            notes.append(f"{where}: {word} is left out: it is no address")


def both(one: Forwarding | None, other: Forwarding | None) -> Forwarding:
    """What a Corefile and a ConfigMap `kube-dns` say together; of the same zone the latter."""
    first, second = one or Forwarding(), other or Forwarding()
    return Forwarding(
        tuple({**dict(first.zones), **dict(second.zones)}.items()),
        first.outside if second.outside is None else second.outside,
        (*first.notes, *second.notes),
        first.blocks,
        first.files,
        first.terms,
    )
