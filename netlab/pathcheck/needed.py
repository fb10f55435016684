"""Which pods and Services some checks are about: of a lab's thousands nearly all are not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from netlab.objects.pathcheck import PathCheck
from netlab.objects.types import EndpointSlice

_FEW = 24
"""More objects than these are not asked for one by one."""

_DNS = "kube-system/kube-dns"


class Needed(Struct, frozen=True):
    """Pods and Services by `namespace/name`."""

    pods: frozenset[str]
    services: frozenset[str]


def needed(
    checks: Sequence[PathCheck], slices_of: Callable[[str], Sequence[EndpointSlice]]
) -> Needed | None:
    """What these checks are about; None where that may be any, or are many."""
    if len(checks) > _FEW or any(map(_may_be_any, checks)):
        return None
    pods = {f"{c.sender.namespace}/{c.sender.name}" for c in checks if c.sender.kind == "pod"}
    pods |= {f"{c.target.namespace}/{c.target.pod}" for c in checks if c.target.pod}
    services = {f"{c.target.namespace}/{c.target.service}" for c in checks if c.target.service}
    for key in services:
        for pod in _behind(slices_of(key)):
            if pod is None or len(pods) > _FEW:
                return None
            pods.add(pod)
    return Needed(frozenset(pods), frozenset(services | {_DNS}))


def _may_be_any(check: PathCheck) -> bool:
    """An address is somebody's, a port of a node's leads to somebody, and a Deployment's name
    stands for pods that no name tells."""
    target = check.target
    by_port = bool(target.node_port or target.host_port) and not target.service
    by_name = isinstance(check.expect.endpoints, tuple)
    return check.sender.kind == "deployment" or bool(target.address) or by_port or by_name


def _behind(slices: Sequence[EndpointSlice]) -> Iterator[str | None]:
    """The pods behind a Service; None for an endpoint of which nobody says whose it is."""
    for each in slices:
        for endpoint in each.get("endpoints") or ():
            of = endpoint.get("targetRef") or {}
            known = of.get("kind") == "Pod" and of.get("name")
            yield f"{of.get('namespace') or ''}/{of.get('name')}" if known else None
