"""What a Kubernetes API server fills in where an object says nothing.

Empty strings, empty mappings and null count as nothing, since clients that send protobuf cannot
tell them apart. What depends on other objects (clusterIP, nodePort, ipFamilies) is the
registry's to allocate, not filled here.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from netlab.objects.meta import Object

Mapping = dict[str, Any]

_EMPTY: tuple[Any, ...] = (None, "", {})


def apply_defaults(obj: Object) -> None:
    """Fill an object's defaults, in place; filled once, filling again changes nothing."""
    fill = _BY_KIND.get(str(obj.get("kind")))
    if fill is not None:
        fill(obj)


def _set(mapping: Mapping, **defaults: Any) -> None:
    for name, value in defaults.items():
        if mapping.get(name) in _EMPTY:
            mapping[name] = value


def _spec(obj: Object) -> Mapping:
    if not obj.get("spec"):
        obj["spec"] = {}
    spec: Mapping = obj["spec"]
    return spec


# Services and what stands behind them


def _service(obj: Object) -> None:
    spec = _spec(obj)
    _set(spec, type="ClusterIP", sessionAffinity="None")
    if spec["sessionAffinity"] == "ClientIP":
        _set(spec, sessionAffinityConfig={"clientIP": {"timeoutSeconds": 10800}})
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    for port in spec.get("ports") or []:
        _set(port, protocol="TCP")
        if not port.get("targetPort") and "port" in port:
            port["targetPort"] = port["port"]


def _endpoint_slice(obj: Object) -> None:
    for port in obj.get("ports") or []:
        _set(port, protocol="TCP")
        port.setdefault("name", "")


def _endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or []:
        for port in subset.get("ports") or []:
            _set(port, protocol="TCP")


# Pods


def _pod(obj: Object) -> None:
    spec = _spec(obj)
    _pod_spec(spec)
    for container in spec.get("containers") or []:
        resources = container["resources"]
        if resources.get("limits"):  # what is limited but not requested is requested as limited
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def _pod_spec(spec: Mapping) -> None:
    _set(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or []:
            _container(container, bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _container(container: Mapping, host_network: bool) -> None:
    _set(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(container.get("image") or ""),
        resources={},
    )
    for port in container.get("ports") or []:
        _set(port, protocol="TCP")
        if host_network and not port.get("hostPort") and "containerPort" in port:
            port["hostPort"] = port["containerPort"]
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name):
            _probe(container[name])
    for hook in (container.get("lifecycle") or {}).values():
        _http_get(hook)
    for variable in container.get("env") or []:
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _set(reference, apiVersion="v1")


def _pull_policy(image: str) -> str:
    """Always for the tag latest, spelled out or not; a digest or another tag need no new pull."""
    name = image.rpartition("/")[2]
    if "@" in name:
        return "IfNotPresent"
    tag = name.partition(":")[2] or "latest"
    return "Always" if tag == "latest" else "IfNotPresent"


def _probe(probe: Mapping) -> None:
    for name, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(name):
            probe[name] = value
    _http_get(probe)
    if probe.get("grpc"):
        probe["grpc"].setdefault("service", "")


def _http_get(action: Mapping) -> None:
    if action.get("httpGet"):
        _set(action["httpGet"], path="/", scheme="HTTP")


_MODE = 0o644
# Volume sources with a defaultMode of their own.
_WITH_MODE = ("configMap", "secret", "projected", "downwardAPI")


def _volume(volume: Mapping) -> None:
    if all(name == "name" for name in volume):
        volume["emptyDir"] = {}
    for name in _WITH_MODE:
        if volume.get(name) is not None and volume[name].get("defaultMode") is None:
            volume[name]["defaultMode"] = _MODE
    if volume.get("hostPath"):
        volume["hostPath"].setdefault("type", "")
    for source in (volume.get("projected") or {}).get("sources") or []:
        token = source.get("serviceAccountToken")
        if token and not token.get("expirationSeconds"):
            token["expirationSeconds"] = 3600


# What makes pods


def _template(spec: Mapping) -> None:
    template = spec.get("template")
    if template:
        _pod_spec(_spec(template))


def _replicas(spec: Mapping) -> None:
    if spec.get("replicas") is None:
        spec["replicas"] = 1


def _replica_set(obj: Object) -> None:
    spec = _spec(obj)
    _replicas(spec)
    _template(spec)


def _deployment(obj: Object) -> None:
    spec = _spec(obj)
    _replicas(spec)
    _template(spec)
    _set(spec, strategy={})
    _set(spec["strategy"], type="RollingUpdate")
    if spec["strategy"]["type"] == "RollingUpdate":
        _set(spec["strategy"], rollingUpdate={})
        _set(spec["strategy"]["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
    _set(spec, revisionHistoryLimit=10, progressDeadlineSeconds=600)


def _stateful_set(obj: Object) -> None:
    spec = _spec(obj)
    _replicas(spec)
    _template(spec)
    _set(spec, podManagementPolicy="OrderedReady", updateStrategy={}, revisionHistoryLimit=10)
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={"partition": 0})
    _set(spec, persistentVolumeClaimRetentionPolicy={})
    _set(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")


def _daemon_set(obj: Object) -> None:
    spec = _spec(obj)
    _template(spec)
    _set(spec, updateStrategy={}, revisionHistoryLimit=10)
    _set(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        _set(spec["updateStrategy"], rollingUpdate={})
        _set(spec["updateStrategy"]["rollingUpdate"], maxSurge=0, maxUnavailable=1)


def _controller_revision(obj: Object) -> None:
    if obj.get("revision") is None:
        obj["revision"] = 0


def _secret(obj: Object) -> None:
    """The type; and `stringData`, which can be written but is never stored."""
    _set(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**(obj.get("data") or {}), **encoded}


_BY_KIND: dict[str, Callable[[Object], None]] = {
    "ControllerRevision": _controller_revision,
    "DaemonSet": _daemon_set,
    "Deployment": _deployment,
    "EndpointSlice": _endpoint_slice,
    "Endpoints": _endpoints,
    "Pod": _pod,
    "ReplicaSet": _replica_set,
    "Secret": _secret,
    "Service": _service,
    "StatefulSet": _stateful_set,
}
