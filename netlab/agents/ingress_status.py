"""Where an Ingress can be reached: its `status.loadBalancer`, which is its controller's to fill.

From the Service that is published (`--publish-service`), else the addresses of the nodes on which
the controller's pods are ready. Of replicas the leader fills it, who has the Lease.

Source: internal/ingress/status/status.go of ingress-nginx.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from netlab.agents.ingress_rights import ControllerLog, Rights
from netlab.agents.leader_election import Candidate, LeaderElection
from netlab.agents.loop import Loop
from netlab.client.informer import Informers
from netlab.errors import NetlabError
from netlab.ingress.options import Options
from netlab.objects import meta
from netlab.objects.fields import parse_address
from netlab.objects.types import (
    AnyKind,
    Ingress,
    IngressLoadBalancerIngress,
    Node,
    Pod,
    Service,
)
from netlab.retry import Retry

RETRY = Retry(0.2, 5.0)
"""Of a status that could not be written."""


class _Publisher(Struct):
    options: Options
    pod: Pod
    served: Mapping[str, Ingress]
    rights: Rights
    log: ControllerLog
    election: LeaderElection

    def is_to_write(self) -> bool:
        """Whether it is the one that fills status, and knows with what; its log says why not."""
        if not (self.options.updates_status and self.election.leads):
            return False
        refused = self.rights.without_address()
        self.log.tell("status", [refused])
        return not refused

    def is_like(self, other: _Publisher) -> bool:
        """Whether both are replicas of one controller: they differ in nothing but their hashes."""
        return meta.namespace(self.pod) == meta.namespace(other.pod) and _lasting(
            self.pod
        ) == _lasting(other.pod)

    def writable(self, keys: Collection[str]) -> list[str]:
        """Those of these Ingresses (`namespace/name`) whose status it may write."""
        spaces = {key.partition("/")[0] for key in keys}
        refused = {space: self.rights.without_status_of(space) for space in spaces}
        for space, text in refused.items():
            self.log.tell(f"status in {space}", [text], "W")
        return [key for key in sorted(keys) if not refused[key.partition("/")[0]]]


class IngressStatus:
    """Keeps the addresses of Ingresses true, for all controllers that were told of."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers
        self._publishers: dict[str, _Publisher] = {}
        self._loop = Loop("addresses of Ingresses", self._write, retry=RETRY, settle=0.02)
        self._listening = False

    @property
    def idle(self) -> bool:
        """True when it is known who leads, and what he has to write is written."""
        return self._loop.idle and all(each.election.idle for each in self._publishers.values())

    def follow(
        self,
        uid: str,
        options: Options,
        pod: Pod,
        served: Mapping[str, Ingress],
        rights: Rights,
        log: ControllerLog,
    ) -> None:
        """The controller in a pod serves these Ingresses, which may become others."""
        election = self._election(options, pod, rights, log)
        self._publishers[uid] = _Publisher(options, pod, served, rights, log, election)
        if options.elects:
            election.start()
        if not self._listening:
            self._listening = True
            for kind in ("Service", "Pod", "Node"):
                self._informers[kind].add_listener(self._changed)
            self._loop.start()
        self._loop.wake()

    def _election(
        self, options: Options, pod: Pod, rights: Rights, log: ControllerLog
    ) -> LeaderElection:
        candidate = Candidate(
            meta.namespace(pod), options.election, meta.name(pod), options.election_ttl
        )
        return LeaderElection(
            rights.account,
            candidate,
            self._loop.wake,
            lambda text: log.say(text, "I"),
            lambda text: log.tell("lease", [text]),
        )

    def look(self) -> None:
        """A controller may serve others."""
        self._loop.wake()

    async def forget(self, uid: str) -> None:
        """The controller goes. The last one takes its address with it."""
        publisher = self._publishers.pop(uid, None)
        if publisher is None:
            return
        await publisher.election.stop()
        self._loop.wake()
        options = publisher.options
        if not (options.updates_status and options.takes_status_back):
            return
        if any(each.is_like(publisher) for each in self._publishers.values()):
            return
        for key in publisher.writable(set(publisher.served)):
            with contextlib.suppress(NetlabError):  # it may have gone meanwhile
                await self._tell(key, [])

    async def stop(self) -> None:
        """Follow nothing more; who leads still has his Lease."""
        for each in self._publishers.values():
            await each.election.stop()
        await self._loop.stop()

    def _changed(self, old: AnyKind | None, new: AnyKind | None) -> None:
        either = new if new is not None else old
        assert either is not None
        if self._publishers and self._concerns(either):
            self._loop.wake()

    def _concerns(self, obj: AnyKind) -> bool:
        if obj["kind"] == "Pod":
            space = meta.namespace(obj)
            return any(meta.namespace(each.pod) == space for each in self._publishers.values())
        if obj["kind"] == "Service":
            key = meta.key(obj)
            return any(each.options.publish_service == key for each in self._publishers.values())
        return True

    async def _write(self, _: bool) -> None:
        for publisher in list(self._publishers.values()):
            if publisher.is_to_write():
                addresses = list(self._addresses(publisher))
                for key in publisher.writable(set(publisher.served)):
                    await self._tell(key, addresses)

    async def _tell(self, key: str, addresses: list[IngressLoadBalancerIngress]) -> None:
        ingress: Ingress | None = self._informers["Ingress"].get(key)
        if ingress is None:
            return
        known = (meta.status(ingress).get("loadBalancer") or {}).get("ingress") or []
        if known != addresses:
            status = {"loadBalancer": {"ingress": addresses or None}}
            await self._informers.patch_status(ingress, status)

    # -- addresses -------------------------------------------------------------------------

    def _addresses(self, publisher: _Publisher) -> Iterable[IngressLoadBalancerIngress]:
        options = publisher.options
        if options.publish_addresses:
            return [_entry(each) for each in options.publish_addresses]
        if options.publish_service:
            service = self._informers["Service"].get(options.publish_service)
            return sorted(_of_service(service), key=_order) if service else []
        found = {
            address
            for pod in self._replicas(publisher.pod)
            for address in self._of_node(pod, internal=options.internal_addresses)
        }
        return sorted(map(_entry, found), key=_order)

    def _replicas(self, of: Pod) -> Iterator[Pod]:
        """The pods that have all the labels that this one began with."""
        wanted = meta.labels(of).items()
        for pod in self._informers["Pod"].items():
            if meta.namespace(pod) == meta.namespace(of) and wanted <= meta.labels(pod).items():
                yield pod

    def _of_node(self, pod: Pod, *, internal: bool) -> Iterator[str]:
        if not meta.is_ready(pod):
            return
        node: Node | None = self._informers["Node"].get(meta.spec(pod).get("nodeName") or "")
        if node is None:
            return
        known = meta.status(node).get("addresses") or []
        outside = [each["address"] for each in known if each["type"] == "ExternalIP"]
        inside = [each["address"] for each in known if each["type"] == "InternalIP"]
        yield from inside if internal or not outside else outside


_HASHES = ("pod-template-hash", "controller-revision-hash", "pod-template-generation")


def _lasting(pod: Pod) -> Mapping[str, str]:
    """The labels that replicas of all templates have."""
    return {key: value for key, value in meta.labels(pod).items() if key not in _HASHES}


def _of_service(service: Service) -> Iterator[IngressLoadBalancerIngress]:
    spec = meta.spec(service)
    external = [_entry(each) for each in spec.get("externalIPs") or ()]
    kind = spec.get("type")
    if kind == "ExternalName":
        yield _entry(str(spec.get("externalName")))
    elif kind == "LoadBalancer":
        for one in (meta.status(service).get("loadBalancer") or {}).get("ingress") or ():
            yield _entry(str(one.get("ip") or one.get("hostname")))
        yield from external
    elif kind == "NodePort" and external:
        yield from external
    elif spec.get("clusterIP") not in (None, "None"):
        yield _entry(str(spec.get("clusterIP")))


def _entry(address: str) -> IngressLoadBalancerIngress:
    return {"ip": address} if parse_address(address) else {"hostname": address}


def _order(entry: IngressLoadBalancerIngress) -> tuple[str, str]:
    return entry.get("hostname", ""), entry.get("ip", "")
