"""What a pod offers to Services: its addresses, and its ports by number and name. Pure."""

from __future__ import annotations

from netlab.objects import meta
from netlab.objects.numbers import whole
from netlab.objects.types import Pod, ServicePort


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


def target_port(port: ServicePort, protocol: str, pod: Pod) -> int | None:
    """`targetPort` as a number: itself, the container port of that name, or `port`."""
    target = port.get("targetPort")
    if target is None or target == "":
        return port["port"]
    if isinstance(target, int):
        return target
    for container in meta.spec(pod).get("containers") or []:
        for offered in container.get("ports") or []:
            if offered.get("name") == target and (offered.get("protocol") or "TCP") == protocol:
                return offered["containerPort"]
    return whole(target)
