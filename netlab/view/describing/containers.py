"""Containers and volumes of a pod or of a pod template, as `kubectl describe` shows them. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from netlab.objects import meta
from netlab.objects.types import Pod
from netlab.view.describing.described import Lines, listed, moment

Fields = Mapping[str, Any]


def containers(
    title: str, of: Sequence[Fields], *, pod: Pod | None = None, indent: str = ""
) -> Lines:
    """The containers `of` a pod (which tells their states) or (None) of a template."""
    yield f"{indent}{title}:{'' if of else ' <none>'}"
    statuses = _statuses(pod) if pod else {}
    for container in of:
        yield f"  {' ' if indent else ''}{container['name']}:"
        for line in _container(container, statuses.get(container["name"]), pod):
            yield f"    {line}"


def _statuses(pod: Pod) -> dict[str, Fields]:
    return {
        entry["name"]: entry
        for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
        for entry in meta.status(pod).get(field) or []
    }


def _container(container: Fields, status: Fields | None, pod: Pod | None) -> Lines:
    yield from _basics(container, status)
    yield from _words("Command", container.get("command") or [])
    yield from _words("Args", container.get("args") or [])
    if status:
        yield from _state("State", status.get("state") or {})
        if "terminated" in (status.get("lastState") or {}):
            yield from _state("Last State", status["lastState"])
        yield f"Ready:\t{bool(status.get('ready'))}"
        yield f"Restart Count:\t{status.get('restartCount', 0)}"
    resources = container.get("resources") or {}
    yield from _amounts("Limits", resources.get("limits") or {})
    yield from _amounts("Requests", resources.get("requests") or {})
    for field in ("liveness", "readiness", "startup"):
        if probe := container.get(f"{field}Probe"):
            yield f"{field.capitalize()}:\t{_probe(probe)}"
    yield from _environment(container, pod)
    yield from _mounts(container)


def _basics(container: Fields, status: Fields | None) -> Lines:
    if status:
        yield f"Container ID:\t{status.get('containerID', '')}"
    yield f"Image:\t{container.get('image', '')}"
    if status:
        yield f"Image ID:\t{status.get('imageID', '')}"
    ports = container.get("ports") or []
    plural = "s" if len(ports) > 1 else ""
    for title, field in (("Port", "containerPort"), ("Host Port", "hostPort")):
        shown = [f"{port.get(field, 0)}/{port.get('protocol', 'TCP')}" for port in ports]
        yield f"{title}{plural}:\t{', '.join(shown) or '<none>'}"


def _words(title: str, words: Sequence[str]) -> Lines:
    if words:
        yield f"{title}:"
        yield from (f"  {line}" for word in words for line in word.split("\n"))


def _state(title: str, state: Fields) -> Lines:
    if "running" in state:
        yield f"{title}:\tRunning"
        yield f"  Started:\t{moment(state['running'].get('startedAt'))}"
    elif "terminated" in state:
        yield f"{title}:\tTerminated"
        yield from _terminated(state["terminated"])
    else:
        yield f"{title}:\tWaiting"
        if reason := (state.get("waiting") or {}).get("reason"):
            yield f"  Reason:\t{reason}"


def _terminated(how: Fields) -> Lines:
    for title in ("Reason", "Message"):
        if how.get(title.lower()):
            yield f"  {title}:\t{how[title.lower()]}"
    yield f"  Exit Code:\t{how.get('exitCode', 0)}"
    if how.get("signal"):
        yield f"  Signal:\t{how['signal']}"
    yield f"  Started:\t{moment(how.get('startedAt'))}"
    yield f"  Finished:\t{moment(how.get('finishedAt'))}"


def _amounts(title: str, amounts: Fields) -> Lines:
    if amounts:
        yield f"{title}:"
        yield from (f"  {name}:\t{amounts[name]}" for name in sorted(amounts))


def _probe(probe: Fields) -> str:
    return (
        f"{_probe_action(probe)} delay={probe.get('initialDelaySeconds', 0)}s"
        f" timeout={probe.get('timeoutSeconds', 1)}s period={probe.get('periodSeconds', 10)}s"
        f" #success={probe.get('successThreshold', 1)} #failure={probe.get('failureThreshold', 3)}"
    )


def _probe_action(probe: Fields) -> str:
    if "exec" in probe:
        return f"exec [{' '.join(probe['exec'].get('command') or [])}]"
    if "httpGet" in probe:
        http = probe["httpGet"]
        scheme = str(http.get("scheme") or "http").lower()
        return f"http-get {scheme}://{http.get('host', '')}:{http['port']}{http.get('path', '')}"
    if "tcpSocket" in probe:
        return f"tcp-socket {probe['tcpSocket'].get('host', '')}:{probe['tcpSocket']['port']}"
    if "grpc" in probe:
        return f"grpc <pod>:{probe['grpc']['port']} {probe['grpc'].get('service') or ''}"
    return "unknown"


# -- environment ---------------------------------------------------------------------------


def _environment(container: Fields, pod: Pod | None) -> Lines:
    sources = container.get("envFrom") or []
    if sources:
        yield "Environment Variables from:"
        yield from (f"  {_source(source)}" for source in sources)
    variables = container.get("env") or []
    yield "Environment:" if variables else "Environment:\t<none>"
    for variable in variables:
        yield from (f"  {line}" for line in _variable(variable, pod))


def _source(source: Fields) -> str:
    kind, field = (
        ("ConfigMap", "configMapRef") if source.get("configMapRef") else ("Secret", "secretRef")
    )
    found = source.get(field) or {}
    prefix = f" with prefix '{source['prefix']}'" if source.get("prefix") else ""
    return f"{found.get('name')}\t{kind}{prefix}\tOptional: {_true(found.get('optional'))}"


def _variable(variable: Fields, pod: Pod | None) -> Lines:
    name, source = variable["name"], variable.get("valueFrom")
    if not source:
        first, *more = str(variable.get("value") or "").split("\n")
        yield f"{name}:\t{first}"
        yield from (f"\t{line}" for line in more)
    elif reference := source.get("fieldRef"):
        path = reference["fieldPath"]
        value = _field(pod, path) if pod else ""
        yield f"{name}:\t{value} ({reference.get('apiVersion') or 'v1'}:{path})"
    elif reference := source.get("resourceFieldRef"):
        yield f"{name}:\t ({reference['resource']})"
    elif reference := source.get("secretKeyRef"):
        where = f"<set to the key '{reference['key']}' in secret '{reference['name']}'>"
        yield f"{name}:\t{where}\tOptional: {_true(reference.get('optional'))}"
    elif reference := source.get("configMapKeyRef"):
        where = f"<set to the key '{reference['key']}' of config map '{reference['name']}'>"
        yield f"{name}:\t{where}  Optional: {_true(reference.get('optional'))}"


def _field(pod: Pod, path: str) -> str:
    """The value at a downward API path such as `status.podIP` or `metadata.labels['app']`."""
    place, _, key = path.removesuffix("']").partition("['")
    value: Any = pod
    for part in [*place.split("."), *([key] if key else [])]:
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _true(value: object) -> str:
    return json.dumps(bool(value))


# -- volumes -------------------------------------------------------------------------------


def _mounts(container: Fields) -> Lines:
    mounts = container.get("volumeMounts") or []
    yield "Mounts:" if mounts else "Mounts:\t<none>"
    for mount in sorted(mounts, key=lambda mount: str(mount["mountPath"])):
        flags = ["ro" if mount.get("readOnly") else "rw"]
        flags += [f'path="{mount["subPath"]}"'] if mount.get("subPath") else []
        yield f"  {mount['mountPath']} from {mount['name']} ({','.join(flags)})"


def volumes(of: Sequence[Fields], indent: str = "") -> Lines:
    """The volumes of a pod or a template, each with what fills it."""
    yield f"{indent}Volumes:" if of else f"{indent}Volumes:\t<none>"
    for volume in of:
        yield f"  {' ' if indent else ''}{volume['name']}:"
        yield from volume_source(volume, "    ")


def volume_source(volume: Fields, indent: str) -> Lines:
    """What fills a volume, of a pod or a PersistentVolume."""
    return (f"{indent}{line}" for line in _volume(volume))


def _volume(volume: Fields) -> Lines:
    for name, source in _SOURCES.items():
        if (found := volume.get(name)) is not None:
            yield f"Type:\t{source.type}"
            yield from (_line(title, found, field) for title, field in source.fields.items())
            yield from source.more(found)
            return
    yield "<unknown>"


def _line(title: str, found: Fields, field: str) -> str:
    if field in ("optional", "readOnly"):
        return f"{title}:\t{_true(found.get(field))}"
    return f"{title}:\t{found.get(field, _UNSET.get(field, ''))}"


_UNSET = {"sizeLimit": "<unset>", "partition": 0}
"""What stands for a field that is not there, where it is not nothing."""


def _storage_class(found: Fields) -> Lines:
    spec = (found.get("volumeClaimTemplate") or {}).get("spec") or {}
    yield f"StorageClass:\t{spec.get('storageClassName', '')}"


def _csi(found: Fields) -> Lines:
    if "volumeHandle" in found:
        yield f"VolumeHandle:\t{found['volumeHandle']}"
    yield _line("ReadOnly", found, "readOnly")
    attributes = found.get("volumeAttributes") or {}
    said = [f"    {name}={attributes[name]}" for name in sorted(attributes)]
    yield from listed("VolumeAttributes", said)


def _items(found: Fields) -> Lines:
    yield "Items:"
    yield from map(_item, found.get("items") or ())


def _item(item: Fields) -> str:
    field, resource = item.get("fieldRef") or {}, item.get("resourceFieldRef") or {}
    return f"  {field.get('fieldPath') or resource.get('resource')} -> {item.get('path')}"


def _all_projected(found: Fields) -> Lines:
    for source in found.get("sources") or ():
        yield from _projected(source)


def _projected(source: Fields) -> Lines:
    for kind, title in (("secret", "SecretName"), ("configMap", "ConfigMapName")):
        if (found := source.get(kind)) is not None:
            yield f"{title}:\t{found.get('name', '')}"
            yield f"Optional:\t{_true(found.get('optional'))}"
    if source.get("downwardAPI") is not None:
        yield "DownwardAPI:\ttrue"
    if (found := source.get("serviceAccountToken")) is not None:
        yield f"TokenExpirationSeconds:\t{found.get('expirationSeconds', 3600)}"


class _Source(NamedTuple):
    """What fills a volume: its type in words, its fields by their titles, and what else is said."""

    type: str
    fields: Mapping[str, str] = {}
    more: Callable[[Fields], Lines] = lambda _: iter(())


_DISK = {"FSType": "fsType", "Partition": "partition", "ReadOnly": "readOnly"}

_SOURCES: Mapping[str, _Source] = {
    "emptyDir": _Source(
        "EmptyDir (a temporary directory that shares a pod's lifetime)",
        {"Medium": "medium", "SizeLimit": "sizeLimit"},
    ),
    "hostPath": _Source(
        "HostPath (bare host directory volume)", {"Path": "path", "HostPathType": "type"}
    ),
    "secret": _Source(
        "Secret (a volume populated by a Secret)",
        {"SecretName": "secretName", "Optional": "optional"},
    ),
    "configMap": _Source(
        "ConfigMap (a volume populated by a ConfigMap)", {"Name": "name", "Optional": "optional"}
    ),
    "projected": _Source(
        "Projected (a volume that contains injected data from multiple sources)",
        more=_all_projected,
    ),
    "persistentVolumeClaim": _Source(
        "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)",
        {"ClaimName": "claimName", "ReadOnly": "readOnly"},
    ),
    "ephemeral": _Source(
        "EphemeralVolume (an inline specification for a volume that gets created and deleted with "
        "the pod)",
        more=_storage_class,
    ),
    "downwardAPI": _Source(
        "DownwardAPI (a volume populated by information about the pod)", more=_items
    ),
    "nfs": _Source(
        "NFS (an NFS mount that lasts the lifetime of a pod)",
        {"Server": "server", "Path": "path", "ReadOnly": "readOnly"},
    ),
    "csi": _Source(
        "CSI (a Container Storage Interface (CSI) volume source)",
        {"Driver": "driver", "FSType": "fsType"},
        _csi,
    ),
    "awsElasticBlockStore": _Source(
        "AWSElasticBlockStore (a Persistent Disk resource in AWS)",
        {"VolumeID": "volumeID", **_DISK},
    ),
    "gcePersistentDisk": _Source(
        "GCEPersistentDisk (a Persistent Disk resource in Google Compute Engine)",
        {"PDName": "pdName", **_DISK},
    ),
    "local": _Source(
        "LocalVolume (a persistent volume backed by local storage on a node)", {"Path": "path"}
    ),
}
