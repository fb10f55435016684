"""What the kubelets of one machine's nodes share: containers, probes, hooks and Events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

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
from netlab.agents.tokens import LOOK_EVERY, Tokens, has_more_than_tokens
from netlab.agents.unready import unready
from netlab.agents.volumes import Volumes
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.kernel import userns
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
        issuer: Issuer,
        *,
        owner: str,
        now: Callable[[], str],
    ) -> None:
        self.keeper = keeper
        self._informers = informers
        self.attached = Attached()
        self.pod_network = self._pod_network = PodNetwork(lab, directory, self.attached)
        self._now, self._cluster_domain = now, lab.dns.domain
        self._events = events = PodEvents(recorder)
        configuration = PodConfiguration(informers)
        names = ResolverNames(bootstrap.name_servers(lab), lab.dns.domain, lab.external.gateway_ips)
        ids, claimed = userns.id_range(owner), configuration.claimed
        volumes = Volumes(directory, configuration.lookup, ids, claimed)
        self._reclaiming = Reclaiming(directory, informers)
        self.runtime = RuntimeKeeper(directory, owner)
        self._tokens = Tokens(informers.api, volumes, time.time)
        places = Places(names, volumes, self._tokens, configuration.environment)
        self._sandboxes = sandboxes = Sandboxes(self.runtime.calls)
        self.commands = Commands(sandboxes, self.runtime, places, configuration)
        self._sandboxes, self._forgetting = sandboxes, Background()
        actions = Actions(self.commands, self._pod_network.node_netns)
        self._prober = Prober(actions, events)
        lifecycle = Lifecycle(events, self._prober, actions)
        processes = PodProcesses(sandboxes, self.runtime, places, lifecycle)
        self._programs = pod_programs = PodPrograms(programs, lifecycle, groups)
        self._containers = PodContainers(
            keeper,
            processes,
            pod_programs,
            draining,
            configuration,
            volumes,
            lifecycle,
            PodCertificates(issuer, informers, keeper, _cluster(lab)),
            PodTasks(informers, lifecycle),
            ids,
        )
        self.commands.entering = self._containers.enter
        self._volumes, self._configuration = volumes, configuration
        self._refreshing: asyncio.Task[None] | None = None
        self._adopted: asyncio.Task[Sequence[Pod]] | None = None
        self._together = Together(self._pod_network)
        self._kubelets: dict[str, Kubelet] = {}

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
            paths_of=self._pod_network.paths_of,
            now=self._now,
            book=self._pod_network.book,
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
        self._refreshing = asyncio.create_task(self._refresh_volumes(), name="volumes")

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
        return self._configuration.is_new()

    async def _adopt(self, machines: Iterable[str]) -> Sequence[Pod]:
        off = {meta.name(node) for node in self._informers["Node"].items() if is_off(node)}
        every = self._informers["Pod"].items()
        pods = [pod for pod in every if meta.spec(pod).get("nodeName") not in off]
        await self._containers.adopt({meta.uid(pod) for pod in pods})
        for name in await asyncio.to_thread(self._pod_network.sweep, pods, machines):
            log.warning("namespace %s belonged to no pod any more and is gone", name)
        return pods

    async def _refresh_volumes(self) -> None:
        """While pods run, files of ConfigMaps and Secrets follow their objects, and tokens time."""
        while True:
            changed = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._configuration.changed()
                    changed = True
            kubelets = self._kubelets.values()
            for run in [run for kubelet in kubelets for run in kubelet.volume_runs()]:
                if changed or self._tokens.are_due(run):
                    await self._refresh(run)

    async def _refresh(self, run: PodRun) -> None:
        try:
            tokens = await self._tokens.present(run)
            if tokens or has_more_than_tokens(run):
                self._volumes.prepare(run, tokens)
        except (NetlabError, OSError) as error:
            log.info("pod %s: volumes stay as they are: %s", run.key, error)
        except Exception:
            log.exception("pod %s: volumes stay as they are", run.key)

    async def stop(self) -> None:
        """Let go of the pods, which go on running; their kubelets have stopped."""
        self._informers["Pod"].remove_listener(self._on_pod)
        await self._forgetting.stop_all()
        await cancel(self._adopted, self._refreshing)
        self._prober.stop()
        await self._containers.detach()
        await self._reclaiming.stop()
        await self.runtime.detach()


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
