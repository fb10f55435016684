"""Pods' namespaces and links, as the pod agent asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from netlab.agents.podrun import PodRun
from netlab.kernel import paths
from netlab.network import apply, plan
from netlab.network.model import PodLink
from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.meta import Object


class PodWiring:
    """Plans each pod's link and has it made; see `network.apply`."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        self._lab = lab
        self._directory = directory

    def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Make what is missing; returns what failed, by the pod's uid."""
        for run in runs:
            run.directory.mkdir(parents=True, exist_ok=True)
        return apply.attach_pods([self._link(run) for run in runs], self._directory)

    def detach(self, runs: Sequence[PodRun]) -> None:
        """Take away what is there."""
        apply.detach_pods([self._link(run) for run in runs], self._directory)

    def paths_of(self, pod: Object) -> tuple[Path, Path]:
        """The bind mount of a pod's namespace, and the directory of its files."""
        name = plan.pod_name(self._lab, meta.namespace(pod), meta.name(pod))
        return paths.namespace(self._directory, name), paths.pod(self._directory, meta.uid(pod))

    def _link(self, run: PodRun) -> PodLink:
        node = self._lab.node(run.node)
        assert node is not None
        return plan.pod_link(
            self._lab, node, meta.namespace(run.pod), meta.name(run.pod), run.uid, run.ips
        )
