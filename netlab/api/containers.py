"""Which container of a pod a request means, whether it can be reached at all, and through whom."""

from __future__ import annotations

from netlab.api.call import Call
from netlab.client.kubelets import ContainerRef, PodRef, PodStreams
from netlab.errors import BadRequest
from netlab.objects import meta
from netlab.objects.meta import Object, name, spec, status
from netlab.objects.podphase import is_pod_phase_terminal

_DEFAULT = "kubectl.kubernetes.io/default-container"


def find(call: Call) -> tuple[Object, ContainerRef]:
    """(the pod, its container); refuses as kube-apiserver does when one is in doubt."""
    pod = call.registry.get("Pod", call.target.namespace or "", call.target.name)
    container = _named(pod, call.query("container"))
    if not spec(pod).get("nodeName"):
        raise BadRequest(f"pod {name(pod)} does not have a host assigned")
    return pod, ContainerRef(ref(pod), container)


def ref(pod: Object) -> PodRef:
    """The pod, as its kubelet is told of it."""
    return PodRef(meta.namespace(pod), name(pod), meta.uid(pod))


def kubelet_of(call: Call, pod: Object) -> PodStreams:
    """Who runs the pod."""
    return call.backend.kubelets.of(spec(pod)["nodeName"])


def _named(pod: Object, wanted: str) -> str:
    main = [str(c["name"]) for c in spec(pod).get("containers") or []]
    others = ("initContainers", "ephemeralContainers")
    every = main + [str(c["name"]) for field in others for c in spec(pod).get(field) or []]
    if not wanted and len(main) == 1:
        return main[0]
    wanted = wanted or meta.annotations(pod).get(_DEFAULT, "")
    if not wanted:
        raise BadRequest(
            f"a container name must be specified for pod {name(pod)}, "
            f"choose one of: [{' '.join(every)}]",
            hint=f"such as -c {every[0]}",
        )
    if wanted not in every:
        raise BadRequest(
            f"container {wanted} is not valid for pod {name(pod)}",
            hint=f"there are: {', '.join(every)}",
        )
    return wanted


def refuse_completed(pod: Object, verb: str) -> None:
    """A pod that is over runs nothing that one could exec into."""
    phase = status(pod).get("phase")
    if is_pod_phase_terminal(phase):
        raise BadRequest(f"cannot {verb} a container in a completed pod; current phase is {phase}")


def refuse_waiting(pod: Object, container: str) -> None:
    """A container that has not started has no output yet."""
    for field in ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"):
        for entry in status(pod).get(field) or []:
            waiting = (entry.get("state") or {}).get("waiting")
            if entry.get("name") == container and waiting and not entry.get("restartCount"):
                reason = waiting.get("reason") or "ContainerCreating"
                raise BadRequest(
                    f'container "{container}" in pod "{name(pod)}" is waiting to start: {reason}'
                )
