"""What a pod offers to Services: its addresses, and its ports by number and name. Pure."""

from __future__ import annotations

from netlab.objects import meta
from netlab.objects.numbers import whole
from netlab.objects.types import Container, ContainerPort, Pod, ServicePort


def addresses(pod: Pod) -> list[str]:
    """Every address of the pod."""
    status = meta.status(pod)
    several = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    return several or ([status["podIP"]] if status.get("podIP") else [])


def address_of(pod: Pod, family: str) -> str | None:
    """The pod's first address of "IPv4" or "IPv6"."""
    for address in addresses(pod):
        if (":" in address) == (family == "IPv6"):
            return address
    return None


def lasting(pod: Pod) -> list[Container]:
    """Containers that run as long as the pod: its own, then sidecars, init containers that stay."""
    spec = meta.spec(pod)
    inits = spec.get("initContainers") or ()
    sidecars = [one for one in inits if one.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *sidecars]


def declared(pod: Pod) -> list[ContainerPort]:
    """The `ports` of all containers that last."""
    return [port for container in lasting(pod) for port in container.get("ports") or ()]


def target_port(port: ServicePort, protocol: str, pod: Pod) -> int | None:
    """`targetPort` as a number: itself, the first port of that name, or `port`."""
    target = port.get("targetPort")
    if target is None or target == "":
        return port["port"]
    if isinstance(target, int):
        return target
    for offered in declared(pod):
        if offered.get("name") == target and (offered.get("protocol") or "TCP") == protocol:
            return offered["containerPort"]
    return whole(target)
