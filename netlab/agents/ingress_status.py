"""Where an Ingress can be reached: its `status.loadBalancer`, which is its controller's to fill.

From the Service that is published (`--publish-service`), else the addresses of the nodes on which
the controller's pods are ready. Source: internal/ingress/status/status.go of ingress-nginx.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

from msgspec import Struct

from netlab.agents.ingress_rights import ControllerLog, Rights
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

    def may_lead(self) -> bool:
        """Whether it may write any status; its log says why not."""
        refused = self.rights.without_status()
        self.log.tell("status", [refused])
        return self.options.updates_status and not refused

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
        """True when every status is written."""
        return self._loop.idle

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
        self._publishers[uid] = _Publisher(options, pod, served, rights, log)
        if not self._listening:
            self._listening = True
            for kind in ("Service", "Pod", "Node"):
                self._informers[kind].add_listener(self._changed)
            self._loop.start()
        self._loop.wake()

    def look(self) -> None:
        """A controller may serve others."""
        self._loop.wake()

    async def forget(self, uid: str) -> None:
        """The controller goes. The last one takes its addresses with it."""
        publisher = self._publishers.pop(uid, None)
        if publisher is None or not publisher.may_lead():
            return
        self._loop.wake()
        if any(_group(each) == _group(publisher) for each in self._publishers.values()):
            return
        if not publisher.options.takes_status_back:
            return
        for key in publisher.writable(set(publisher.served)):
            with contextlib.suppress(NetlabError):  # it may have gone meanwhile
                await self._tell(key, [])

    async def stop(self) -> None:
        """Follow nothing more."""
        await self._loop.stop()

    def _changed(self, old: AnyKind | None, new: AnyKind | None) -> None:
        either = new if new is not None else old
        assert either is not None
        if self._publishers and self._concerns(either):
            self._loop.wake()

    def _concerns(self, obj: AnyKind) -> bool:
        if obj["kind"] == "Pod":
            return meta.uid(obj) in self._publishers
        if obj["kind"] == "Service":
            key = meta.key(obj)
            return any(each.options.publish_service == key for each in self._publishers.values())
        return True

    async def _write(self, _: bool) -> None:
        groups: dict[Hashable, list[_Publisher]] = {}
        for each in self._publishers.values():
            groups.setdefault(_group(each), []).append(each)
        for publishers in groups.values():
            leader = next((each for each in publishers if each.may_lead()), None)
            if leader is not None:
                addresses = list(self._addresses(leader.options, publishers))
                served = {key for each in publishers for key in each.served}
                for key in leader.writable(served):
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

    def _addresses(
        self, options: Options, publishers: Iterable[_Publisher]
    ) -> Iterable[IngressLoadBalancerIngress]:
        if options.publish_addresses:
            return [_entry(each) for each in options.publish_addresses]
        if options.publish_service:
            service = self._informers["Service"].get(options.publish_service)
            return sorted(_of_service(service), key=_order) if service else []
        found = {
            address
            for publisher in publishers
            for address in self._of_node(publisher, internal=options.internal_addresses)
        }
        return sorted(map(_entry, found), key=_order)

    def _of_node(self, publisher: _Publisher, *, internal: bool) -> Iterator[str]:
        pod = self._informers["Pod"].get(meta.key(publisher.pod))
        if pod is None or not meta.is_ready(pod):
            return
        node: Node | None = self._informers["Node"].get(meta.spec(pod).get("nodeName") or "")
        if node is None:
            return
        known = meta.status(node).get("addresses") or []
        outside = [each["address"] for each in known if each["type"] == "ExternalIP"]
        inside = [each["address"] for each in known if each["type"] == "InternalIP"]
        yield from inside if internal or not outside else outside


def _group(publisher: _Publisher) -> Hashable:
    """The same for replicas, of which one leads."""
    return meta.namespace(publisher.pod), publisher.options


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
