"""Which object, and which of its fields, a rule comes from. Pure.

kube-proxy writes in its rules which Service port they are for; whose address or port it is that a
rule asks for, or sends to, tells the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from netlab.objects import meta
from netlab.objects.hostports import mappings
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.types import Service
from netlab.pathcheck.decode import split
from netlab.pathcheck.world import World
from netlab.trace.passages import MetRule


class Origin(Struct, frozen=True):
    """An object (`key` is `namespace/name`) and a field of it, `spec.ports[0].nodePort`, or "";
    `where` is the `file:line` where that was written, "" for what is in no file."""

    kind: str
    key: str
    field: str = ""
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.field}".rstrip()


Where = Callable[[str, str, str], str]
"""The `file:line` of an object's field, by kind, key and field; "" for what is in no file."""

# What of a rule names an endpoint: where it sends to, a comment, the name of a chain
_END = re.compile(
    r"--to-destination (\S+)|-> (\S+:\d+)\"|dnat (?:ip6? )?to (\S+:\d+)(?=\s|$)"
    r"|__(\S+)/(\d+)(?=\s|$)"
)
_HAIRPIN = re.compile(r"^-s (\S+?)/\d+ .*-j KUBE-MARK-MASQ$")
_SOURCE = re.compile(r"(?:^-s|saddr) (\S+)")
_AFFINITY = re.compile(r"--rcheck|saddr @affinity-")
_NOBODY = re.compile(r"has no (?:local )?endpoints|@no-endpoint-")
_HOST_PORT = ("CNI-", "hostports", "hostip_hostports")


def origin(rule: MetRule, owner: str | None, came: str, became: str, world: World) -> Origin | None:
    """Of a rule that matched a packet which `came` to its chain for that `address:port`, and was
    then for what it `became`. `owner` is the `namespace/name[:port]` that it is for, None for
    one that is for no Service."""
    if owner is None:
        return _of_pod(rule, became, world)
    key, _, port = owner.partition(":")
    service = world.services.get(key)
    if service is None:
        return Origin("Service", key)
    end = _end(rule, became) if not _AFFINITY.search(rule.text) else ""
    if end:
        found = _endpoint(key, split(end)[0], world)
        if found is not None:
            return found
    return Origin("Service", key, _field(rule, service, port, came, world))


def _end(rule: MetRule, became: str) -> str:
    """The `address:port`, or the address alone, that a rule is about; "" for none."""
    if "numgen" in rule.text and not rule.to:
        return became
    hairpin = _HAIRPIN.match(rule.text)
    if hairpin and rule.chain.startswith("KUBE-SEP-"):
        return hairpin[1]
    text = rule.text if "vmap" not in rule.text else rule.to
    found = _END.search(text) or _END.search(rule.to)
    if not found:
        return ""
    whole = found[1] or found[2] or found[3]
    return whole or (f"[{found[4]}]:{found[5]}" if ":" in found[4] else f"{found[4]}:{found[5]}")


def _endpoint(key: str, address: str, world: World) -> Origin | None:
    for slice_ in world.slices_of(key):
        for number, each in enumerate(slice_.get("endpoints") or []):
            if address in (each.get("addresses") or []):
                at = (each.get("addresses") or []).index(address)
                return Origin(
                    "EndpointSlice", meta.key(slice_), f"endpoints[{number}].addresses[{at}]"
                )
    return None


def _field(rule: MetRule, service: Service, port: str, came: str, world: World) -> str:
    """Which of a Service's fields is the reason for a rule."""
    spec = meta.spec(service)
    text = rule.text
    if _AFFINITY.search(text):
        return "spec.sessionAffinity"
    address, dport = split(came)
    inside = address in (*(spec.get("clusterIPs") or ()), spec.get("clusterIP"))
    if _NOBODY.search(text):
        key = meta.key(service)
        some = any(one.get("endpoints") for one in world.slices_of(key))
        policy = "internalTrafficPolicy" if inside else "externalTrafficPolicy"
        return f"spec.{policy}" if some else "spec.selector"
    if rule.chain.startswith(("KUBE-FW-", "firewall-")):
        return _listed(spec, "loadBalancerSourceRanges", _SOURCE.search(text))
    if rule.chain.startswith(("KUBE-EXT-", "external-")):
        return "spec.externalTrafficPolicy"
    number = next(_numbers(spec, port), None)
    ports = f"spec.ports[{number}]" if number is not None else "spec.ports"
    if inside:
        return f"{ports}.port"
    if address in ingress_ips(service):
        return f"status.loadBalancer.ingress[{ingress_ips(service).index(address)}].ip"
    if address in (spec.get("externalIPs") or []):
        return f"spec.externalIPs[{(spec.get('externalIPs') or []).index(address)}]"
    node_ports = {one.get("nodePort") for one in spec.get("ports") or []}
    return f"{ports}.nodePort" if dport in node_ports else ports


def _numbers(spec: Any, port: str) -> Iterator[int]:
    for number, one in enumerate(spec.get("ports") or []):
        if (one.get("name") or "") == port:
            yield number


def _listed(spec: Any, field: str, found: re.Match[str] | None) -> str:
    known = spec.get(field) or []
    inside = found is not None and found[1] in known
    return f"spec.{field}[{known.index(found[1])}]" if found and inside else f"spec.{field}"


def _of_pod(rule: MetRule, became: str, world: World) -> Origin | None:
    """A pod's hostPort, which leads to its address."""
    if not became or not rule.chain.startswith(_HOST_PORT):
        return None
    address, port = split(became)
    for key, pod in world.pods.items():
        if address not in (entry["ip"] for entry in meta.status(pod).get("podIPs") or []):
            continue
        if any(one.container_port == port for one in mappings(pod)):
            return Origin("Pod", key, _host_port(pod, port))
    return None


def _host_port(pod: Any, port: int) -> str:
    for number, container in enumerate(meta.spec(pod).get("containers") or []):
        for at, one in enumerate(container.get("ports") or []):
            if one.get("containerPort") == port and one.get("hostPort"):
                return f"spec.containers[{number}].ports[{at}].hostPort"
    return ""
