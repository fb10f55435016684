"""One pod on its node, from the first address to the last process."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netlab.agents.podstatus import ContainerState
from netlab.objects import meta
from netlab.objects.meta import Object


@dataclass
class PodRun:
    """What an agent knows of a pod it runs.

    `netns` is the bind mount of its network namespace, `directory` holds its files, `pod` is
    the object as last seen. `inits` are the init containers, in the order they run.
    """

    pod: Object
    node: str
    ips: tuple[str, ...]
    netns: Path
    directory: Path
    containers: dict[str, ContainerState] = field(default_factory=dict)
    inits: dict[str, ContainerState] = field(default_factory=dict)
    stopping: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return meta.key(self.pod)

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return meta.uid(self.pod)

    def state(self, container: str) -> ContainerState:
        """The state of a container, init or not; `KeyError` if the pod has none of that name."""
        return self.inits[container] if container in self.inits else self.containers[container]

    def spec_of(self, container: str) -> dict[str, Any]:
        """The container's entry in the pod's spec."""
        part = "initContainers" if container in self.inits else "containers"
        return next(entry for entry in meta.spec(self.pod)[part] if entry["name"] == container)

    def is_sidecar(self, container: str) -> bool:
        """True for an init container that is to go on running beside the others."""
        return container in self.inits and self.spec_of(container).get("restartPolicy") == "Always"


def new_run(pod: Object, node: str, ips: tuple[str, ...], netns: Path, directory: Path) -> PodRun:
    """A pod about to start, or (after a controller's end) to be taken over: every container waits.

    Restart counts go on from what the pod's status says.
    """
    return PodRun(
        pod,
        node,
        ips,
        netns,
        directory,
        containers=_states(pod, "containers", "containerStatuses"),
        inits=_states(pod, "initContainers", "initContainerStatuses"),
    )


def hostname(pod: Object) -> str:
    """`spec.hostname`, or the pod's name cut to what a host name may be."""
    return str(meta.spec(pod).get("hostname") or meta.name(pod)[:63].rstrip("-."))


def container_id(run: PodRun, container: str) -> str:
    """A name for this start of a container: 64 hexadecimal digits, as runtimes give them."""
    restarts = run.state(container).restarts
    return hashlib.sha256(f"{run.uid}/{container}/{restarts}".encode()).hexdigest()


def _states(pod: Object, part: str, statuses: str) -> dict[str, ContainerState]:
    known = {entry["name"]: entry for entry in meta.status(pod).get(statuses) or []}
    return {
        spec["name"]: ContainerState(
            spec["name"],
            str(spec.get("image") or ""),
            restarts=int(known.get(spec["name"], {}).get("restartCount") or 0),
            waiting="ContainerCreating" if part == "containers" else "PodInitializing",
        )
        for spec in meta.spec(pod).get(part) or []
    }
