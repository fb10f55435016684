"""How Pods are stored; what a template leaves out is filled in here as well."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from netlab.objects import elsewhere, fields, meta, qos, validate_ephemeral, validate_pod
from netlab.objects.kinds.pods import POD
from netlab.objects.meta import Object
from netlab.objects.podphase import is_pod_phase_terminal
from netlab.objects.problems import Path, forbidden
from netlab.objects.strategies.strategy import Mapping, Problems, Strategy, fill, spec_of

_DEFAULT_GRACE = 30


# What an API server fills in.


def _pod(obj: Object) -> None:
    spec = spec_of(obj)
    default_pod_spec(spec)
    for container in spec.get("containers") or []:
        resources = container["resources"]
        if resources.get("limits"):  # what is limited but not requested is requested as limited
            resources["requests"] = {**resources["limits"], **(resources.get("requests") or {})}


def default_pod_spec(spec: Mapping) -> None:
    """Fill what a Pod's or a template's spec leaves out, and leave out what no gate lets in."""
    _drop_image_volumes(spec)
    fill(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = _DEFAULT_GRACE
    if spec.get("enableServiceLinks") is None:
        spec["enableServiceLinks"] = True
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or []:
            _container(container, bool(spec.get("hostNetwork")))
    for volume in spec.get("volumes") or []:
        _volume(volume)


def _drop_image_volumes(spec: Mapping) -> None:
    """The gate ImageVolume is off by default in 1.33: such volumes go, and what mounts them."""
    volumes = spec.get("volumes") or []
    names = {volume.get("name") for volume in volumes if volume.get("image") is not None}
    if not names:
        return
    _keep(spec, "volumes", names)
    for field in ("initContainers", "containers", "ephemeralContainers"):
        for container in spec.get(field) or []:
            _keep(container, "volumeMounts", names)


def _keep(holder: Mapping, field: str, others: Collection[Any]) -> None:
    """Keep those of a list that have none of these names; an empty list is none."""
    left = [entry for entry in holder.pop(field, None) or [] if entry.get("name") not in others]
    if left:
        holder[field] = left


def _container(container: Mapping, host_network: bool) -> None:
    fill(
        container,
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        imagePullPolicy=_pull_policy(container.get("image") or ""),
        resources={},
    )
    for port in container.get("ports") or []:
        fill(port, protocol="TCP")
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
            fill(reference, apiVersion="v1")


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
        fill(action["httpGet"], path="/", scheme="HTTP")


_MODE = 0o644
# Volume sources with a defaultMode of their own.
_WITH_MODE = ("configMap", "secret", "projected", "downwardAPI")


def _volume(volume: Mapping) -> None:
    if all(name == "name" for name in volume):
        volume["emptyDir"] = {}
    for name in _WITH_MODE:
        if volume.get(name) is not None and volume[name].get("defaultMode") is None:
            volume[name]["defaultMode"] = _MODE
    if volume.get("ephemeral"):
        template = volume["ephemeral"].get("volumeClaimTemplate") or {}
        if template.get("spec"):
            fill(template["spec"], volumeMode="Filesystem")
            template["spec"].setdefault("resources", {})
    if volume.get("hostPath"):
        volume["hostPath"].setdefault("type", "")
    elsewhere.complete(volume)
    for source in (volume.get("projected") or {}).get("sources") or []:
        token = source.get("serviceAccountToken")
        if token and not token.get("expirationSeconds"):
            token["expirationSeconds"] = 3600


# What it makes of a new one, and what it lets change.


def _prepare(obj: Object) -> None:
    obj["status"] = {"phase": "Pending", "qosClass": qos.qos_class(meta.spec(obj))}
    if meta.spec(obj).get("schedulingGates"):
        obj["status"]["conditions"] = [dict(_GATED)]


_GATED = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "SchedulingGated",
    "message": "Scheduling is blocked due to non-empty scheduling gates",
    "lastProbeTime": None,
    "lastTransitionTime": None,
}
"""What an API server says of a pod with gates; whoever takes them away has it scheduled."""


def _settle(new: Object, old: Object | None) -> None:
    """What admission gave it stays where an update leaves it out."""
    spec = meta.spec(old) if old is not None else {}
    for field in ("priority", "preemptionPolicy"):
        if spec.get(field) is not None and meta.spec(new).get(field) is None:
            new["spec"][field] = spec[field]


def _grace(obj: Object) -> int | None:
    """A pod lingers that runs on a node."""
    spec, phase = meta.spec(obj), meta.status(obj).get("phase")
    if not spec.get("nodeName") or is_pod_phase_terminal(phase):
        return None
    return int(spec.get("terminationGracePeriodSeconds", _DEFAULT_GRACE))


_POD_RULE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` "
    "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` "
    "(allow it to be set to 1 if it was previously negative)"
)


def _update(new: Object, old: Object) -> Problems:
    before, after = _mutable_apart(meta.spec(old)), _mutable_apart(meta.spec(new))
    if not before.get("nodeName"):  # the binding is an update here
        before.pop("nodeName", None)
        after.pop("nodeName", None)
    if before != after:
        yield forbidden(
            ("spec",), _POD_RULE, f"changed: {', '.join(_changed(before, after))}; delete the pod "
            "and create it anew"
        )  # fmt: skip
        return
    yield from validate_ephemeral.added(
        ("spec", "ephemeralContainers"), meta.spec(new), meta.spec(old)
    )
    gates = meta.spec(old).get("schedulingGates") or []
    for gate in meta.spec(new).get("schedulingGates") or []:
        if gate not in gates:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.get('name')}'"
            yield forbidden(("spec", "schedulingGates"), text)
    kept = meta.spec(new).get("tolerations") or []
    if any(one not in kept for one in meta.spec(old).get("tolerations") or []):
        yield forbidden(("spec", "tolerations"), "existing toleration can not be modified except "
                        "its tolerationSeconds")  # fmt: skip


def _direct(new: Object, old: Object | None) -> Problems:
    wanted = meta.spec(new).get("ephemeralContainers") or []
    if old is None and wanted:
        yield forbidden(("spec", "ephemeralContainers"), "cannot be set on create")
    elif old is not None and wanted != (meta.spec(old).get("ephemeralContainers") or []):
        yield forbidden(("spec",), _POD_RULE, "kubectl debug adds ephemeral containers")


def _mutable_apart(spec: Mapping) -> Mapping:
    """The spec without what an update may change."""
    left = dict(spec)
    for field in ("activeDeadlineSeconds", "tolerations", "ephemeralContainers", "schedulingGates"):
        left.pop(field, None)
    if (left.get("terminationGracePeriodSeconds") or 0) < 0:
        left["terminationGracePeriodSeconds"] = 1
    for field in ("containers", "initContainers"):
        if left.get(field):
            left[field] = [{**container, "image": ""} for container in left[field]]
    return left


def _changed(before: Mapping, after: Mapping) -> list[str]:
    return sorted(
        f"spec.{name}" for name in {*before, *after} if before.get(name) != after.get(name)
    )


def _status(path: Path, found: Mapping) -> Problems:
    """Addresses and containers, which a kubelet that restarts goes on with."""
    for field in ("hostIP", "podIP"):
        if found.get(field):
            yield from fields.address((*path, field), found[field])
        for index, entry in enumerate(found.get(f"{field}s") or []):
            yield from fields.address((*path, f"{field}s", index), entry.get("ip") or "")
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for index, entry in enumerate(found.get(field) or []):
            yield from fields.given((*path, field, index), entry, "name")


STRATEGIES = {
    POD: Strategy(
        default=_pod,
        prepare_create=_prepare,
        settle=_settle,
        grace=_grace,
        validate=validate_pod.pod,
        validate_update=_update,
        validate_direct=_direct,
        validate_status=_status,
    ),
}
