"""What the kubelets of one machine's nodes share: containers, probes, hooks and Events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.agents.attached import Attached
from netlab.agents.certificates import ClusterNames, PodCertificates
from netlab.agents.commands import Commands
from netlab.agents.configuration import PodConfiguration
from netlab.agents.containers import PodContainers
from netlab.agents.dns import PODS_AND_NAMES
from netlab.agents.draining import Draining
from netlab.agents.kubelet import Attaching, Kubelet
from netlab.agents.lifecycle import Lifecycle
from netlab.agents.pod_files import Places, ResolverNames
from netlab.agents.pod_network import PodNetwork
from netlab.agents.podevents import PodEvents, Recorder
from netlab.agents.podgroups import PodGroups
from netlab.agents.podprograms import InPods, PodPrograms
from netlab.agents.podrun import PodRun
from netlab.agents.podtasks import PodTasks
from netlab.agents.probes.actions import Actions
from netlab.agents.probes.prober import Prober
from netlab.agents.processes import PodProcesses, on_disk
from netlab.agents.reclaiming import Reclaiming
from netlab.agents.responder_keeper import ResponderKeeper
from netlab.agents.runtime_keeper import RuntimeKeeper
from netlab.agents.together import Together
from netlab.agents.tokens import Tokens
from netlab.agents.unready import unready
from netlab.agents.volume_upkeep import VolumeUpkeep
from netlab.agents.volumes import Volumes
from netlab.client.informer import Informers
from netlab.kernel import userns
from netlab.kernel.userns import IdRange
from netlab.objects import bootstrap, meta
from netlab.objects.lab import Lab, Node
from netlab.objects.nodes import is_off
from netlab.objects.types import Pod
from netlab.tasks import Background, cancel
from netlab.workload.certificate import Issuer
from netlab.workload.sandbox import Sandboxes

log = logging.getLogger(__name__)


class PodRuntime:
    """Runs the pods of those nodes whose kubelets it was asked for (`kubelet_of`)."""

    def __init__(
        self,
        lab: Lab,
        directory: Path,
        keeper: ResponderKeeper,
        informers: Informers,
        programs: Mapping[str, InPods],
        groups: PodGroups,
        draining: Draining,
        recorder: Recorder,
        attaching: Recorder,
        issuer: Issuer,
        *,
        owner: str,
        now: Callable[[], str],
    ) -> None:
        self.keeper = keeper
        self.runtime = RuntimeKeeper(directory, owner)
        self.attached = Attached()
        self.pod_network = PodNetwork(lab, directory, self.attached)
        self._informers, self._now = informers, now
        self._cluster_domain = lab.dns.domain
        self._events = PodEvents(recorder, attaching)
        self._sandboxes, self._forgetting = Sandboxes(self.runtime.calls), Background()
        self._reclaiming = Reclaiming(directory, informers)
        self._files = files = _Files.of(lab, directory, informers, owner)
        self._upkeep = VolumeUpkeep(
            files.configuration, files.volumes, files.tokens, self._volume_runs
        )
        self.commands = Commands(self._sandboxes, self.runtime, files.places, files.configuration)
        actions = Actions(self.commands, self.pod_network.node_netns)
        self._prober = Prober(actions, self._events)
        lifecycle = Lifecycle(self._events, self._prober, actions)
        self._programs = PodPrograms(programs, lifecycle, groups, files.configuration.changes)
        certificates = PodCertificates(issuer, informers, keeper, _cluster(lab))
        self._containers = self._pod_containers(lifecycle, draining, certificates)
        self.commands.entering = self._containers.enter
        self._adopted: asyncio.Task[Sequence[Pod]] | None = None
        self._together = Together(self.pod_network)
        self._kubelets: dict[str, Kubelet] = {}

    def _pod_containers(
        self, lifecycle: Lifecycle, draining: Draining, certificates: PodCertificates
    ) -> PodContainers:
        files = self._files
        return PodContainers(
            self.keeper,
            PodProcesses(self._sandboxes, self.runtime, files.places, lifecycle),
            self._programs,
            draining,
            files.configuration,
            files.volumes,
            lifecycle,
            certificates,
            PodTasks(self._informers, lifecycle),
            files.ids,
        )

    def kubelet_of(
        self, node: Node, around: Callable[[Attaching], Attaching] = lambda links: links
    ) -> Kubelet:
        """The kubelet of a node. To be started once `adopted` has returned.

        `around` makes of what gives pods their links what does more than that.
        """
        self._kubelets[node.name] = kubelet = Kubelet(
            node,
            self._informers,
            around(self._together),
            self._containers,
            self._events,
            paths_of=self.pod_network.paths_of,
            now=self._now,
            book=self.pod_network.book,
            cluster_domain=self._cluster_domain,
            usage=self._sandboxes.usage,
        )
        return kubelet

    def forget(self, node: Node) -> None:
        """There is no such node any more; its kubelet has stopped."""
        self._kubelets.pop(node.name, None)

    @property
    def idle(self) -> bool:
        """True when every pod the API knows is as it should be, or waits for somebody else."""
        return all(kubelet.idle for kubelet in self._kubelets.values())

    def unready(self) -> Iterator[tuple[str, bool]]:
        """The `namespace/name` of each pod that should be ready and is not; True if waiting will
        not help."""
        for kubelet in self._kubelets.values():
            yield from unready(kubelet.runs.values())
            for key in kubelet.not_started():
                yield key, True

    def at_work(self) -> Iterator[str]:
        """As `Working` says."""
        if not self.idle:
            yield PODS_AND_NAMES
        yield from self._programs.at_work()

    def start(self, machines: Iterable[str]) -> None:
        """Begin with what a former controller left; see `adopted`. `machines` are the namespaces
        that are no pod's."""
        self._informers["Pod"].add_listener(self._on_pod)
        self._adopted = asyncio.create_task(self._adopt(machines), name="adopting pods")
        self._upkeep.start()

    def _on_pod(self, old: Pod | None, new: Pod | None) -> None:
        """One that goes while its node is off leaves nothing on the disk there."""
        gone = old if new is None else None
        if gone is not None and meta.spec(gone).get("nodeName") not in self._kubelets:
            uid = meta.uid(gone)
            if on_disk(gone):
                self._forgetting.start(uid, self._sandboxes.remove(uid), f"volumes of {uid}")

    async def adopted(self) -> Sequence[Pod]:
        """Return once all that runs is known, and what belongs to no pod has been ended: the pods
        that a former controller may have run."""
        assert self._adopted is not None
        return await asyncio.shield(self._adopted)

    def has_news(self) -> bool:
        """Whether pods may yet have what they lack, of a ConfigMap or Secret that just came."""
        return self._files.configuration.is_new()

    async def _adopt(self, machines: Iterable[str]) -> Sequence[Pod]:
        off = {meta.name(node) for node in self._informers["Node"].items() if is_off(node)}
        every = self._informers["Pod"].items()
        pods = [pod for pod in every if meta.spec(pod).get("nodeName") not in off]
        await self._containers.adopt({meta.uid(pod) for pod in pods})
        for name in await asyncio.to_thread(self.pod_network.sweep, pods, machines):
            log.warning("namespace %s belonged to no pod any more and is gone", name)
        return pods

    def _volume_runs(self) -> Iterator[PodRun]:
        return (run for kubelet in self._kubelets.values() for run in kubelet.volume_runs())

    async def stop(self) -> None:
        """Let go of the pods, which go on running; their kubelets have stopped."""
        self._informers["Pod"].remove_listener(self._on_pod)
        await self._forgetting.stop_all()
        await cancel(self._adopted)
        await self._upkeep.stop()
        self._prober.stop()
        await self._containers.detach()
        await self._reclaiming.stop()
        await self.runtime.detach()
        await asyncio.to_thread(self.pod_network.close)


class _Files(NamedTuple):
    """What pods read: variables, volumes, the tokens in these, and where all of it lies; `ids` are
    those of its owners."""

    ids: IdRange | None
    configuration: PodConfiguration
    volumes: Volumes
    tokens: Tokens
    places: Places

    @classmethod
    def of(cls, lab: Lab, directory: Path, informers: Informers, owner: str) -> _Files:
        ids = userns.id_range(owner)
        configuration = PodConfiguration(informers)
        volumes = Volumes(directory, configuration.lookup, ids, configuration.claimed)
        tokens = Tokens(informers.api, volumes, time.time)
        names = ResolverNames(bootstrap.name_servers(lab), lab.dns.domain, lab.external.gateway_ips)
        places = Places(names, volumes, tokens, configuration.environment)
        return cls(ids, configuration, volumes, tokens, places)


def _cluster(lab: Lab) -> ClusterNames:
    names = frozenset(bootstrap.api_names(lab))
    outside = [*lab.external.gateway_ips, *lab.dns.node_local]
    outside += [ip for client in lab.external.clients for ip in client.ips]
    return ClusterNames(
        lab.dns.domain,
        names,
        bootstrap.api_addresses(lab),
        (*lab.pod_cidrs, *lab.service_cidrs),
        frozenset(outside),
    )
