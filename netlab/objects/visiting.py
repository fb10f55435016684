"""In which order an API server looks at fields, so that what it says of them comes in it. Pure.

It looks at values and at structure in one go; here these are two, so what is wrong with the
structure (a value that is none of some, a field that is missing) is put among what the rules say.

Source: the Validate functions of pkg/apis/*/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from netlab.objects.problems import FieldProblem, Path

_CONTAINER = (
    "name", "image", "terminationMessagePolicy", "lifecycle", "livenessProbe", "readinessProbe",
    "startupProbe", "imagePullPolicy", "ports", "env", "envFrom", "volumeMounts", "volumeDevices",
    "resources", "securityContext", "restartPolicy",
)  # fmt: skip
POD_SPEC = (
    "volumes", "containers", "initContainers", "ephemeralContainers", "restartPolicy", "dnsPolicy",
    "nodeSelector", "securityContext", "imagePullSecrets", "affinity", "dnsConfig",
    "readinessGates", "schedulingGates", "topologySpreadConstraints", "serviceAccountName",
    "nodeName", "activeDeadlineSeconds", "hostname", "subdomain", "tolerations", "hostAliases",
    "priorityClassName", "runtimeClassName", "preemptionPolicy", "overhead", "os",
)  # fmt: skip
_SERVICE_SPEC = (
    "externalName", "ports", "selector", "sessionAffinity", "sessionAffinityConfig",
    "ipFamilies", "ipFamilyPolicy", "clusterIPs", "externalIPs", "type", "loadBalancerSourceRanges",
    "allocateLoadBalancerNodePorts", "loadBalancerClass", "externalTrafficPolicy",
    "healthCheckNodePort", "internalTrafficPolicy", "trafficDistribution",
)  # fmt: skip
_TEMPLATE = ("metadata", "labels", "annotations", "spec")
_WORKLOADS = {
    "Deployment": (
        "replicas", "selector", "template", "strategy", "minReadySeconds", "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ),
    "ReplicaSet": ("replicas", "minReadySeconds", "selector", "template"),
    "ReplicationController": ("minReadySeconds", "selector", "replicas", "template"),
    "StatefulSet": (
        "podManagementPolicy", "updateStrategy", "persistentVolumeClaimRetentionPolicy",
        "volumeClaimTemplates", "replicas", "minReadySeconds", "ordinals", "serviceName",
        "selector", "template",
    ),
    "DaemonSet": (
        "selector", "template", "minReadySeconds", "updateStrategy", "revisionHistoryLimit",
    ),
    "Job": (
        "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
        "ttlSecondsAfterFinished", "backoffLimitPerIndex", "maxFailedIndexes", "managedBy",
        "completionMode", "podFailurePolicy", "successPolicy", "podReplacementPolicy", "template",
        "selector",
    ),
    "CronJob": (
        "schedule", "startingDeadlineSeconds", "timeZone", "concurrencyPolicy", "jobTemplate",
        "successfulJobsHistoryLimit", "failedJobsHistoryLimit",
    ),
}  # fmt: skip
_CLAIM_SPEC = (
    "selector", "accessModes", "resources", "storageClassName", "volumeMode", "dataSource",
    "dataSourceRef", "volumeAttributesClassName",
)  # fmt: skip
_VOLUME_SPEC = (
    "accessModes", "capacity", "persistentVolumeReclaimPolicy", "nodeAffinity", "hostPath", "nfs",
    "local", "csi", "storageClassName", "volumeMode", "volumeAttributesClassName",
)  # fmt: skip
_PORT = ("name", "containerPort", "port", "hostPort", "protocol", "targetPort", "appProtocol")

_WITHIN: Mapping[str, Sequence[str]] = {
    "containers": _CONTAINER,
    "initContainers": _CONTAINER,
    "ephemeralContainers": _CONTAINER,
    "ports": _PORT,
    "template": _TEMPLATE,
    "jobTemplate": ("metadata", "spec"),
    "onPodConditions": ("type", "status"),
    "matchExpressions": ("operator", "values", "key"),
    "tolerations": ("key", "tolerationSeconds", "operator", "value", "effect"),
    "topologySpreadConstraints": (
        "maxSkew", "topologyKey", "whenUnsatisfiable", "minDomains", "labelSelector",
    ),
    "parentRef": ("group", "resource", "name", "namespace"),
    "subsets": ("addresses", "notReadyAddresses", "ports"),
    "addresses": ("ip", "hostname", "nodeName"),
    "notReadyAddresses": ("ip", "hostname", "nodeName"),
    "endpoints": ("addresses", "nodeName", "deprecatedTopology", "hostname", "hints"),
    "taints": ("key", "value", "effect"),
    "parameters": ("apiGroup", "kind", "name", "scope", "namespace"),
    "resource": ("apiGroup", "kind", "name"),
    "backend": ("resource", "service"),
    "paths": ("pathType", "path", "backend"),
    "rules": ("host", "http"),
    "httpGet": ("path", "port", "scheme", "host", "httpHeaders"),
}  # fmt: skip
"""By the name of a field: what it holds, in the order in which that is looked at."""

_TOP = ("metadata", "spec", "template")
_TOPS: Mapping[str, Sequence[str]] = {
    "Service": _TOP,
    "Pod": _TOP,
    "PodTemplate": _TOP,
    **dict.fromkeys(_WORKLOADS, _TOP),
    "EndpointSlice": ("metadata", "addressType", "ports", "endpoints"),
    "Endpoints": ("metadata", "subsets"),
    "Ingress": _TOP,
    "IngressClass": _TOP,
    "PersistentVolume": _TOP,
    "PersistentVolumeClaim": _TOP,
    "Node": _TOP,
    "IPAddress": _TOP,
    "StorageClass": (
        "metadata", "provisioner", "parameters", "reclaimPolicy", "volumeBindingMode",
        "allowedTopologies",
    ),
    "PriorityClass": ("metadata", "value", "preemptionPolicy"),
    "Event": ("involvedObject", "reportingComponent", "reportingInstance", "action", "reason"),
}  # fmt: skip
_SPECS: Mapping[str, Sequence[str]] = {
    "Service": _SERVICE_SPEC,
    "Pod": POD_SPEC,
    "Ingress": ("defaultBackend", "rules", "tls", "ingressClassName"),
    "IngressClass": ("controller", "parameters"),
    "PersistentVolume": _VOLUME_SPEC,
    "PersistentVolumeClaim": _CLAIM_SPEC,
    "Node": ("taints", "podCIDRs"),
    "PodTemplate": (),
    **_WORKLOADS,
}
_INNER_SPECS = {"template": POD_SPEC, "jobTemplate": _WORKLOADS["Job"]}
"""The specs that stand below a field."""
_ZEROS = ("selector", "template", "jobTemplate")
"""What of a workload's spec an API server takes for an empty one where it is missing."""


def is_told_by_rules(kind: str, problem: FieldProblem) -> bool:
    """Whether the rules of a kind tell that something is missing, in words of their own."""
    path = problem.path
    if problem.reason != "FieldValueRequired" or kind not in _WORKLOADS:
        return False
    return path[-1] in _ZEROS or "podFailurePolicy" in path or "successPolicy" in path


def ordered(
    kind: str, structural: Sequence[FieldProblem], rules: Sequence[FieldProblem]
) -> list[FieldProblem]:
    """All of them: the rules' in their order, and each of the structure's before the first of these
    that is about a later field. Of kinds whose order nobody has written down the structure's come
    first."""
    if kind not in _TOPS or not structural:
        return [*structural, *rules]
    said = list(rules)
    for one in sorted(structural, key=lambda problem: _rank(kind, problem.path)):
        rank = _rank(kind, one.path)
        at = (index for index, other in enumerate(said) if _rank(kind, other.path) > rank)
        said.insert(next(at, len(said)), one)
    return said


def by_fields(
    path: Path, fields: Sequence[str], problems: Iterable[FieldProblem]
) -> list[FieldProblem]:
    """Those of what stands at a path in the order of its fields; of each in their own."""
    places = {name: place for place, name in enumerate(fields)}

    def place(problem: FieldProblem) -> int:
        below = problem.path[len(path) : len(path) + 1]
        return places.get(str(below[0]), len(places)) if below else -1

    return sorted(problems, key=place)


@lru_cache(256)
def _rank(kind: str, path: Path) -> tuple[int, ...]:
    """Sorts paths in the order of looking."""
    ranks: list[int] = []
    within = _TOPS[kind]
    above = ""
    for part in path:
        if isinstance(part, int):
            ranks.append(part)
            continue
        name = str(part)
        ranks.append(within.index(name) if name in within else len(within))
        within = _of_spec(kind, above) if name == "spec" else _WITHIN.get(name, ())
        above = name
    return tuple(ranks)


def _of_spec(kind: str, above: str) -> Sequence[str]:
    return _INNER_SPECS[above] if above in _INNER_SPECS else _SPECS.get(kind, ())
