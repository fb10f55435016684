"""Pods' namespaces and links, as kubelets ask for them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from msgspec.structs import replace

from netlab.agents.addressbook import AddressBook
from netlab.agents.attached import Attached
from netlab.agents.podrun import PodRun
from netlab.kernel import leaving, netns, paths
from netlab.kernel.leaving import Leaving
from netlab.network import apply, plan
from netlab.network.attacher import Attacher
from netlab.network.model import PodLink
from netlab.objects import meta
from netlab.objects.lab import Lab, Node
from netlab.objects.types import Pod, PodSpec

log = logging.getLogger(__name__)


class PodNetwork:
    """Plans each pod's link and has it made; see `network.apply`.

    `attached` knows of those that stand, for whoever is to mend them.
    """

    def __init__(self, lab: Lab, directory: Path, attached: Attached | None = None) -> None:
        self._lab = lab
        self._directory = directory
        self._attached = attached or Attached()
        self._attacher = Attacher(directory)
        self._leaving = Leaving(directory)
        self._runs: dict[str, PodRun] = {}

    def attach(self, runs: Sequence[PodRun]) -> dict[str, Exception]:
        """Make what is missing; returns what failed, by the pod's uid.

        Notes in each run whether its namespace is a new one.
        """
        for run in runs:
            run.directory.mkdir(parents=True, exist_ok=True)
        before = {run.uid: _inode(run.netns) for run in runs}
        links = [self._link(run) for run in runs]
        with self._attached.turn():
            self._attached.remove([run.uid for run in runs])
            failed = self._attacher.attach(links, self._attached.add)
        for run in runs:
            self._runs[run.uid] = run
            run.renewed = before[run.uid] is None or _inode(run.netns) != before[run.uid]
        return failed

    def detach(self, runs: Sequence[PodRun]) -> None:
        """Take away what is there: ports, namespaces and files. What of them is the kernel's to
        take apart, it may when they are let go of."""
        own = [run for run in runs if not run.host_network]
        with self._attached.turn():
            self._attached.remove([run.uid for run in own])
            links = [self._link(run) for run in own if run.ips]
            apply.detach_pods(links, self._directory, self._leaving)
            # A controller that ended may have attached them without coming to say with which
            # address.
            unknown = [self._name(run.pod) for run in own if not run.ips]
            apply.remove(unknown, self._directory)
        for run in own:
            self._runs.pop(run.uid, None)
        for run in runs:
            _remove_files(run.directory)

    def let_go(self) -> None:
        """Let the kernel take apart what was detached: whoever changes a link meanwhile waits."""
        self._leaving.let_go()

    def close(self) -> None:
        """Let go of whoever helped, and of what was detached."""
        self.let_go()
        with self._attached.turn():
            self._attacher.close()

    def run(self, uid: str) -> PodRun | None:
        """The attached pod of that uid."""
        return self._runs.get(uid)

    def links(self, uids: Iterable[str]) -> list[PodLink]:
        """How those of these pods that are attached, and not about to end, are to be."""
        runs = (self._runs.get(uid) for uid in uids if self._attached.get(uid))
        return [self._link(run) for run in runs if run is not None and not run.stopping]

    def sweep(self, pods: Iterable[Pod], machines: Iterable[str]) -> list[str]:
        """Take away the namespaces of pods that are no more: a controller that was killed leaves
        them when it had just deleted a pod. Those of the `machines` stay. Returns their names."""
        known = {*machines, *(self._name(pod) for pod in pods)}
        found = [entry.name for entry in paths.namespaces(self._directory).iterdir()]
        strays = sorted(set(found) - known)
        apply.remove(strays, self._directory)
        leaving.sweep(self._directory)
        self._sweep_files({meta.uid(pod) for pod in pods})
        return strays

    def _sweep_files(self, uids: set[str]) -> None:
        directory = paths.pod(self._directory, "any").parent
        for entry in directory.iterdir() if directory.exists() else ():
            if entry.name not in uids:
                _remove_files(entry)

    def paths_of(self, pod: Pod) -> tuple[Path, Path]:
        """The bind mount of a pod's namespace, and the directory of its files."""
        directory = paths.pod(self._directory, meta.uid(pod))
        if meta.spec(pod).get("hostNetwork"):
            return self.node_netns(str(meta.spec(pod)["nodeName"])), directory
        return paths.namespace(self._directory, self._name(pod)), directory

    def node_netns(self, node: str) -> Path:
        """The bind mount of a node's namespace."""
        return paths.namespace(self._directory, plan.node_name(self._lab, node))

    def _name(self, pod: Pod) -> str:
        return plan.pod_name(self._lab, meta.namespace(pod), meta.name(pod))

    def _link(self, run: PodRun) -> PodLink:
        node = Node(run.node, pod_cidrs=run.pod_cidrs)
        link = plan.pod_link(
            self._lab, node, meta.namespace(run.pod), meta.name(run.pod), run.uid, run.ips
        )
        users = tuple(sorted(users_of(meta.spec(run.pod))))
        return replace(link, users=users, reused=run.reused)

    def book(self, cidr: str) -> AddressBook:
        """What is remembered of the addresses of a podCIDR."""
        return AddressBook(paths.addresses(self._directory) / cidr.replace("/", "-"))


def _remove_files(directory: Path) -> None:
    """What of them cannot be removed goes with the lab, and stops nothing else."""
    try:
        import shutil  # many labs are gone before a pod of theirs is

        shutil.rmtree(directory, ignore_errors=True)
    except RecursionError:
        log.error("%s is too deep to be removed now", directory)


def users_of(spec: PodSpec) -> set[int]:
    """The ids of users and groups that a pod's spec names, in whatever place."""
    whole = spec.get("securityContext") or {}
    containers = (*spec["containers"], *(spec.get("initContainers") or ()))
    contexts = (whole, *(each.get("securityContext") or {} for each in containers))
    own = (context.get(name) for context in contexts for name in ("runAsUser", "runAsGroup"))
    every = (*own, whole.get("fsGroup"), *(whole.get("supplementalGroups") or ()))
    return {each for each in every if each is not None}


def _inode(path: Path) -> int | None:
    """Which namespace is mounted there, if one is."""
    return path.stat().st_ino if netns.exists(path) else None
