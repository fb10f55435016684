"""The cluster's DNS: two dnsmasqs in its pod, the files they follow, and the names process.

    clients → front → dnsmasq (either) → responder: SRV, CNAME, pod names
                                       → the internet's DNS: names outside

Front and responder are in the names process. Of front, dnsmasqs, responder and controller any one
may die: no query is lost.

Services are spread over small host files (`shards`). A change rewrites the one that holds the
Service and renames it into place; dnsmasq sees that by inotify and swaps the names between two
queries. So the cost of a change does not grow with the number of Services, and nothing is ever
compacted.

Only a change of *which* names the responder answers (named ports, ExternalName) needs a reload.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.dns import records as recorded
from netlab.dns import terms
from netlab.dns.config import DNSMASQ_PORTS, RESPONDER_PORT, ClusterDns
from netlab.dns.dnsmasq import Dnsmasq
from netlab.dns.forwarding import NO_FORWARDING, PLUGINS, Forwarding, to_json
from netlab.dns.keeper import Door, NamesKeeper
from netlab.dns.records import (
    NO_RECORDS,
    ServiceRecords,
    forwarded_names,
    hosts_text,
    service_name,
    service_records,
)
from netlab.dns.shards import Shards
from netlab.dns.zone import Zone
from netlab.kernel import process, userns
from netlab.objects.endpointslices import service_key
from netlab.objects.types import EndpointSlice, Service
from netlab.tasks import together
from netlab.workload.program import Program

_LOOPBACK = "127.0.0.1"


class DnsServer:
    """Serves the records of the Services and EndpointSlices it was given, once applied.

    `directory` is its own; `owner` the lab's uid; `names` the process that answers, whose entries
    are ours; `upstreams` are IP addresses of name servers for every other name; `local_cidrs` the
    networks whose reverse names it alone knows; `dual` says whether IPv6 is spoken, too. All
    methods belong to one asyncio loop's thread.
    """

    def __init__(
        self,
        directory: Path,
        owner: str,
        names: NamesKeeper,
        domain: str,
        upstreams: Sequence[str] = (),
        local_cidrs: Sequence[str] = (),
        *,
        dual: bool = False,
    ) -> None:
        self._directory = directory
        self._published = directory / "published"  # all that dnsmasq sees
        self._config = ClusterDns(
            domain=domain,
            hosts_dir=self._published / "hosts",
            servers_file=self._published / "servers",
            upstreams=tuple(upstreams),
            local_cidrs=tuple(local_cidrs),
        )
        self.dnsmasqs = [self._dnsmasq(port, owner) for port in DNSMASQ_PORTS]
        self._names = names
        self._mailbox = directory / "mailbox"
        self.dual = dual
        self._zone = Zone(domain)
        self._services: dict[str, Service] = {}
        self._slices: dict[str, dict[str, EndpointSlice]] = {}
        """By the Service's key, then by their own."""
        self._service_of: dict[str, str] = {}
        self._changed: set[str] = set()
        self._shards = Shards({})
        self._written: dict[int, str] | None = None
        self._applied = False
        self._dirty: set[int] = set()
        self._servers_due = self._reload_due = False
        self._forwarded: set[str] = set()
        self._forwarding = NO_FORWARDING
        self.terms = terms.usual(domain)
        self._tell_terms()
        self._has_plugins = False

    def _dnsmasq(self, port: int, owner: str) -> Dnsmasq:
        return Dnsmasq(
            self._config.arguments(port),
            port,
            self._directory / str(port),
            owner,
            userns.daemon_id(owner, userns.CLUSTER_DNS),
            read=[self._published],
        )

    @property
    def domain(self) -> str:
        """What all the cluster's names end with."""
        return self._config.domain

    @property
    def is_applied(self) -> bool:
        """Whether it knows the cluster's names."""
        return self._applied

    @property
    def upstreams(self) -> tuple[str, ...]:
        """Whom it asks unless it is told otherwise."""
        return self._config.upstreams

    async def counted(self) -> str:
        """What it has counted, as Prometheus reads it; `NetlabError` while it does not answer."""
        return await self._names.counted()

    @property
    def programs(self) -> list[Program]:
        """What answers: the one that clients talk to, then the dnsmasqs."""
        return [self._names, *self.dnsmasqs]

    @property
    def pids(self) -> list[int | None]:
        """The processes of `programs`."""
        return [each.pid for each in self.programs]

    @property
    def idle(self) -> bool:
        """Whether all that was applied is known to whoever answers."""
        return self._names.idle

    async def start(self, netns: Path, groups: Callable[[], Sequence[Path]] = tuple) -> None:
        """Serve in the pod's namespace, whose loopback is up, the dnsmasqs in its control groups;
        adopts what runs there.

        Apply first what is known, and the first query is answered right.
        """
        self._prepare()
        for each in self.dnsmasqs:
            each.groups = groups
        try:
            await together(self._start_names(netns), *(each.start(netns) for each in self.dnsmasqs))
        except BaseException:
            await self.stop()
            raise

    async def _start_names(self, netns: Path) -> None:
        await self._names.start(
            netns,
            [Door(53), Door(RESPONDER_PORT, local=True)],
            dual=self.dual,
            asks=True,
            asks_from=netns,
            role="cluster",
            domain=self._zone.domain,
            dnsmasqs=[(_LOOPBACK, each.port) for each in self.dnsmasqs],
            mailbox=str(self._mailbox),
            plugins=self._has_plugins,
        )

    async def stop(self) -> None:
        """End all of it. Idempotent."""
        await asyncio.gather(self._names.stop(), *(each.stop() for each in self.dnsmasqs))
        self._mailbox.unlink(missing_ok=True)

    async def detach(self) -> None:
        """Let go for the next controller: all goes on answering. Idempotent."""
        await asyncio.gather(self._names.detach(), *(each.detach() for each in self.dnsmasqs))

    def set_service(self, key: str, service: Service | None) -> None:
        """The Service `namespace/name` is now this, or (None) gone; takes effect with `apply`."""
        if service is None:
            self._services.pop(key, None)
        else:
            self._services[key] = service
        self._changed.add(key)

    def set_slice(self, key: str, slice_: EndpointSlice | None) -> None:
        """The EndpointSlice `namespace/name` is now this, or gone; takes effect with `apply`."""
        service = service_key(slice_) if slice_ is not None else None
        former = self._service_of.pop(key, None)
        if former is not None:
            self._slices[former].pop(key)
            self._changed.add(former)
            if not self._slices[former]:
                del self._slices[former]
        if slice_ is not None and service is not None:
            self._service_of[key] = service
            self._slices.setdefault(service, {})[key] = slice_
            self._changed.add(service)

    def set_forwarding(self, forwarding: Forwarding) -> None:
        """Ask so for what is not the cluster's; takes effect with `apply`."""
        if forwarding != self._forwarding:
            self._forwarding, self._servers_due = forwarding, True
            blocks = to_json(forwarding, self.domain) if forwarding.blocks else None
            self._has_plugins |= blocks is not None
            self._names.set(PLUGINS, blocks)
            self.terms = forwarding.terms or terms.usual(self.domain)
            self._tell_terms()

    def _tell_terms(self) -> None:
        """What is kept is not kept any longer."""
        told = terms.to_json(self.terms, self.domain)
        self._names.set(terms.TERMS, told)

    async def refit(self) -> None:
        """See to it that the process which answers has what goes before the dnsmasqs."""
        if self._has_plugins:
            await self._names.change(plugins=True)

    def apply(self) -> None:
        """Publish all changes since the last time; names are in force about a millisecond later.

        The first time, names that a former controller left and nobody has set since are dropped:
        call it only once all Services and EndpointSlices are set. `OSError` when there is no room
        for them all: the rest is published with the next call.
        """
        first, self._applied = not self._applied, True
        written = self._prepare()
        self._servers_due |= first
        if first:
            self._dirty.update(written)
        for key in self._changed:
            former, records = self._zone.service(key), self._records(key)
            if records == former:
                continue
            # Of two files with one address only the first is its PTR; see that the other follows.
            self._reload_due |= self._zone.shared(former)
            self._zone.replace(key, records)
            self._names.set(key, None if records == NO_RECORDS else records)
            self._servers_due |= self._forward(former, records)
            if (shard := self._place(key, records)) is not None:
                self._dirty.add(shard)
        self._changed.clear()
        self._publish(written)

    def _publish(self, written: dict[int, str]) -> None:
        for shard in list(self._dirty):
            self._write(shard, written)
            self._dirty.discard(shard)
        if self._servers_due:
            self._reload_due |= self._write_servers()
            self._servers_due = False
        if self._reload_due:
            self._reload_due = False
            for each in self.dnsmasqs:
                each.reload()

    def _records(self, key: str) -> ServiceRecords:
        service = self._services.get(key)
        if service is None:
            return NO_RECORDS
        slices = self._slices.get(key, {})
        return service_records(
            service, (slices[each] for each in sorted(slices)), self._zone.domain
        )

    def _place(self, key: str, records: ServiceRecords) -> int | None:
        """The file to be written, if any."""
        if not records.hosts:
            return self._shards.drop(key)
        namespace, _, name = key.partition("/")
        return self._shards.put(key, service_name(name, namespace, self._zone.domain))

    def _forward(self, former: ServiceRecords, records: ServiceRecords) -> bool:
        old, new = forwarded_names(former), forwarded_names(records)
        self._forwarded.difference_update(old)
        self._forwarded.update(new)
        return old != new

    def _prepare(self) -> dict[int, str]:
        """Make the directories; what the files hold now, perhaps from the last controller."""
        if self._written is None:
            self._config.hosts_dir.mkdir(parents=True, exist_ok=True)
            self._config.servers_file.touch()
            for path in (self._published, self._config.hosts_dir):
                path.chmod(0o755)  # dnsmasq is somebody else, and our umask may be any
            self._config.servers_file.chmod(0o644)
            self._written = {
                int(path.name): path.read_text()
                for path in self._config.hosts_dir.iterdir()
                if path.name.isdigit()
            }
            self._shards = Shards(_places(self._written))
        return self._written

    def _write(self, shard: int, written: dict[int, str]) -> None:
        text = hosts_text(self._zone.service(key) for key in self._shards.keys(shard))
        path = self._config.hosts_dir / str(shard)
        if text == written.get(shard, ""):
            return
        if text:
            self._replace(path, text)
            written[shard] = text
        else:
            path.unlink()
            del written[shard]

    def _write_servers(self) -> bool:
        text = self._config.servers_text(self._forwarded, self._forwarding)
        if text == self._config.servers_file.read_text():
            return False
        self._replace(self._config.servers_file, text)
        return True

    def _replace(self, path: Path, text: str) -> None:
        # Written beside the hostsdir, not in it: dnsmasq would read the half-written file.
        temporary = self._directory / "new"
        temporary.write_text(text)
        temporary.chmod(0o644)
        temporary.replace(path)


def names_keeper(
    socket: Path, owner: str, log: Path, coming: process.Process | None = None
) -> NamesKeeper:
    """The keeper of the process that answers for a `DnsServer`; see `NamesKeeper`."""
    return NamesKeeper("cluster", socket, owner, log, _encoded, coming)


def _encoded(entry: ServiceRecords | Mapping[str, Any]) -> Mapping[str, Any]:
    return recorded.to_json(entry) if isinstance(entry, ServiceRecords) else entry


def _places(written: Mapping[int, str]) -> dict[str, int]:
    """In which file each Service's name is: every line ends with one."""
    return {
        line.rpartition(" ")[2]: number
        for number, text in written.items()
        for line in text.splitlines()
    }
