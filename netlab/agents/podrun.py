"""One pod on its node, from the first address to the last process."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from netlab.agents.podstatus import ContainerState
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.podcontainers import every_container
from netlab.objects.types import Container, ContainerStatus, Pod, PodStatus
from netlab.workload.behaviour import Behaviour, behaviour
from netlab.workload.sandbox import SandboxProcess

LONGEST_HOSTNAME = 64
"""Characters: HOST_NAME_MAX of Linux."""


def _nobody(run: PodRun) -> None:
    """Told of a change as long as nobody else wants to be."""
    del run


class PodRun(Struct):
    """What a kubelet knows of a pod it runs.

    `netns` is the bind mount of its network namespace, `directory` holds its files, `pod` is
    the object as last seen. `inits` are the init containers, in the order they run, `ephemeral`
    those that were added while it ran. `processes`
    has the containers that are processes, by name; `entered` are the built-in servers that are such
    since somebody went into their containers. `pod_cidrs`, `host_ips` and `allocatable` are the
    node's, `cluster_domain` is what all the cluster's names end with. `known` is what its
    containers do, each beside the entry that it was found by. `renewed` says that the namespace was
    made just now, so nothing that ran in a former one is of use, `reused` that other pods had its
    addresses before. `unseen` says that it ends with nobody there to tell of it.
    `failure` is why the whole pod counts as failed: reason and message.
    """

    pod: Pod
    node: str
    ips: tuple[str, ...]
    netns: Path
    directory: Path
    containers: dict[str, ContainerState] = field(default_factory=dict)
    inits: dict[str, ContainerState] = field(default_factory=dict)
    ephemeral: dict[str, ContainerState] = field(default_factory=dict)
    processes: dict[str, SandboxProcess] = field(default_factory=dict)
    pod_cidrs: tuple[str, ...] = ()
    host_ips: tuple[str, ...] = ()
    allocatable: Mapping[str, str] = field(default_factory=dict)
    cluster_domain: str = "cluster.local"
    entered: set[str] = field(default_factory=set)
    known: dict[str, tuple[Container, Behaviour]] = field(default_factory=dict)
    renewed: bool = True
    reused: bool = False
    stopping: bool = False
    unseen: bool = False
    failure: tuple[str, str] | None = None
    on_change: Callable[[PodRun], None] = _nobody

    def changed(self) -> None:
        """Say that a container's state changed: the pod's status is to be written."""
        self.on_change(self)

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return meta.key(self.pod)

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return meta.uid(self.pod)

    @property
    def host_network(self) -> bool:
        """True for a pod without a namespace of its own: it lives in its node's."""
        return bool(meta.spec(self.pod).get("hostNetwork"))

    @property
    def shares_processes(self) -> bool:
        """True where all containers see each other's processes."""
        return bool(meta.spec(self.pod).get("shareProcessNamespace"))

    @property
    def domain(self) -> str:
        """What its host name is in, by `spec.subdomain`; "" if in none."""
        subdomain = meta.spec(self.pod).get("subdomain")
        if not subdomain or self.host_network:
            return ""
        return f"{subdomain}.{meta.namespace(self.pod)}.svc.{self.cluster_domain}"

    @property
    def hostname(self) -> str:
        """What `hostname` says in it: with `setHostnameAsFQDN` the domain belongs to it."""
        name, domain = hostname(self.pod), self.domain
        whole = domain and meta.spec(self.pod).get("setHostnameAsFQDN")
        return f"{name}.{domain}" if whole else name

    @property
    def names(self) -> tuple[str, ...]:
        """All its containers, init containers first."""
        return (*self.inits, *self.containers, *self.ephemeral)

    @property
    def states(self) -> tuple[ContainerState, ...]:
        """The states of its containers, without init containers."""
        return tuple(self.containers.values())

    def state(self, container: str) -> ContainerState:
        """The state of any container; `KeyError` if the pod has none of that name."""
        return {**self.inits, **self.ephemeral, **self.containers}[container]

    def spec_of(self, container: str) -> Container:
        """The container's entry in the pod's spec."""
        return next(entry for entry in every_container(self.pod) if entry["name"] == container)

    def behaviour_of(self, container: str) -> Behaviour:
        """What the container does, as far as its environment does not matter."""
        spec, known = self.spec_of(container), self.known.get(container)
        if known is None or known[0] is not spec:
            known = self.known[container] = (spec, behaviour(spec))
        return known[1]

    def is_ordinary_init(self, container: str) -> bool:
        """Whether a container is one that has to end before those after it start."""
        return container in self.inits and not self.is_sidecar(container)

    def is_sidecar(self, container: str) -> bool:
        """True for an init container that is to go on running beside the others."""
        return container in self.inits and self.spec_of(container).get("restartPolicy") == "Always"


def new_run(pod: Pod, node: str, ips: tuple[str, ...], netns: Path, directory: Path) -> PodRun:
    """A pod about to start, or (after a controller's end) to be taken over: every container waits.

    Restart counts go on from what the pod's status says.
    """
    spec, status = meta.spec(pod), meta.status(pod)
    return PodRun(
        pod,
        node,
        ips,
        netns,
        directory,
        containers=_states(pod, spec["containers"], status.get("containerStatuses")),
        inits=_states(pod, spec.get("initContainers"), status.get("initContainerStatuses")),
        ephemeral=ephemeral_states(pod),
    )


def ephemeral_states(pod: Pod) -> dict[str, ContainerState]:
    """The ephemeral containers that a pod has by now, as if none of them ran yet."""
    return {
        each["name"]: ContainerState(each["name"], each.get("image") or "")
        for each in meta.spec(pod).get("ephemeralContainers") or ()
    }


def resume(run: PodRun) -> None:
    """The pod was left running: its containers are as its status says, until they are seen.

    What is ready stays so: neither traffic nor a rollout is to notice that a kubelet was replaced.
    """
    for name in run.names:
        run.state(name).resume(known_status(run, name))


def lose(run: PodRun, now: str) -> None:
    """What ran of the pod went with its namespace, or its node, and nobody saw how it ended.

    In a container runtime's words. What may not start again is over.
    """
    for name in run.names:
        state, known = run.state(name), known_status(run, name)
        state.last = (known.get("lastState") or {}).get("terminated")
        has_run = known.get("state") or {}
        if running := has_run.get("running"):
            container_id = (known.get("containerID") or "").removeprefix("netlab://")
            state.begin(running.get("startedAt") or "", container_id)
            state.end(now, 255)
            state.reason = "Unknown"
        elif has_run.get("terminated"):
            state.resume(known)
        if name in run.ephemeral:
            continue
        if state.exit_code is not None and meta.spec(run.pod).get("restartPolicy") != "Never":
            state.wait("ContainerCreating", "")
            state.restarts += 1


def conclude(run: PodRun) -> None:
    """The pod is over for good: what waits does so no more, but for what was not its turn yet.

    Source: pkg/kubelet/status/status_manager.go (TerminatePod, hasPodInitialized).
    """
    inits, states = tuple(run.inits.values()), run.states
    begun = [number for number, init in enumerate(inits) if init.started_at or init.last]
    initialized = not inits or inits[-1].exit_code == 0 or any(one.started_at for one in states)
    reached = len(inits) if initialized else max(begun, default=-1) + 1
    for state in (*inits[:reached], *(states if initialized else ())):
        if state.waiting:
            state.vanish()


def is_over(run: PodRun) -> bool:
    """Whether a pod that is about to start has ended, and may not start again."""
    return any(state.exit_code is not None and not state.waiting for state in run.states)


def hostname(pod: Pod) -> str:
    """`spec.hostname`, or the name cut to what a host name may be; on hostNetwork the node's."""
    spec = meta.spec(pod)
    if spec.get("hostNetwork"):
        return spec.get("nodeName") or ""
    return spec.get("hostname") or meta.name(pod)[:63].rstrip("-.")


def container_id(run: PodRun, container: str) -> str:
    """A name for this start of a container: 64 hexadecimal digits, as runtimes give them."""
    restarts = run.state(container).restarts
    return hashlib.sha256(f"{run.uid}/{container}/{restarts}".encode()).hexdigest()


def container_log(run: PodRun, container: str) -> Path:
    """What the present life of a container has said, of one that has no process to say it."""
    attempt = run.state(container).restarts
    return run.directory / "containers" / container / f"{attempt}.log"


def known_status(run: PodRun, container: str) -> ContainerStatus:
    """What the API says of a container: for one taken over, how the former agent left it."""
    status = meta.status(run.pod)
    unknown: ContainerStatus = {
        "name": container,
        "image": "",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
    }
    entries = [
        *(status.get("containerStatuses") or ()),
        *(status.get("initContainerStatuses") or ()),
        *(status.get("ephemeralContainerStatuses") or ()),
    ]
    return next((entry for entry in entries if entry["name"] == container), unknown)


def refuse_long_name(run: PodRun) -> None:
    """`NetlabError` if the kernel takes no host name as long as the pod's, in the kubelet's words.

    Source: pkg/kubelet/util, GetNodenameForKernel."""
    name = run.hostname
    if len(name) > LONGEST_HOSTNAME:
        raise NetlabError(
            f"failed to construct FQDN from pod hostname and cluster domain, FQDN {name} is too "
            f"long ({LONGEST_HOSTNAME} characters is the max, {len(name)} characters requested)"
        )


def with_addresses(run: PodRun) -> Pod:
    """The pod as its own environment sees it: its addresses are known before its status says so."""
    known = meta.status(run.pod)
    hosts = run.host_ips or (known.get("hostIP") or "",)
    status: PodStatus = {
        **known,
        "hostIP": hosts[0],
        "hostIPs": [{"ip": address} for address in hosts],
        "podIP": run.ips[0],
        "podIPs": [{"ip": address} for address in run.ips],
    }
    return {**run.pod, "status": status}


def _states(
    pod: Pod, containers: Sequence[Container] | None, statuses: Sequence[ContainerStatus] | None
) -> dict[str, ContainerState]:
    restarts = {entry["name"]: entry["restartCount"] for entry in statuses or ()}
    waiting = "PodInitializing" if meta.spec(pod).get("initContainers") else "ContainerCreating"
    return {
        spec["name"]: ContainerState(
            spec["name"],
            spec.get("image") or "",
            restarts=restarts.get(spec["name"], 0),
            waiting=waiting,
        )
        for spec in containers or ()
    }
