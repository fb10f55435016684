"""By what a node-cache goes: the Corefile that it has mounted, and what its arguments say."""

from __future__ import annotations

import ipaddress
from typing import Any

from netlab.client.informer import Informers
from netlab.dns import corefile
from netlab.dns.corefile import CacheSettings
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

    def settings(self, pod: Pod, container: Container) -> CacheSettings:
        """What its Corefile says now; `CorefileError` if that is none."""
        text = self._text(pod, container)
        if text is None:
            return self.usual(pod, container)
        return corefile.settings(
            text, self._upstream(pod, container), self._lab.external.gateway_ips
        )

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

    def _text(self, pod: Pod, container: Container) -> str | None:
        """The text of the file that its arguments name, or of the template that node-cache makes
        that of; None where it is in no ConfigMap."""
        flags = parse_flags(container.get("args") or ())
        template = flags.get("basecorefile", "/etc/coredns/Corefile.base")
        for path in (template, flags.get("conf", "/etc/Corefile")):
            found = configured(pod, container, path)
            if found is None:
                continue
            name, key = found
            source = self._configured.get(f"{meta.namespace(pod)}/{name}")
            if source is not None and (text := (source.get("data") or {}).get(key)) is not None:
                return text
        return None


def local_addresses(text: str) -> tuple[str, ...]:
    """The addresses of `-localip`, as the kernel writes them; what is none is left out."""
    found = []
    for word in text.split(","):
        try:
            found.append(str(ipaddress.ip_address(word.strip())))
        except ValueError:
            continue
    return tuple(found)


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
