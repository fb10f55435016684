"""What a pod offers to Services: its addresses, and its ports by number and name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.numbers import whole


def addresses(pod: Object) -> list[str]:
    """Every address of the pod."""
    status = meta.status(pod)
    several = [entry["ip"] for entry in status.get("podIPs") or [] if entry.get("ip")]
    return several or ([status["podIP"]] if status.get("podIP") else [])


def address_of(pod: Object, family: str) -> str | None:
    """The pod's first address of "IPv4" or "IPv6"."""
    for address in addresses(pod):
        if (":" in address) == (family == "IPv6"):
            return address
    return None


def target_port(port: Mapping[str, Any], protocol: str, pod: Object) -> int | None:
    """`targetPort` as a number: itself, the container port of that name, or `port`."""
    target = port.get("targetPort")
    if target is None or target == "":
        return int(port["port"])
    if isinstance(target, int):
        return target
    for container in meta.spec(pod).get("containers") or []:
        for offered in container.get("ports") or []:
            if offered.get("name") == target and (offered.get("protocol") or "TCP") == protocol:
                return int(offered["containerPort"])
    return whole(str(target))
