"""Where a pod's commands run: its directory, its files under /etc, its volumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from netlab.agents.podrun import PodRun, hostname
from netlab.agents.tokens import Tokens
from netlab.agents.volumes import Environment, Volumes
from netlab.dns.resolvconf import ResolvConf, cluster_first
from netlab.objects import meta
from netlab.workload import etc_files
from netlab.workload.behaviour import brought
from netlab.workload.bounds import bounds
from netlab.workload.documents import FILE_SERVER, pages
from netlab.workload.sandbox import IDLE, ContainerPlace
from netlab.workload.shells import settings, shell_links


class ResolverNames(Struct, frozen=True):
    """What a pod's resolv.conf is made of: whom to ask for the cluster's names, their domain,
    and whom the node itself asks."""

    servers: tuple[str, ...]
    domain: str
    upstreams: tuple[str, ...]


class Places:
    """Lays out the directories of pods."""

    def __init__(
        self,
        names: ResolverNames,
        volumes: Volumes,
        tokens: Tokens,
        environment: Environment = lambda *_: {},
    ) -> None:
        self._names = names
        self._environment = environment
        self._volumes = volumes
        self._tokens = tokens

    async def place(self, run: PodRun) -> ContainerPlace:
        """Where the pod's commands run; writes the files its containers share, and its volumes."""
        name, hosts = run.hostname, pod_hosts(run)
        resolv = pod_resolv_conf(run, self._names)
        etc_files.write_pod_files(run.directory, hostname=name, hosts=hosts, resolv_conf=resolv)
        self._volumes.prepare(run, await self._tokens.of(run))
        mounts = self._volumes.mounts(run, self._environment)
        return ContainerPlace(
            run.uid,
            run.directory,
            run.netns,
            name,
            mounts,
            bounds(meta.spec(run.pod)),
            _programs(run),
            frozenset(_read_only(run)),
            _pages(run),
            _links(run),
            shares_processes=run.shares_processes,
        )


def _programs(run: PodRun) -> dict[str, tuple[str, ...]]:
    """The programs of ours in each container; what stands in for those without processes has all
    but the one that is a server's process, in its own container."""
    found = {name: tuple(filter(None, [brought(run.spec_of(name))])) for name in run.names}
    every = dict.fromkeys(name for names in found.values() for name in names if name != FILE_SERVER)
    return {IDLE: tuple(every), **found}


def _pages(run: PodRun) -> dict[str, Mapping[str, str]]:
    """The image's own files in each container; what stands in for servers has the first one's
    settings, and no documents."""
    specs = {name: run.spec_of(name) for name in run.names}
    first = specs[next(iter(run.containers))]
    return {IDLE: settings(first)} | {
        name: {**pages(spec), **settings(spec)} for name, spec in specs.items()
    }


def _links(run: PodRun) -> dict[str, dict[str, str]]:
    """The links in each container; what stands in for servers has the first one's."""
    found = {name: shell_links(run.spec_of(name)) for name in run.names}
    return {IDLE: found[next(iter(run.containers))], **found}


def _read_only(run: PodRun) -> Iterator[str]:
    """The containers whose root is read-only; what stands in for servers is as the first one."""
    first = next(iter(run.containers))
    for name in run.names:
        if (run.spec_of(name).get("securityContext") or {}).get("readOnlyRootFilesystem"):
            yield from (name, IDLE) if name == first else (name,)


def pod_resolv_conf(run: PodRun, names: ResolverNames) -> str:
    """A pod's /etc/resolv.conf, by its dnsPolicy and dnsConfig."""
    spec = meta.spec(run.pod)
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "Default" or (policy == "ClusterFirst" and run.host_network):
        given = ResolvConf(nameservers=names.upstreams)
    elif policy == "None":
        given = ResolvConf()
    else:
        given = cluster_first(meta.namespace(run.pod), names.servers, names.domain)
    return given.with_config(spec.get("dnsConfig") or {}).text()


def pod_hosts(run: PodRun) -> str:
    """A pod's /etc/hosts: its own names, and what `spec.hostAliases` asks for."""
    return etc_files.hosts_file(
        hostname(run.pod),
        run.ips,
        domain=run.domain,
        aliases=meta.spec(run.pod).get("hostAliases") or (),
        host_network=run.host_network,
    )
