"""One pod on its node, from the first address to the last process."""

from __future__ import annotations

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
    the object as last seen.
    """

    pod: Object
    node: str
    ips: tuple[str, ...]
    netns: Path
    directory: Path
    containers: dict[str, ContainerState] = field(default_factory=dict)
    stopping: bool = False

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return meta.key(self.pod)

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return meta.uid(self.pod)

    def container_specs(self) -> list[dict[str, Any]]:
        """`spec.containers`."""
        return list(meta.spec(self.pod).get("containers") or [])

    def spec_of(self, container: str) -> dict[str, Any]:
        """The entry of `spec.containers` of that name."""
        return next(spec for spec in self.container_specs() if spec["name"] == container)


def new_run(pod: Object, node: str, ips: tuple[str, ...], netns: Path, directory: Path) -> PodRun:
    """A pod about to start, or (after a controller's end) to be taken over: every container waits.

    Restart counts go on from what the pod's status says.
    """
    run = PodRun(pod, node, ips, netns, directory)
    known = {entry["name"]: entry for entry in meta.status(pod).get("containerStatuses") or []}
    for spec in run.container_specs():
        name = spec["name"]
        restarts = int(known.get(name, {}).get("restartCount") or 0)
        run.containers[name] = ContainerState(name, str(spec.get("image") or ""), restarts=restarts)
    return run
