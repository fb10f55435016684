"""How Services are stored, and what stands behind them."""

from __future__ import annotations

from netlab.objects import (
    fields,
    ipaddresses,
    meta,
    service_updates,
    validate_network,
    validate_service,
)
from netlab.objects.kinds.networking import (
    ENDPOINT_SLICE,
    ENDPOINTS,
    IP_ADDRESS,
    SERVICE,
    SERVICE_CIDR,
)
from netlab.objects.meta import Object
from netlab.objects.problems import Path, forbidden, invalid
from netlab.objects.service_updates import needs_health_check_port
from netlab.objects.strategies.strategy import Mapping, Problems, Strategy, fill, keeps, spec_of


def _service(obj: Object) -> None:
    spec = spec_of(obj)
    fill(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        fill(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    if spec["type"] != "ExternalName":
        fill(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        fill(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        fill(spec, allocateLoadBalancerNodePorts=True)
    for port in spec.get("ports") or []:
        fill(port, protocol="TCP")
        if not port.get("targetPort") and "port" in port:
            port["targetPort"] = port["port"]


def _service_status(obj: Object) -> None:
    """As MetalLB and cloud controllers write it, an address is the Service's own, not a proxy's."""
    if meta.spec(obj).get("type") == "LoadBalancer":
        for entry in (meta.status(obj).get("loadBalancer") or {}).get("ingress") or []:
            if entry.get("ip"):
                fill(entry, ipMode="VIP")


def _endpoint_slice(obj: Object) -> None:
    for port in obj.get("ports") or []:
        fill(port, protocol="TCP")
        port.setdefault("name", "")


def _endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            fill(port, protocol="TCP")


def _service_update(new: Object, old: Object) -> Problems:
    was, wanted = meta.spec(old), meta.spec(new)
    lasting = was.get("type") == wanted.get("type") == "LoadBalancer"
    if lasting and wanted.get("loadBalancerClass") != was.get("loadBalancerClass"):
        path = ("spec", "loadBalancerClass")
        yield invalid(path, wanted.get("loadBalancerClass"), "may not change once set")
    port = wanted.get("healthCheckNodePort")
    always = needs_health_check_port(was) and needs_health_check_port(wanted)
    if always and port != was.get("healthCheckNodePort"):
        yield forbidden(("spec", "healthCheckNodePort"), "field is immutable")
    if "ExternalName" in (was.get("type"), wanted.get("type")):
        return  # such a Service has no address to keep
    before, after = _addresses(was), _addresses(wanted)
    for index, address in enumerate(before):
        if index < len(after) and after[index] != address:
            yield invalid(("spec", "clusterIPs", index), after, "may not change once set")
    families = wanted.get("ipFamilies") or []
    if families and families[:1] != (was.get("ipFamilies") or families)[:1]:
        yield invalid(("spec", "ipFamilies", 0), families[0], "may not change once set")


def _addresses(spec: Mapping) -> list[str]:
    written = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [address for address in written if address]


def _service_cidr(obj: Object) -> None:
    """It is held from its beginning, so that it cannot go before somebody has looked who needs it:
    kube-controller-manager holds it a moment later."""
    kept = obj["metadata"].get("finalizers") or []
    if ipaddresses.FINALIZER not in kept:
        obj["metadata"]["finalizers"] = [*kept, ipaddresses.FINALIZER]


def load_balancer(path: Path, found: Mapping) -> Problems:
    """Where the status says that it can be reached from outside."""
    ingress = (found.get("loadBalancer") or {}).get("ingress") or []
    for index, entry in enumerate(ingress):
        where: Path = (*path, "loadBalancer", "ingress", index)
        if entry.get("ip"):
            yield from fields.address((*where, "ip"), entry["ip"])
        name = entry.get("hostname")
        if name and fields.parse_address(name) is not None:
            yield invalid((*where, "hostname"), name, "must be a DNS name, not an IP address")
        elif name:
            yield from fields.dns_subdomain((*where, "hostname"), name)


STRATEGIES = {
    SERVICE: Strategy(
        default=_service,
        default_status=_service_status,
        settle=service_updates.inherit,
        validate=validate_service.service,
        validate_name=fields.dns_1035_label,
        validate_update=_service_update,
        validate_status=load_balancer,
    ),
    ENDPOINTS: Strategy(default=_endpoints, validate=validate_network.endpoints),
    ENDPOINT_SLICE: Strategy(
        default=_endpoint_slice,
        validate=validate_network.endpoint_slice,
        validate_update=keeps("addressType"),
    ),
    SERVICE_CIDR: Strategy(
        prepare_create=_service_cidr,
        validate=validate_network.service_cidr,
        validate_update=validate_network.service_cidr_update,
    ),
    IP_ADDRESS: Strategy(
        validate=validate_network.ip_address,
        validate_name=validate_network.ip_address_name,
        validate_update=keeps("spec", "parentRef"),
    ),
}
