"""Of which of a namespace's quotas an object takes how much. Pure.

A quota limits resources by name: `pods`, `requests.cpu`, `count/deployments.apps`. Amounts are
quantities, as objects have them.

Source: pkg/quota/v1/evaluator/core, k8s.io/apiserver/pkg/quota/v1.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from netlab.objects import meta, podrequests, quantity
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.podphase import is_pod_phase_terminal
from netlab.objects.qos import qos_class
from netlab.objects.selectors import Requirement
from netlab.objects.times import parse_time

Amounts = dict[str, Any]
"""Of resources by name: quantities."""

COMPUTE = frozenset({
    "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
})  # fmt: skip
"""What each container has to say of itself where a quota limits it."""

OF_PODS = COMPUTE | {
    "ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage", "pods",
}  # fmt: skip
_OF_SERVICES = ("services", "services.nodeports", "services.loadbalancers")
_OF_CLAIMS = ("persistentvolumeclaims", "requests.storage")
_BY_CLASS = ".storageclass.storage.k8s.io/"
HUGE = ("hugepages-", "requests.hugepages-")
_COUNTED_BY_NAME = ("configmaps", "resourcequotas", "replicationcontrollers", "secrets")
"""What was counted before everything was."""

CHANGES = ("Service", "PersistentVolumeClaim")
"""Kinds of which a change may take more."""

_NOT_COUNTED = ("Event",)


def count_name(kind: Kind) -> str:
    """`count/deployments.apps`."""
    return f"count/{kind.resource}"


def taken(kind: Kind, obj: Object, now: float) -> Amounts:
    """What an object of that kind takes, of all that can be limited."""
    if kind.kind in _NOT_COUNTED:
        return {}
    known = {count_name(kind): "1"}
    if kind.plural in _COUNTED_BY_NAME and not kind.group:
        known[kind.plural] = "1"
    more = _MORE.get(kind.kind)
    return {**known, **more(obj, now)} if more else known


def covers(quota: Object, kind: Kind, obj: Object) -> bool:
    """Whether a quota limits anything of such an object's, of its scopes."""
    return bool(limited(quota, kind)) and all(_is_in(obj, one) for one in scopes(quota))


def limited(quota: Object, kind: Kind) -> list[str]:
    """The resources in force of a quota that objects of this kind take."""
    return [name for name in meta.status(quota).get("hard") or {} if _takes(kind, name)]


def _takes(kind: Kind, name: str) -> bool:
    if name == count_name(kind):
        return kind.kind not in _NOT_COUNTED
    match kind.kind:
        case "Pod":
            return name in OF_PODS or name.startswith(HUGE) or is_extended(name)
        case "Service":
            return name in _OF_SERVICES
        case "PersistentVolumeClaim":
            return name in _OF_CLAIMS or name.endswith(tuple(_BY_CLASS + one for one in _OF_CLAIMS))
    return name == kind.plural and name in _COUNTED_BY_NAME and not kind.group


def is_extended(name: str) -> bool:
    """Whether it is a quota of what a node has beyond the usual: `requests.example.com/gpu`."""
    return name.startswith("requests.") and not is_native(name)


def is_native(name: str) -> bool:
    """Whether Kubernetes itself knows of it, whoever names it."""
    return "/" not in name or "kubernetes.io/" in name


def unsaid(pod: Object, names: Iterable[str]) -> str:
    """`must specify limits.cpu for: a,b`, of these resources; "" where all is said."""
    spec = meta.spec(pod)
    containers = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    missing = {
        name: sorted({one["name"] for one in containers if name not in _compute(one)})
        for name in sorted(COMPUTE.intersection(names))
    }
    told = [f"{name} for: {','.join(those)}" for name, those in missing.items() if those]
    return f"must specify {'; '.join(told)}" if told else ""


def _compute(container: Mapping[str, Any]) -> Amounts:
    resources = container.get("resources") or {}
    return _named(resources.get("requests") or {}, resources.get("limits") or {})


def _named(requests: Mapping[str, Any], limits: Mapping[str, Any]) -> Amounts:
    """Under the names that quotas have for it: of what is asked for, both."""
    usual = ("cpu", "memory", "ephemeral-storage")
    found = {name: amount for name, amount in requests.items() if name in usual or _is_huge(name)}
    found |= {f"requests.{name}": amount for name, amount in found.items()}
    found |= {f"requests.{name}": amount for name, amount in requests.items() if "/" in name}
    return found | {f"limits.{name}": limits[name] for name in usual if name in limits}


def _is_huge(name: str) -> bool:
    return name.startswith(HUGE[0])


def _of_pod(pod: Object, now: float) -> Amounts:
    if is_pod_phase_terminal(meta.status(pod).get("phase")) or _is_overdue(pod, now):
        return {}
    spec = meta.spec(pod)
    requests = _written(podrequests.requests(spec), spec, "requests")
    limits = _written(podrequests.limits(spec), spec, "limits")
    return {"pods": "1", **_named(requests, limits)}


def _written(thousandths: Mapping[str, int], spec: Mapping[str, Any], field: str) -> Amounts:
    """As quantities, in powers of two where the pod writes it so."""
    from fractions import Fraction

    every = (*(spec.get("initContainers") or ()), *(spec.get("containers") or ()), spec)
    said = [(one.get("resources") or {}).get(field) or {} for one in every]
    return {
        name: quantity.canonical(
            Fraction(amount, 1000), binary=any(str(one.get(name, "")).endswith("i") for one in said)
        )
        for name, amount in thousandths.items()
    }


def _is_overdue(pod: Object, now: float) -> bool:
    """Whether it was to be gone by now, with its grace."""
    metadata = pod["metadata"]
    until, grace = parse_time(metadata.get("deletionTimestamp")), "deletionGracePeriodSeconds"
    return until is not None and grace in metadata and now > until + metadata[grace]


def _of_service(service: Object, _now: float) -> Amounts:
    spec = meta.spec(service)
    ports = spec.get("ports") or []
    balanced = spec.get("type") == "LoadBalancer"
    if balanced and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [one for one in ports if one.get("nodePort")]
    elif not balanced and spec.get("type") != "NodePort":
        ports = []
    return {
        "services": "1",
        "services.nodeports": str(len(ports)),
        "services.loadbalancers": str(int(balanced)),
    }


def _of_claim(claim: Object, _now: float) -> Amounts:
    spec = meta.spec(claim)
    found = {"persistentvolumeclaims": "1"}
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is not None:
        whole = -(-quantity.parse(asked) // 1)
        found["requests.storage"] = (
            quantity.total([asked]) if whole == quantity.parse(asked) else (str(whole))
        )
    name = spec.get("storageClassName")
    return found | ({f"{name}{_BY_CLASS}{one}": found[one] for one in found} if name else {})


_MORE: Mapping[str, Callable[[Object, float], Amounts]] = {
    "Pod": _of_pod, "Service": _of_service, "PersistentVolumeClaim": _of_claim,
}  # fmt: skip


def scopes(quota: Object) -> Iterator[Mapping[str, Any]]:
    """What the objects are that a quota is for, as requirements."""
    spec = meta.spec(quota)
    for name in spec.get("scopes") or ():
        yield {"scopeName": name, "operator": "Exists"}
    yield from (spec.get("scopeSelector") or {}).get("matchExpressions") or ()


def _is_in(obj: Object, scope: Mapping[str, Any]) -> bool:
    """Pods alone are in scopes."""
    if obj["kind"] != "Pod":
        return False
    spec = meta.spec(obj)
    match scope["scopeName"]:
        case "Terminating":
            return spec.get("activeDeadlineSeconds") is not None
        case "NotTerminating":
            return spec.get("activeDeadlineSeconds") is None
        case "BestEffort":
            return qos_class(spec) == "BestEffort"
        case "NotBestEffort":
            return qos_class(spec) != "BestEffort"
        case "PriorityClass":
            name = spec.get("priorityClassName") or ""
            values = frozenset(scope.get("values") or ())
            asked = Requirement("PriorityClass", scope["operator"], values)
            return asked.matches({"PriorityClass": name} if name else {})
    return _looks_abroad(spec)


def _looks_abroad(spec: Mapping[str, Any]) -> bool:
    """Whether it is to be near, or far from, pods of other namespaces."""
    affinity = spec.get("affinity") or {}
    for one in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(one) or {}
        terms = [*(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())]
        for weighted in rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            terms.append(weighted.get("podAffinityTerm") or {})
        if any(term.get("namespaces") or "namespaceSelector" in term for term in terms):
            return True
    return False


def plus(one: Mapping[str, Any], other: Mapping[str, Any]) -> Amounts:
    """Both together."""
    return {name: _sum(one.get(name), other.get(name)) for name in (*one, *other)}


def _sum(*amounts: object) -> str:
    """In the suffixes of the first that is something."""
    return quantity.total(one for one in amounts if one is not None and quantity.parse(one))


def more(new: Mapping[str, Any], old: Mapping[str, Any]) -> Amounts:
    """What the new takes beyond the old."""
    found = {}
    for name, amount in new.items():
        left = quantity.parse(amount) - quantity.parse(old.get(name, "0"))
        if left > 0:
            found[name] = quantity.canonical(left, binary=str(amount).endswith("i"))
    return found


def exceeded(used: Mapping[str, Any], hard: Mapping[str, Any]) -> list[str]:
    """Of what more is used than may be, in order."""
    return sorted(
        name for name, most in hard.items()
        if name in used and quantity.parse(used[name]) > quantity.parse(most)
    )  # fmt: skip


def only(amounts: Mapping[str, Any], names: Collection[str]) -> Amounts:
    """Those of these names."""
    return {name: amount for name, amount in amounts.items() if name in names}
