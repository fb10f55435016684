"""Nodes and Namespaces as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from netlab.objects import meta, quantity
from netlab.objects.kinds.cluster import LEASE, NAMESPACE, NODE
from netlab.objects.kinds.pods import POD
from netlab.objects.kinds.quota import RESOURCE_QUOTA
from netlab.objects.podphase import is_pod_terminal
from netlab.objects.types import Lease, Namespace, Node, Pod
from netlab.view.describing import described, quota
from netlab.view.describing.described import Belonging, Description, Lines, Related

ROLE = "node-role.kubernetes.io/"

_INFO = (
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
    ("Kube-Proxy Version", "kubeProxyVersion"),
)


def namespace(obj: Namespace, related: Related) -> Lines:
    """A Namespace, with its quotas; kubectl shows no events with it."""
    yield from described.head(obj)
    yield f"Status:\t{meta.status(obj).get('phase', '')}"
    if conditions := meta.status(obj).get("conditions") or []:
        yield "Conditions:"
        yield "  Type\tStatus\tLastTransitionTime\tReason\tMessage"
        yield "  ----\t------\t------------------\t------\t-------"
    for one in conditions:
        changed = described.moment(one.get("lastTransitionTime"))
        why = f"{one.get('reason', '')}\t{one.get('message', '')}"
        yield f"  {one['type']}\t{one['status']}\t{changed}\t{why}"
    yield from quota.of_namespace(described.of_kind(RESOURCE_QUOTA, related))


def node(obj: Node, related: Related) -> Lines:
    """A Node: its conditions, addresses, capacity, and the pods on it."""
    yield f"Name:\t{meta.name(obj)}"
    yield f"Roles:\t{_roles(obj)}"
    yield from described.label_lines(obj)
    yield from described.annotation_lines(obj)
    yield described.created(obj)
    yield from described.listed("Taints", [*_taints(obj)])
    yield f"Unschedulable:\t{str(bool(meta.spec(obj).get('unschedulable'))).lower()}"
    yield from _lease(related)
    yield from _conditions(obj)
    yield "Addresses:"
    for entry in meta.status(obj).get("addresses") or []:
        yield f"  {entry['type']}:\t{entry['address']}"
    yield from _capacity(obj)
    yield from _system(obj)
    yield from _pods(obj, related)
    yield from described.events(related)


def _roles(obj: Node) -> str:
    roles = [name.removeprefix(ROLE) for name in meta.labels(obj) if name.startswith(ROLE)]
    return ",".join(sorted(roles)) or "<none>"


def _taints(obj: Node) -> Iterator[str]:
    taints = meta.spec(obj).get("taints") or []
    for taint in sorted(taints, key=lambda taint: (taint["key"], taint["effect"])):
        value = f"={taint['value']}" if taint.get("value") else ""
        yield f"{taint['key']}{value}:{taint['effect']}"


def _lease(related: Related) -> Lines:
    leases: list[Lease] = described.of_kind(LEASE, related)
    for spec in map(meta.spec, leases):
        yield "Lease:"
        yield f"  HolderIdentity:\t{spec.get('holderIdentity') or '<unset>'}"
        for title, when in (
            ("AcquireTime", spec.get("acquireTime")),
            ("RenewTime", spec.get("renewTime")),
        ):
            yield f"  {title}:\t{described.moment(when) if when else '<unset>'}"


def _conditions(obj: Node) -> Lines:
    found = meta.status(obj).get("conditions") or []
    if not found:
        return
    yield "Conditions:"
    yield "  Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage"
    yield "  ----\t------\t-----------------\t------------------\t------\t-------"
    for entry in found:
        beat = described.moment(entry.get("lastHeartbeatTime"))
        changed = described.moment(entry.get("lastTransitionTime"))
        why = f"{entry.get('reason', '')} \t{entry.get('message', '')}"
        yield f"  {entry['type']} \t{entry['status']} \t{beat} \t{changed} \t{why}"


def _capacity(obj: Node) -> Lines:
    status = meta.status(obj)
    for title, amounts in (
        ("Capacity", status.get("capacity") or {}),
        ("Allocatable", status.get("allocatable") or {}),
    ):
        if amounts:
            yield f"{title}:"
        for name in sorted(amounts):
            yield f"  {name}:\t{quantity.total([amounts[name]])}"


def _system(obj: Node) -> Lines:
    info = meta.status(obj).get("nodeInfo", {})
    yield "System Info:"
    yield from (f"  {title}:\t{info.get(field, '')}" for title, field in _INFO)
    spec = meta.spec(obj)
    if spec.get("podCIDR"):
        yield f"PodCIDR:\t{spec['podCIDR']}"
    if spec.get("podCIDRs"):
        yield f"PodCIDRs:\t{','.join(spec['podCIDRs'])}"


# -- its pods ------------------------------------------------------------------------------

Which = Literal["requests", "limits"]
_COLUMNS: tuple[tuple[Which, str], ...] = (
    ("requests", "cpu"),
    ("limits", "cpu"),
    ("requests", "memory"),
    ("limits", "memory"),
)


def _pods(obj: Node, related: Related) -> Lines:
    there: list[Pod] = described.of_kind(POD, related)
    pods = [pod for pod in there if not is_pod_terminal(pod)]
    whole = meta.status(obj).get("allocatable") or {}
    yield f"Non-terminated Pods:\t({len(pods)} in total)"
    titles = "CPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge"
    dashes = "------------\t----------\t---------------\t-------------\t---"
    yield f"  Namespace\tName\t\t{titles}"
    yield f"  ---------\t----\t\t{dashes}"
    for pod in pods:
        shares = "\t".join(_share([pod], what, name, whole) for what, name in _COLUMNS)
        age = described.age(pod["metadata"].get("creationTimestamp"), related.now)
        yield f"  {meta.namespace(pod)}\t{meta.name(pod)}\t\t{shares}\t{age}"
    yield from _allocated(pods, whole)


def _allocated(pods: Sequence[Pod], whole: Mapping[str, object]) -> Lines:
    yield "Allocated resources:"
    yield "  (Total limits may be over 100 percent, i.e., overcommitted.)"
    yield "  Resource\tRequests\tLimits"
    yield "  --------\t--------\t------"
    for name in ("cpu", "memory", "ephemeral-storage"):
        requests = _share(pods, "requests", name, whole)
        yield f"  {name}\t{requests}\t{_share(pods, 'limits', name, whole)}"


def _share(pods: Sequence[Pod], what: Which, name: str, whole: Mapping[str, object]) -> str:
    """What the pods' containers ask for, and how much of the node that is: `50m (5%)`."""
    amount = quantity.total(
        asked[name]
        for pod in pods
        for container in meta.spec(pod).get("containers") or []
        if name in (asked := (container.get("resources") or {}).get(what) or {})
    )
    return f"{amount} ({quantity.per_cent(amount, whole.get(name))}%)"


def _of_namespace(obj: Namespace) -> Sequence[Belonging]:
    return (Belonging(RESOURCE_QUOTA, meta.name(obj)),)


def _of_node(node: Node) -> tuple[Belonging, ...]:
    name = meta.name(node)
    return (
        Belonging(POD, None, {"fieldSelector": f"spec.nodeName={name}"}),
        Belonging(LEASE, "kube-node-lease", {"fieldSelector": f"metadata.name={name}"}),
    )


DESCRIPTIONS = {
    NAMESPACE: Description(namespace, _of_namespace),
    NODE: Description(node, _of_node),
}
