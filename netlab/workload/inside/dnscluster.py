"""CoreDNS' `kubernetes`: the names of a cluster, made of what its API says of Services.

As the service account of the pod it lists and watches Services and EndpointSlices; while it may
not, it says so and answers nothing. https://coredns.io/plugins/kubernetes/
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from netlab.workload.inside import dnswire
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Query, Record
from netlab.workload.inside.web import in_background

AskOn = Callable[[Query], bytes]
Json = dict[str, Any]

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_KINDS = {
    "Service": ("/api/v1/services", "services", ""),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1/endpointslices", "endpointslices",
                      "discovery.k8s.io"),
}  # fmt: skip
_AGAIN, _SECONDS = 1.0, 60.0
_REVERSE = (".in-addr.arpa.", ".ip6.arpa.")


class Options(NamedTuple):
    """How names are answered: `zones` with their dots, `pods` one of disabled, insecure, verified;
    `namespaces` alone, if there are any; whom a name `through` may be asked of next."""

    zones: tuple[str, ...]
    ttl: int = 5
    pods: str = "disabled"
    namespaces: frozenset[str] = frozenset()
    through: tuple[str, ...] = ()


class Cluster:
    """What the API says. `watch` begins to ask; it is `ready` once it has been told everything."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Json]] = {kind: {} for kind in _KINDS}
        self.ready = False
        self._synced: set[str] = set()
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Begin to ask, and go on."""
        for kind in _KINDS:
            in_background(self._follow, kind)

    def put(self, kind: str, objects: Iterable[Json]) -> None:
        """These there are, and no others."""
        self.objects[kind] = {_key(obj): obj for obj in objects}
        with self._lock:
            self._synced.add(kind)
            self.ready = self._synced == set(_KINDS)

    def heard(self, kind: str, event: Json) -> None:
        """One of them has changed."""
        known, obj = dict(self.objects[kind]), event["object"]
        if event["type"] == "DELETED":
            known.pop(_key(obj), None)
        elif event["type"] in ("ADDED", "MODIFIED"):
            known[_key(obj)] = obj
        else:
            raise OSError(obj.get("message") or event["type"])
        self.objects[kind] = known

    def _follow(self, kind: str) -> None:
        said = ""
        while True:
            try:
                self._followed(kind)
            except Exception as problem:  # nobody else is there to go on
                if (text := str(problem)) != said:
                    version = "v1" if kind == "Service" else "discovery.k8s.io/v1"
                    print(f"[ERROR] plugin/kubernetes: Failed to watch *{version}.{kind}: "
                          f"failed to list *{version}.{kind}: {text}", flush=True)  # fmt: skip
                said = text
            time.sleep(_AGAIN)

    def _followed(self, kind: str) -> None:
        path, *_ = _KINDS[kind]
        with _asked(path) as response:
            found = json.loads(response.read())
        self.put(kind, found.get("items") or ())
        revision = found["metadata"]["resourceVersion"]
        with _asked(f"{path}?watch=1&resourceVersion={revision}") as response:
            for line in response:
                self.heard(kind, json.loads(line))


def _asked(target: str) -> Any:
    """The open answer of the API; `OSError` in its words."""
    import http.client  # few servers have such a zone

    from netlab.workload.inside import tls

    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    if not host or not (_ACCOUNT / "token").exists():
        raise OSError("unable to load in-cluster configuration: no service account is mounted")
    port = int(os.environ.get("KUBERNETES_SERVICE_PORT") or 443)
    connection = http.client.HTTPConnection(host, port, timeout=_SECONDS)
    connection.connect()
    connection.sock = tls.client(str(_ACCOUNT / "ca.crt"))(connection.sock)
    token = (_ACCOUNT / "token").read_text()
    connection.request("GET", target, headers={"Authorization": f"Bearer {token}"})
    response = connection.getresponse()
    if response.status != 200:
        body = response.read()
        try:
            text = json.loads(body)["message"]
        except (ValueError, KeyError):
            text = f"the server answers {response.status}"
        raise OSError(text)
    return response


def _key(obj: Json) -> str:
    return f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"


# -- answers -----------------------------------------------------------------------------------


class Kubernetes:
    """Answers the names of the zones by what a `cluster` says. What an ExternalName leads to,
    `whole` knows, the server as it would answer anybody."""

    def __init__(self, cluster: Cluster, options: Options, whole: AskOn) -> None:
        self._cluster, self._options, self._whole = cluster, options, whole

    def __call__(self, query: Query, ask_on: AskOn) -> bytes:
        """The answer to a query."""
        zone = next((zone for zone in self._options.zones if within(query.name, zone)), None)
        if zone is None:
            return ask_on(query)
        if not self._cluster.ready:
            return dnswire.answer(query, dnswire.SERVFAIL)
        if zone.endswith(_REVERSE) or query.name.endswith(_REVERSE):
            found = list(self._pointers(query))
            exists = bool(found)
        else:
            found, exists = self._found(query.name, zone)
        if not exists and any(within(query.name, through) for through in self._options.through):
            return ask_on(query)
        return self._told(query, found, zone, exists=exists)

    def _told(self, query: Query, found: Sequence[Record], zone: str, *, exists: bool) -> bytes:
        start = dnswire.start_of(zone, self._options.ttl)
        if not exists:
            return dnswire.answer(query, dnswire.NXDOMAIN, authority=[start])
        alias = next((record for record in found if record.kind == dnswire.CNAME), None)
        if alias is not None and query.kind != dnswire.CNAME:
            return self._led_on(query, alias)
        if query.kind == dnswire.SOA and query.name == zone:
            return dnswire.answer(query, dnswire.NOERROR, [start])
        answers = [record for record in found if query.kind in (record.kind, dnswire.ANY)]
        if not answers:
            return dnswire.answer(query, dnswire.NOERROR, authority=[start])
        targets = {target for one in answers if one.kind == dnswire.SRV
                   if (target := dnswire.target_of(one))}  # fmt: skip
        more = [each for name in sorted(targets) for each in self._found(name, zone)[0]]
        addresses = [each for each in more if each.kind in (dnswire.A, dnswire.AAAA)]
        return dnswire.answer(query, dnswire.NOERROR, answers, additional=addresses)

    def _led_on(self, query: Query, alias: Record) -> bytes:
        target = dnswire.target_of(alias) or "."
        said = dnswire.unpack(self._whole(dnswire.asking(query, target.lower(), query.kind)))
        return dnswire.answer(query, said.code, [alias, *said.answers])

    def _pointers(self, query: Query) -> Iterator[Record]:
        for service in self._services():
            spec = service["spec"]
            zone = next((z for z in self._options.zones if not z.endswith(_REVERSE)), None)
            if zone is None:
                return
            name = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc.{zone}"
            for ip in _cluster_ips(spec):
                if _reverse(ip) == query.name:
                    yield dnswire.pointing(query.name, dnswire.PTR, name, self._options.ttl)
            for label, ip, _ in self._endpoints(service) if _is_headless(spec) else ():
                if _reverse(ip) == query.name:
                    whole = f"{label}.{name}"
                    yield dnswire.pointing(query.name, dnswire.PTR, whole, self._options.ttl)

    def _services(self) -> Iterator[Json]:
        chosen = self._options.namespaces
        for service in self._cluster.objects["Service"].values():
            if not chosen or service["metadata"]["namespace"] in chosen:
                yield service

    def _found(self, name: str, zone: str) -> tuple[list[Record], bool]:
        """The records of a name, and whether there is such a name."""
        labels = name.removesuffix(zone).rstrip(".").split(".") if name != zone else []
        ttl = self._options.ttl
        match labels:
            case [] | ["svc"]:
                return [], True
            case ["dns-version"]:
                text = b"1.1.0"
                return [Record(name, dnswire.TXT, ttl, bytes([len(text)]) + text)], True
            case ["pod"]:
                return [], self._options.pods != "disabled"
            case [dashed, space, "pod"]:
                found = [dnswire.address(name, ip, ttl) for ip in self._pod(dashed, space)]
                return found, bool(found)
            case [space, ("svc" | "pod")]:
                return [], any(s["metadata"]["namespace"] == space for s in self._services())
            case [*before, called, space, "svc"] if len(before) <= 2:
                service = self._cluster.objects["Service"].get(f"{space}/{called}")
                chosen = self._options.namespaces
                if service is None or (chosen and space not in chosen):
                    return [], False
                return self._of_service(name, before, service, f"{called}.{space}.svc.{zone}")
        return [], False

    def _pod(self, dashed: str, space: str) -> Iterator[str]:
        if self._options.pods == "disabled":
            return
        if not any(service["metadata"]["namespace"] == space for service in self._services()):
            return
        for text in (dashed.replace("-", "."), dashed.replace("-", ":")):
            try:
                yield str(ipaddress.ip_address(text))
            except ValueError:
                continue

    def _of_service(
        self, name: str, before: Sequence[str], service: Json, whole: str
    ) -> tuple[list[Record], bool]:
        spec, ttl = service["spec"], self._options.ttl
        if spec.get("type") == "ExternalName":
            target = f"{spec['externalName'].rstrip('.')}."
            return (
                [] if before else [dnswire.pointing(name, dnswire.CNAME, target, ttl)]
            ), not before
        endpoints = list(self._endpoints(service)) if _is_headless(spec) else []
        if len(before) == 2 and before[0].startswith("_"):
            found = list(_services_of(name, before, spec, endpoints, whole, ttl))
        elif len(before) == 1 and before[0].startswith("_"):
            return [], True
        elif len(before) == 1:
            found = [
                dnswire.address(name, ip, ttl) for label, ip, _ in endpoints if label == before[0]
            ]
        elif before:
            found = []
        elif _is_headless(spec):
            ips = dict.fromkeys(ip for _, ip, _ in endpoints)
            found = [dnswire.address(name, ip, ttl) for ip in ips]
        else:
            found = [dnswire.address(name, ip, ttl) for ip in _cluster_ips(spec)]
        return found, bool(found)

    def _endpoints(self, service: Json) -> Iterator[tuple[str, str, Sequence[Mapping[str, Any]]]]:
        """Label, address and ports of each endpoint that is published."""
        metadata, everyone = service["metadata"], service["spec"].get("publishNotReadyAddresses")
        for piece in self._cluster.objects["EndpointSlice"].values():
            known = piece["metadata"]
            labels = known.get("labels") or {}
            if (known["namespace"], labels.get("kubernetes.io/service-name")) != (
                metadata["namespace"], metadata["name"],
            ):  # fmt: skip
                continue
            for endpoint in piece.get("endpoints") or ():
                if everyone or (endpoint.get("conditions") or {}).get("ready") is not False:
                    for ip in map(_standard, endpoint.get("addresses") or ()):
                        label = endpoint.get("hostname") or ip.replace(".", "-").replace(":", "-")
                        yield label, ip, piece.get("ports") or ()


def _services_of(
    name: str, before: Sequence[str], spec: Json, endpoints: Sequence[Any], whole: str, ttl: int
) -> Iterator[Record]:
    """SRV records of a named port: `_http._tcp`."""
    port, protocol = (label.removeprefix("_") for label in before)

    def fits(each: Mapping[str, Any]) -> bool:
        return (each.get("name"), (each.get("protocol") or "TCP").lower()) == (port, protocol)

    if not _is_headless(spec):
        for each in filter(fits, spec.get("ports") or ()):
            yield dnswire.service(name, each["port"], whole, ttl)
        return
    weight = max(1, 100 // len(endpoints)) if endpoints else 100
    for label, _, ports in endpoints:
        for each in filter(fits, ports):
            yield dnswire.service(name, each["port"], f"{label}.{whole}", ttl, weight)


def _is_headless(spec: Json) -> bool:
    return spec.get("clusterIP") == "None"


def _cluster_ips(spec: Json) -> list[str]:
    ips = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    return [_standard(ip) for ip in ips if ip and ip != "None"]


def _standard(ip: str) -> str:
    """The form that all others stand for: without leading zeros, and not mapped into IPv6."""
    if re.fullmatch(r"\d+(\.\d+){3}", ip, re.ASCII):
        return ".".join(str(int(part)) for part in ip.split("."))
    return re.sub(r"^::ffff:(?=\d+\.)", "", ip, flags=re.IGNORECASE)


def _reverse(ip: str) -> str:
    return f"{ipaddress.ip_address(ip).reverse_pointer}."
