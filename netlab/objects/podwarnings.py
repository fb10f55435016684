"""What a pod asks for and a lab does not give: a line for each, saying what it has instead.

The pod starts all the same. The form is that of Pod Security Admission: the control, then who
broke it and by which field.
https://kubernetes.io/docs/concepts/security/pod-security-standards/
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from netlab.objects import capabilities, elsewhere, meta
from netlab.objects.kinds import BY_KIND, pod_of
from netlab.objects.meta import Object

Mapping = dict[str, Any]

_CONTAINER_FIELDS = ("initContainers", "containers", "ephemeralContainers")


def dropped(obj: Object) -> list[str]:
    """A line for each volume of what was sent that is not stored, see `strategies.pods`."""
    kind = BY_KIND.get(str(obj.get("kind")))
    path = ".".join((*((kind and kind.pod_path) or ()), "spec.volumes"))
    try:
        volumes = list(enumerate(meta.spec(pod_of(obj)).get("volumes") or []))
    except (AttributeError, TypeError):  # of a patch that makes no sense, others say so
        return []
    return [
        f"{path}[{index}].image: left out, with its mounts: the feature gate ImageVolume is off"
        for index, volume in volumes
        if isinstance(volume, dict) and volume.get("image") is not None
    ]


def warnings(obj: Object) -> list[str]:
    """The lines about a Pod, or about the template of what makes pods; none about other kinds."""
    kind = BY_KIND.get(str(obj.get("kind")))
    if kind is None or kind.pod_path is None:
        return []
    spec, path = meta.spec(pod_of(obj)), ".".join((*kind.pod_path, "spec.volumes"))
    return [*_of_pod(spec), *elsewhere.of_pod(spec.get("volumes") or [], path)]


def _of_pod(spec: Mapping) -> Iterator[str]:
    containers = [one for field in _CONTAINER_FIELDS for one in spec.get(field) or []]
    yield from _host_namespaces(spec)
    yield from _privileges(containers)
    yield from _capabilities(containers)
    yield from _unmasked(spec, containers)
    yield from _sysctls(_context(spec).get("sysctls") or [])
    yield from _volumes(spec.get("volumes") or [])
    yield from _probes(containers)
    yield from _further(spec, containers)


def _host_namespaces(spec: Mapping) -> Iterator[str]:
    if spec.get("hostPID"):
        yield "host namespaces (hostPID=true): each container sees its own processes alone"
    if spec.get("hostIPC"):
        yield "host namespaces (hostIPC=true): the pod shares no memory with the machine"


def _privileges(containers: Sequence[Mapping]) -> Iterator[str]:
    privileged = _those(containers, lambda context: context.get("privileged"))
    if privileged:
        yield (
            f"privileged ({_set(privileged)} securityContext.privileged=true): "
            "it gives the capabilities that stay within a pod, and nothing of the machine"
        )
    escalating = _those(containers, lambda context: context.get("allowPrivilegeEscalation"))
    if escalating:
        yield (
            "allowPrivilegeEscalation "
            f"({_set(escalating)} securityContext.allowPrivilegeEscalation=true): "
            "no process of a pod can gain privileges"
        )


def _capabilities(containers: Sequence[Mapping]) -> Iterator[str]:
    beyond = {str(one.get("name")): _beyond(one) for one in containers}
    wanting = [name for name, added in beyond.items() if added]
    if wanting:
        added = dict.fromkeys(one for each in beyond.values() for one in each)
        yield (
            f"capabilities ({_who(wanting)} {_verb(wanting, 'add')} {_quoted(added)} in "
            "securityContext.capabilities.add): a pod has those alone that stay within it"
        )


def _beyond(container: Mapping) -> list[str]:
    """The capabilities that a container adds and will not have."""
    added = (_context(container).get("capabilities") or {}).get("add") or []
    return [name for name in added if capabilities.plain(name) not in capabilities.GRANTABLE]


def _unmasked(spec: Mapping, containers: Sequence[Mapping]) -> Iterator[str]:
    unmasked = _those(containers, lambda context: context.get("procMount") == "Unmasked")
    if unmasked:
        yield (
            f'procMount ({_set(unmasked)} securityContext.procMount="Unmasked"): '
            "what of /proc is the machine's stays hidden or read-only"
        )
    unconfined = _those(containers, _is_unconfined)
    pod = _is_unconfined(_context(spec))
    if pod or unconfined:
        yield (
            f"seccompProfile ({_set(unconfined, pod=pod)} "
            'securityContext.seccompProfile.type="Unconfined"): '
            "what would reach the machine stays forbidden"
        )


def _is_unconfined(context: Mapping) -> bool:
    return (context.get("seccompProfile") or {}).get("type") == "Unconfined"


def _sysctls(sysctls: Sequence[Mapping]) -> Iterator[str]:
    if sysctls:
        named = _quoted(str(one.get("name")) for one in sysctls)
        yield f"sysctls (pod sets {named} in securityContext.sysctls): the lab's own stay"


def _volumes(volumes: Sequence[Mapping]) -> Iterator[str]:
    of_hosts = [str(one.get("name")) for one in volumes if one.get("hostPath") is not None]
    if of_hosts:
        yield (
            f"hostPath volumes ({_named('volume', of_hosts)}): a directory on the lab's own empty "
            "disk of the node, with nothing of the machine"
        )


def _probes(containers: Sequence[Mapping]) -> Iterator[str]:
    asking = [
        str(one.get("name"))
        for one in containers
        if any((one.get(field) or {}).get("grpc") for field in _PROBES)
    ]
    if asking:
        yield (
            f"grpc probes ({_who(asking)} {_verb(asking, 'ask')} by grpc): nobody asks, so a "
            "readiness or startup probe never succeeds, and a liveness probe never fails"
        )


def _further(spec: Mapping, containers: Sequence[Mapping]) -> Iterator[str]:
    for field, instead in _OF_PODS.items():
        if spec.get(field) not in _USUAL:
            yield f"{field} (pod sets {field}): {instead}"
    found = [str(one.get("name")) for one in containers if one.get("volumeDevices")]
    if found:
        yield f"volumeDevices ({_set(found)} volumeDevices): there are no block devices"
    local = _those(containers, _has_profile_of_node)
    pod = _has_profile_of_node(_context(spec))
    if pod or local:
        yield (
            f"appArmorProfile ({_set(local, pod=pod)} "
            'securityContext.appArmorProfile.type="Localhost"): no profile is looked for'
        )


def _has_profile_of_node(context: Mapping) -> bool:
    return (context.get("appArmorProfile") or {}).get("type") == "Localhost"


_USUAL = (None, False, "")
_OF_PODS = {
    "runtimeClassName": "no class is looked for; every container runs in the same way",
}
_PROBES = ("readinessProbe", "livenessProbe", "startupProbe")


def _those(containers: Sequence[Mapping], test: Callable[[Mapping], Any]) -> list[str]:
    """The names of the containers whose securityContext passes."""
    return [str(one.get("name")) for one in containers if test(_context(one))]


def _context(holder: Mapping) -> Mapping:
    return holder.get("securityContext") or {}


def _set(containers: Sequence[str], *, pod: bool = False) -> str:
    """`container "a" sets`, `pod and containers "a", "b" set`."""
    parties = [*(["pod"] if pod else []), *containers]
    return f"{_who(containers, pod=pod)} {_verb(parties, 'set')}"


def _who(containers: Sequence[str], *, pod: bool = False) -> str:
    named = [_named("container", containers)] if containers else []
    return " and ".join([*(["pod"] if pod else []), *named])


def _verb(parties: Sequence[str], verb: str) -> str:
    return verb if len(parties) > 1 else f"{verb}s"


def _named(what: str, names: Sequence[str]) -> str:
    return f"{what}{'s' if len(names) > 1 else ''} {_quoted(names)}"


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
