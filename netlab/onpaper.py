"""A lab on paper: what its files come to, without a namespace, a process or a packet.

The registry and the controllers are the lab's own, in memory; its nodes report, and its pods have
addresses and are ready as soon as they are placed. The rules are those that kube-proxy, the node's
network and hostPorts come to.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from netlab.agents.addresses import PodAddressPool
from netlab.agents.node_proxier import proxy_config
from netlab.client.inprocess import InProcessApi
from netlab.client.protocol import Api
from netlab.controllers.controller import Controller, ControllerContext, WatchedKind, own_key
from netlab.controllers.firsts import OnceThere
from netlab.controllers.manager import CONTROLLERS, RunningControllers, start_controllers
from netlab.controllers.scheduler import Scheduler
from netlab.errors import AlreadyExists, NetlabError
from netlab.kernel import machine
from netlab.manifest import Manifest
from netlab.network import plan
from netlab.network.model import Masquerade
from netlab.network.operations import NFT_TABLE
from netlab.objects import bootstrap, meta, policy
from netlab.objects.kinds import BY_KIND
from netlab.objects.lab import Lab, Node
from netlab.objects.meta import AnyObject, Object
from netlab.objects.sloppy import standardized
from netlab.objects.types import EndpointSlice, Pod, PodIP, Service
from netlab.objects.types import Node as NodeObject
from netlab.portmap import mappings
from netlab.proxy import modes
from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import Chain, Ruleset, Table
from netlab.proxy.nftables.model import NFT_FAMILY, NftChain, NftTable
from netlab.proxy.node_view import node_view
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.trace.iptables_rules import IptablesRules
from netlab.trace.nftables_rules import NftRules
from netlab.trace.node_rules import NodeRules

_SECONDS = 30.0
_NAT = "nat"


class PaperLab(Struct, frozen=True):
    """A lab's objects once all has settled."""

    lab: Lab
    services: tuple[Service, ...]
    slices: tuple[EndpointSlice, ...]
    pods: tuple[Pod, ...]
    nodes: tuple[NodeObject, ...]


class Given(Struct, frozen=True):
    """What another lab was given by chance or in its order, which this one is to have for the same
    things: Services' addresses and ports, and those of pods."""

    services: tuple[Service, ...] = ()
    pods: tuple[Pod, ...] = ()


def settled(manifest: Manifest, given: Given | None = None) -> PaperLab:
    """What a manifest's lab and objects come to."""
    assert manifest.lab is not None
    given = given or Given()
    objects = [_as_given(obj, given.services) for obj in manifest.objects]
    return asyncio.run(_settled(manifest.lab, objects, _Addresses(manifest.lab, given.pods)))


_OF_SERVICE = ("clusterIP", "clusterIPs", "ipFamilies", "healthCheckNodePort")


def _as_given(obj: Object, services: Iterable[Service]) -> Object:
    """A Service with what it does not say itself as it was given; all else as it is."""
    key = (meta.namespace(obj) or "default", meta.name(obj))
    alike = (one for one in services if (meta.namespace(one), meta.name(one)) == key)
    had = next(alike, None) if obj["kind"] == "Service" else None
    spec: Object = obj.get("spec") or {}
    if had is None or spec.get("clusterIP") or spec.get("type") == "ExternalName":
        return obj
    before: Object = dict(meta.spec(had))
    ours = [port | _node_port(port, spec, before) for port in spec.get("ports") or ()]
    kept = {name: before[name] for name in _OF_SERVICE if before.get(name) and name not in spec}
    if spec.get("type") != "LoadBalancer":
        kept.pop("healthCheckNodePort", None)
    return {**obj, "spec": {**kept, **spec, "ports": ours}}


def _node_port(port: Object, spec: Object, before: Object) -> Object:
    """The nodePort that the same port had, if it is to have one and does not say which."""
    if port.get("nodePort") or spec.get("type") not in ("NodePort", "LoadBalancer"):
        return {}
    asked = (port["port"], port.get("protocol") or "TCP")
    for one in before.get("ports") or ():
        if (one["port"], one.get("protocol") or "TCP") == asked and one.get("nodePort"):
            return {"nodePort": one["nodePort"]}
    return {}


class _Addresses:
    """Pods' addresses: those that pods of the same owner had on that node, else the next."""

    def __init__(self, lab: Lab, pods: Iterable[Pod]) -> None:
        self._pools = {
            node.name: [PodAddressPool(cidr) for cidr in node.pod_cidrs] for node in lab.nodes
        }
        self._had: dict[tuple[str, str, str], list[list[str]]] = {}
        for pod in sorted(pods, key=_ips):
            ips, node = _ips(pod), meta.spec(pod).get("nodeName") or ""
            pools = self._pools.get(node, ())
            fits = len(ips) == len(pools) and all(
                pool.has(ip) for pool, ip in zip(pools, ips, strict=True)
            )
            if fits:
                self._had.setdefault(_alike(pod), []).append(ips)
                for pool, ip in zip(pools, ips, strict=True):
                    pool.reserve(ip)

        self._left = Counter({key: len(found) for key, found in self._had.items()})

    def wait(self, node: str, pod: Pod) -> bool:
        """Whether one of these is there for a pod that is not placed yet."""
        return self._left[_alike(pod, node)] > 0

    def bound(self, node: str, pod: Pod) -> None:
        """It is placed."""
        self._left[_alike(pod, node)] -= 1

    def take(self, pod: Pod) -> list[str]:
        """Those of a pod that has been placed."""
        had = self._had.get(_alike(pod))
        node = meta.spec(pod).get("nodeName") or ""
        return had.pop(0) if had else [pool.take() for pool in self._pools[node]]


def _alike(pod: Pod, node: str = "") -> tuple[str, str, str]:
    """What pods of one owner on one node have in common."""
    name = pod["metadata"].get("generateName") or meta.name(pod)
    return node or meta.spec(pod).get("nodeName") or "", meta.namespace(pod), name


async def _settled(lab: Lab, objects: Sequence[Object], addresses: _Addresses) -> PaperLab:
    registry = Registry(Store(None), lab, node_lifecycle=lab.node_lifecycle)
    api = InProcessApi(registry)
    await _create(api, (*bootstrap.control_plane_objects(lab), *policy.objects()))
    for node in lab.nodes:
        await _report(api, node)
    running = await start_controllers(
        api,
        controllers=(*_with_scheduler(addresses), _kubelet(lab, addresses)),
        load_balancer_pools=lab.load_balancer_pools,
    )
    try:
        await _apply(api, objects, running)
        await _settle(running)
        return PaperLab(
            lab,
            tuple(map(standardized, (await api.list("Service")).items)),
            tuple(map(standardized, (await api.list("EndpointSlice")).items)),
            tuple((await api.list("Pod")).items),
            tuple((await api.list("Node")).items),
        )
    finally:
        await running.stop()


async def _settle(running: RunningControllers) -> None:
    try:
        async with asyncio.timeout(_SECONDS):
            await running.wait_idle()
    except TimeoutError:
        text = f"what the files come to is not settled after {_SECONDS:g} s"
        raise NetlabError(text, hint="netlab up shows what it waits for") from None


async def _create(api: Api, objects: Iterable[AnyObject]) -> None:
    for obj in objects:
        with contextlib.suppress(AlreadyExists):
            await api.create(obj)


async def _apply(api: Api, objects: Iterable[Object], running: RunningControllers) -> None:
    for obj in objects:
        kind = BY_KIND[obj["kind"]]
        if kind.namespaced and not meta.namespace(obj):
            obj = {**obj, "metadata": {**obj["metadata"], "namespace": "default"}}
        try:
            await api.create(obj)
        except AlreadyExists:
            await api.patch(obj["kind"], meta.namespace(obj), meta.name(obj), obj)
        if obj["kind"] in ("Namespace", "ServiceAccount"):
            await _settle(running)


async def _report(api: Api, node: Node) -> None:
    known = await api.create(bootstrap.node_object(node))
    facts = machine.facts()
    status = {
        "conditions": [bootstrap.ready()],
        "addresses": bootstrap.node_addresses(node),
        "allocatable": bootstrap.capacity(
            cpus=facts.cpus, memory=facts.memory, storage=facts.storage
        ),
    }
    await api.update({**known, "status": status}, subresource="status")


def _with_scheduler(addresses: _Addresses) -> Iterator[type[Controller] | OnceThere]:
    """All controllers; the scheduler places pods where others of their owner were."""

    class PaperScheduler(Scheduler):
        """Likes a node best that one of the pods was on."""

        def _load(self, pod: Pod) -> Any:
            known = super()._load(pod)

            def load(node: str) -> Any:
                of_owner, count, ports = known(node)
                return (-1, count, ports) if addresses.wait(node, pod) else (of_owner, count, ports)

            return load

        async def _bind(self, pod: Pod, node: str) -> None:
            addresses.bound(node, pod)
            await super()._bind(pod, node)

    yield from (PaperScheduler if one is Scheduler else one for one in CONTROLLERS)


def _kubelet(lab: Lab, addresses: _Addresses) -> type[Controller]:
    """All nodes' kubelets in one, who say of each pod that it runs."""
    nodes = {node.name: node for node in lab.nodes}

    class PaperKubelet(Controller):
        """Gives a pod that has been placed its addresses, and readiness."""

        name = "kubelet on paper"

        def __init__(self, context: ControllerContext) -> None:
            super().__init__(context)

        def watches(self) -> Sequence[WatchedKind]:
            """See `Controller`."""
            return (WatchedKind("Pod", own_key),)

        async def reconcile(self, key: str) -> None:
            """See `Controller`."""
            pod: Pod | None = self.informers["Pod"].get(key)
            place = meta.spec(pod).get("nodeName") if pod is not None else None
            if pod is None or place not in nodes or meta.status(pod).get("podIPs"):
                return
            if meta.spec(pod).get("hostNetwork"):
                ips: Sequence[str] = nodes[place].internal_ips
            else:
                ips = addresses.take(pod)
            await self.informers.patch_status(pod, _running(pod, ips, self.context.now()))

    return PaperKubelet


def _running(pod: Pod, ips: Sequence[str], now: str) -> dict[str, object]:
    others = [one for one in meta.status(pod).get("conditions") or [] if one["type"] != "Ready"]
    addresses: list[PodIP] = [{"ip": ip} for ip in ips]
    return {
        "phase": "Running",
        "podIP": ips[0],
        "podIPs": addresses,
        "conditions": [*others, {"type": "Ready", "status": "True", "lastTransitionTime": now}],
    }


# -- a node's rules ------------------------------------------------------------------------


def rules(paper: PaperLab, name: str, family: Family) -> NodeRules:
    """All rules of a node in one family, as traces ask them."""
    found = ruleset(paper, name, family)
    return IptablesRules(found, {}) if isinstance(found, Ruleset) else NftRules(found)


def ruleset(paper: PaperLab, name: str, family: Family) -> Ruleset | list[NftTable]:
    """All rules of a node in one family."""
    lab = paper.lab
    node = next(one for one in lab.nodes if one.name == name)
    obj = next((one for one in paper.nodes if meta.name(one) == name), None)
    seen = node_view(obj, proxy_config(lab, node), family)
    mode = modes.of(lab.proxy_mode)
    own = mode.assemble(mode.compile_services(paper.services, paper.slices, seen), seen)
    pods = [pod for pod in paper.pods if meta.spec(pod).get("nodeName") == name]
    mapped = [one for pod in pods if (one := mappings.mapped(pod, _ips(pod))) is not None]
    cidr = next((each for each in node.pod_cidrs if (":" in each) == (family == "ipv6")), "")
    others = mappings.rules(lab.proxy_mode, mapped, family, cidr)
    masquerades = [
        each
        for each in plan.alone(lab, node).namespaces[0].masquerades
        if (":" in each.source) == (family == "ipv6")
    ]
    if isinstance(own, Ruleset):
        return _together(own, others, masquerades)
    tables = [own, *([others] if others is not None else [])]
    return [*tables, *_masquerading(masquerades, family)]


def _ips(pod: Pod) -> list[str]:
    return [one["ip"] for one in meta.status(pod).get("podIPs") or ()]


def _together(own: Ruleset, others: Ruleset | None, masquerades: Sequence[Masquerade]) -> Ruleset:
    """Built-in chains as they are filled: hostPorts come after kube-proxy's in some, before them in
    others; the masquerading of what leaves the cluster is last."""
    table = own.tables.setdefault(_NAT, Table(_NAT))
    for name, chain in (others.tables[_NAT].chains if others is not None else {}).items():
        here = table.chains.get(name)
        mine = here.rules if here is not None else ()
        after = name in mappings.AFTER_KUBE_PROXY
        both = (*mine, *chain.rules) if after else (*chain.rules, *mine)
        table.chains[name] = Chain(name, both, here.policy if here is not None else chain.policy)
    texts = tuple(
        f'-s {one.source} -o {one.link} -m comment --comment "{one.comment}" -j MASQUERADE'
        for one in masquerades
    )
    last = table.chains.get("POSTROUTING") or Chain("POSTROUTING", policy="ACCEPT")
    table.chains["POSTROUTING"] = Chain(last.name, (*last.rules, *texts), last.policy)
    return own


def _masquerading(masquerades: Sequence[Masquerade], family: Family) -> Iterator[NftTable]:
    for one in masquerades:
        match = f'{NFT_FAMILY[family]} saddr {one.source} oifname "{one.link}"'
        rule = f'{match} masquerade comment "{one.comment}"'
        header = "type nat hook postrouting priority srcnat; policy accept;"
        yield NftTable(family, {"postrouting": NftChain((rule,), header)}, name=NFT_TABLE)
