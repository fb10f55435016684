"""By what a node-cache goes: the Corefile that it has mounted, and what its arguments say."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from netlab.client.informer import Informers
from netlab.dns import corefile, kubedns
from netlab.dns.corefile import CacheSettings, CorefileError
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.types import Container, Pod
from netlab.proxy.untracked import HEALTH_PORT
from netlab.workload.behaviour import parse_flags

METRICS_PORT = 9253


class Corefiles:
    """Those of a lab's node-caches."""

    def __init__(self, lab: Lab, informers: Informers) -> None:
        self._lab = lab
        self._services = informers["Service"]
        self._configured = informers["ConfigMap"]
        self._kube_dns: dict[str, Mapping[str, str]] = {}
        """The last good data of each such ConfigMap, by its key."""

    def settings(self, pod: Pod, container: Container) -> CacheSettings:
        """What its Corefile says now; `CorefileError` if that is none."""
        text = self._template(pod, container)
        notes: tuple[str, ...] = ()
        if text is not None:
            text, notes = self._rendered(text, pod, container)
        elif (text := self._text(pod, container, "conf", "/etc/Corefile")) is None:
            return self.usual(pod, container)
        found = corefile.settings(
            text, self._upstream(pod, container), self._lab.external.gateway_ips
        )
        return replace(found, notes=(*notes, *found.notes)) if notes else found

    def usual(self, pod: Pod, container: Container) -> CacheSettings:
        """Where nobody has given it a Corefile: as Kubernetes' addon has it."""
        upstream = self._upstream(pod, container)
        zones = (self._lab.dns.domain, "in-addr.arpa", "ip6.arpa")
        port = parse_flags(container.get("args") or ()).get("health-port", "")
        return CacheSettings(
            servers=(*((zone, upstream) for zone in zones), (".", self._lab.external.gateway_ips)),
            metrics=("", METRICS_PORT),
            health=("", int(port) if port.isascii() and port.isdigit() else HEALTH_PORT),
        )

    def _upstream(self, pod: Pod, container: Container) -> tuple[str, ...]:
        name = parse_flags(container.get("args") or ()).get("upstreamsvc", "kube-dns")
        service = self._services.get(f"{meta.namespace(pod)}/{name}")
        address = meta.spec(service).get("clusterIP") if service is not None else None
        return (address,) if address and address != "None" else ()

    def _template(self, pod: Pod, container: Container) -> str | None:
        """What node-cache makes its Corefile of."""
        return self._text(pod, container, "basecorefile", "/etc/coredns/Corefile.base")

    def _text(self, pod: Pod, container: Container, flag: str, default: str) -> str | None:
        """The text of the file that an argument names; None where it is in no ConfigMap."""
        path = parse_flags(container.get("args") or ()).get(flag, default)
        if (found := configured(pod, container, path)) is None:
            return None
        name, key = found
        source = self._configured.get(f"{meta.namespace(pod)}/{name}")
        return (source.get("data") or {}).get(key) if source is not None else None

    def _rendered(
        self, template: str, pod: Pod, container: Container
    ) -> tuple[str, tuple[str, ...]]:
        """The Corefile, and what of kube-dns' ConfigMap is not taken: then it goes by what that
        was before."""
        flags = parse_flags(container.get("args") or ())
        addresses = local_addresses(flags.get("localip", ""))
        name = mounted(pod, container, flags.get("kubednscm", kubedns.PATH))
        if name is None:
            return kubedns.rendered(template, {}, addresses), ()
        key = f"{meta.namespace(pod)}/{name}"
        source = self._configured.get(key)
        data = (source.get("data") or {}) if source is not None else {}
        try:
            text = kubedns.rendered(template, data, addresses)
        except CorefileError as error:
            before = self._kube_dns.get(key, {})
            note = f"{name}: {error.message}: it is left out"
            return kubedns.rendered(template, before, addresses), (note,)
        self._kube_dns[key] = data
        return text, ()


def local_addresses(text: str) -> tuple[str, ...]:
    """The addresses of `-localip`, as the kernel writes them; what is none is left out."""
    found = []
    for word in text.split(","):
        try:
            found.append(str(ipaddress.ip_address(word.strip())))
        except ValueError:
            continue
    return tuple(found)


def mounted(pod: Pod, container: Container, directory: str) -> str | None:
    """The ConfigMap, by its name, that a container sees as that directory."""
    volumes: dict[str, Any] = {
        volume["name"]: volume for volume in meta.spec(pod).get("volumes") or ()
    }
    for mount in container.get("volumeMounts") or ():
        source = volumes.get(mount["name"], {}).get("configMap")
        if source is not None and mount["mountPath"].rstrip("/") == directory.rstrip("/"):
            return source.get("name") or ""
    return None


def configured(pod: Pod, container: Container, path: str) -> tuple[str, str] | None:
    """The ConfigMap, by its name, and the key of it that a container sees at that path."""
    volumes: dict[str, Any] = {
        volume["name"]: volume for volume in meta.spec(pod).get("volumes") or ()
    }
    for mount in container.get("volumeMounts") or ():
        source = volumes.get(mount["name"], {}).get("configMap")
        if source is None:
            continue
        target, below = mount["mountPath"].rstrip("/"), mount.get("subPath") or ""
        inside = below if path == target else path.removeprefix(f"{target}/")
        if inside in ("", path):
            continue
        keys = {item["path"]: item["key"] for item in source.get("items") or ()}
        if not keys or inside in keys:
            return source.get("name") or "", keys.get(inside, inside)
    return None
