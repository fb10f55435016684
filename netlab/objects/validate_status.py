"""What a status may say, where addresses and names in it are put to use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from netlab.objects import fields
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, invalid

Mapping = dict[str, Any]


def status(obj: Object) -> Iterator[FieldProblem]:
    """The status of any object; what controllers and kubelets leave out is no problem."""
    rules = _BY_KIND.get(str(obj.get("kind")))
    if rules is not None:
        yield from rules(("status",), obj.get("status") or {})


def _pod(path: Path, found: Mapping) -> Iterator[FieldProblem]:
    """Addresses and containers, which a kubelet that restarts goes on with."""
    for field in ("hostIP", "podIP"):
        if found.get(field):
            yield from fields.address((*path, field), found[field])
        for index, entry in enumerate(found.get(f"{field}s") or []):
            yield from fields.address((*path, f"{field}s", index), entry.get("ip") or "")
    for field in ("initContainerStatuses", "containerStatuses"):
        for index, entry in enumerate(found.get(field) or []):
            yield from fields.given((*path, field, index), entry, "name")


def _load_balancer(path: Path, found: Mapping) -> Iterator[FieldProblem]:
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


_BY_KIND: dict[str, Callable[[Path, Mapping], Iterator[FieldProblem]]] = {
    "Ingress": _load_balancer,
    "Pod": _pod,
    "Service": _load_balancer,
}
