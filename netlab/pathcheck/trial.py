"""A PathCheck made concrete: from which namespace, to which addresses, who should answer. Pure.

`plan` raises `CannotRun` for what is not there to be checked: that is neither pass nor fail; and
`NothingToAddress` for what is there and cannot work.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.kinds.workloads import REPLICA_SET
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.pathcheck import AT_ANNOUNCER, AT_SENDER, PathCheck, Target
from netlab.objects.problems import did_you_mean, other_namespace
from netlab.objects.types import Service, ServicePort
from netlab.pathcheck import spread
from netlab.pathcheck.decode import endpoint, split
from netlab.pathcheck.protocols import PROTOCOLS, Protocol
from netlab.pathcheck.world import Place, World

PortProtocol = Literal["TCP", "UDP"]

NO_PORT: ServicePort = {"port": 0}
"""Stands for a Service's port where the protocol has none."""


class CannotRun(NetlabError):
    """The check cannot be made: something it names is not in the lab."""

    exit_code = 2


class NothingToAddress(NetlabError):
    """Nothing can be sent, because the Service does not work: the check has failed."""


class Trial(Struct, frozen=True):
    """What to send, and what must come of it.

    `targets` are the `(address, port)` pairs to try in turn; while `name` is set they stand for
    what a look-up of it must give. `endpoints` are those there are (`address:port` → place),
    None when the target is no Service; `wanted` those that must answer, None for whichever.
    `announcer` is the node that answers for the load balancer's address. `source_port` 0 is any;
    `payload` what a packet carries behind the mark that it is known by.
    """

    check: PathCheck
    place: Place
    protocol: Protocol
    targets: tuple[tuple[str, int], ...]
    name: str = ""
    name_servers: tuple[str, ...] = ()
    endpoints: Mapping[str, str] | None = None
    wanted: frozenset[str] | None = None
    affinity: bool = False
    announcer: str = ""
    source_port: int = 0
    payload: str = ""

    @property
    def node(self) -> str:
        """The node that the sender runs on, or is."""
        return self.place.node or self.place.name

    def node_of(self, at: str) -> str:
        """The place that a check's `dnat.at` or `masquerade.at` means."""
        return {AT_SENDER: self.node, AT_ANNOUNCER: self.announcer}.get(at, at)

    @property
    def version(self) -> int:
        """The IP version of the targets."""
        if self.check.target.version:
            return self.check.target.version
        return 6 if self.targets and ":" in self.targets[0][0] else 4

    def tries(self) -> int:
        """How many tries it takes at first."""
        expect = self.check.expect
        if expect.outcome != "reachable":
            return 1
        if expect.spread is not None:
            return expect.spread.tries
        if expect.endpoints is None or self.endpoints is None:
            return 1
        return min(spread.MOST, max(len(self.targets), spread.tries_for(len(self.endpoints))))

    def most_tries(self) -> int:
        """How many tries it takes until nobody's missing can be chance."""
        expect = self.check.expect
        each = expect.spread.at_least if expect.spread is not None else 1
        count = len(self.endpoints or ())
        if count < 2 or (expect.spread is None and expect.endpoints is None):
            return self.tries()
        return max(self.tries(), min(spread.MOST, spread.tries_for(count, each)))

    def resolved(self, addresses: tuple[str, ...]) -> Trial:
        """The trial with the addresses that the name's look-up gave."""
        port = self.targets[0][1]
        ports = dict(self.targets)
        return replace(self, targets=tuple((each, ports.get(each, port)) for each in addresses))


def plan(check: PathCheck, world: World) -> Trial:
    """What to send for a check, in the world as it is."""
    place = _sender(check, world)
    target = check.target
    if target.service:
        return _to_service(check, place, world)
    if target.host_port:
        return _to_host_port(check, place, world)
    if target.node:
        return _to_node_port(check, place, world)
    if target.pod:
        owner = _place(world, f"{target.namespace}/{target.pod}", "pod")
        return _direct(check, place, _of_version(owner.addresses, check, f"pod {owner.name}"))
    return _to_address(check, place, world)


def _sender(check: PathCheck, world: World) -> Place:
    sender = check.sender
    if sender.kind == "deployment":
        pods = pods_of(sender.name, sender.namespace, world)
        ready = [key for key in pods if key in world.places and meta.is_ready(world.pods[key])]
        if not ready:
            raise CannotRun(
                f"Deployment {sender.namespace}/{sender.name} has no ready pod",
                hint=f"see `netlab get pods -n {sender.namespace}`",
            )
        return world.places[sorted(ready)[0]]
    name = f"{sender.namespace}/{sender.name}" if sender.kind == "pod" else sender.name
    return _place(world, name, sender.kind)


def _place(world: World, name: str, kind: str) -> Place:
    place = world.places.get(name)
    if place is None or place.role != kind:
        where = "netlab get pods -A" if kind == "pod" else "netlab status"
        space = name[: name.rfind("/") + 1]  # which alone makes names of one namespace alike
        there = (each.name for each in world.places.values() if each.role == kind)
        known = [each.removeprefix(space) for each in there if each.startswith(space)]
        meant = did_you_mean(name.removeprefix(space), known)
        hint = f"did you mean {space}{meant}?" if meant else f"see `{where}`"
        raise CannotRun(f"there is no running {kind} {name}", hint=hint)
    return place


def _direct(check: PathCheck, place: Place, address: str) -> Trial:
    port = int(check.target.port or 0)
    return Trial(check, place, _protocol(check.target.protocol), ((address, port),))


def _to_address(check: PathCheck, place: Place, world: World) -> Trial:
    address = check.target.address
    try:
        found = str(ipaddress.ip_address(address))
    except ValueError:
        trial = _direct(check, place, "")
        return replace(trial, name=address, name_servers=_name_servers(place, world))
    return _direct(check, place, _of_version((found,), check, "the address"))


def _of_version(addresses: Sequence[str], check: PathCheck, whose: str) -> str:
    """The first address of the IP version that is asked for, or the first of all."""
    version = check.target.version
    alike = [each for each in addresses if not version or (":" in each) == (version == 6)]
    if not alike:
        raise CannotRun(f"{whose} has no IPv{version} address", hint=f"it has {addresses[0]}")
    return alike[0]


def _meant(target: Target, world: World) -> str:
    if space := other_namespace(target.service, world.services):
        return f"one is in namespace {space}: -n {space}, or svc/{space}/{target.service}"
    here = [one for one in world.services.values() if meta.namespace(one) == target.namespace]
    meant = did_you_mean(target.service, map(meta.name, here))
    return f"did you mean {meant}?" if meant else "netlab get services -A"


def _to_service(check: PathCheck, place: Place, world: World) -> Trial:
    target = check.target
    key = f"{target.namespace}/{target.service}"
    service = world.services.get(key)
    if service is None:
        raise CannotRun(f"there is no Service {key}", hint=_meant(target, world))
    protocol, port, spec = _protocol(target.protocol), NO_PORT, meta.spec(service)
    if protocol.has_ports:
        port = _port(key, service, check)
        protocol = _protocol(port.get("protocol") or "TCP")
    trial = Trial(check, place, protocol, (), affinity=spec.get("sessionAffinity") == "ClientIP")
    if target.node:
        return _at_node(trial, key, port, world)
    if target.by == "loadBalancer":
        return _at_load_balancer(trial, key, port, world)
    addresses = [each for each in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if each]
    if addresses and addresses[0] != "None":
        address = _of_version(addresses, check, f"Service {key}")
        trial = replace(trial, targets=((address, port["port"]),))
        trial = _with_endpoints(trial, key, port, world)
    elif spec.get("type") == "ExternalName":
        trial = replace(trial, targets=(("", port["port"]),))
    else:
        trial = _headless(trial, key, port, world)
    return _by_name(trial, world) if target.by == "name" else trial


def _by_name(trial: Trial, world: World) -> Trial:
    target, sender = trial.check.target, trial.check.sender
    here = sender.namespace == target.namespace
    name = target.service if here else f"{target.service}.{target.namespace}"
    return replace(trial, name=name, name_servers=_name_servers(trial.place, world))


def _headless(trial: Trial, key: str, port: ServicePort, world: World) -> Trial:
    wanted = trial.check.target.version
    for version in (wanted,) if wanted else (4, 6):
        endpoints = world.endpoints(key, port, version)
        if endpoints:
            trial = replace(trial, targets=tuple(map(split, endpoints)))
            return _with_endpoints(trial, key, port, world)
    if trial.check.target.by == "name":  # DNS will say that it has none
        return _with_endpoints(replace(trial, targets=(("", port["port"]),)), key, port, world)
    raise NothingToAddress(f"the headless Service {key} has no ready endpoint to address")


def _at_node(trial: Trial, key: str, port: ServicePort, world: World) -> Trial:
    if not port.get("nodePort"):
        raise CannotRun(f"the Service {key} has no nodePort", hint="its type must be NodePort")
    families = meta.spec(world.services[key]).get("ipFamilies") or ["IPv4"]
    address = _node_address(trial.check, world, families)
    trial = replace(trial, targets=((address, port["nodePort"]),))
    return _with_endpoints(trial, key, port, world)


def _at_load_balancer(trial: Trial, key: str, port: ServicePort, world: World) -> Trial:
    addresses, announcer = ingress_ips(world.services[key]), world.announcer(key)
    if not addresses:
        raise CannotRun(
            f"the Service {key} has no load balancer's address",
            hint="its type must be LoadBalancer; its events say what else it lacks",
        )
    expect = trial.check.expect
    if announcer is None and AT_ANNOUNCER in (expect.dnat_at, expect.masquerade_at):
        raise CannotRun(f"no node answers for {addresses[0]} of the Service {key}")
    address = _of_version(addresses, trial.check, f"the load balancer of Service {key}")
    trial = replace(trial, targets=((address, port["port"]),), announcer=announcer or "")
    return _with_endpoints(trial, key, port, world)


def _to_node_port(check: PathCheck, place: Place, world: World) -> Trial:
    number = check.target.node_port  # 0 for the node itself
    address = _node_address(check, world)
    trial = Trial(check, place, _protocol(check.target.protocol), ((address, number),))
    for key, service in world.services.items():
        for port in meta.spec(service).get("ports") or []:
            if number and port.get("nodePort") == number:
                families = meta.spec(service).get("ipFamilies") or ["IPv4"]
                address = _node_address(check, world, families)
                trial = replace(trial, targets=((address, number),))
                return _with_endpoints(trial, key, port, world)
    return trial


def _to_host_port(check: PathCheck, place: Place, world: World) -> Trial:
    number, protocol = check.target.host_port, check.target.protocol
    address = _node_address(check, world)
    trial = Trial(check, place, _protocol(protocol), ((address, number),))
    endpoints = world.host_endpoints(check.target.node, number, protocol, address)
    return _with(trial, endpoints, world) if endpoints else trial


def _node_address(check: PathCheck, world: World, families: Sequence[str] = ()) -> str:
    """The node's first address; of a Service's `families` the first that it has, if it has one."""
    node = _place(world, check.target.node, "node")
    is_external = check.target.node_address == "external"
    addresses = node.external if is_external else node.addresses
    if not addresses:
        raise CannotRun(f"node {node.name} has no external address")
    # Who asks by one version means it; else the Service says by which it may be asked.
    for family in () if check.target.version else families:
        for address in addresses:
            if (":" in address) == (family == "IPv6"):
                return address
    return _of_version(addresses, check, f"node {node.name}")


def _with_endpoints(trial: Trial, key: str, port: ServicePort, world: World) -> Trial:
    return _with(trial, world.endpoints(key, port, trial.version), world)


def _with(trial: Trial, endpoints: Mapping[str, str], world: World) -> Trial:
    expected = trial.check.expect.endpoints
    wanted: frozenset[str] | None = None
    if expected == "all":
        wanted = frozenset(endpoints)
    elif isinstance(expected, tuple):
        names = (_named(name, trial, endpoints, world) for name in expected)
        wanted = frozenset(each for found in names for each in found)
    return replace(trial, endpoints=endpoints, wanted=wanted)


def _named(name: str, trial: Trial, endpoints: Mapping[str, str], world: World) -> dict[str, str]:
    """The endpoints that a name in a check's list means: an address, a pod or a Deployment."""
    namespace = trial.check.target.namespace
    places = {f"{namespace}/{name}", *pods_of(name, namespace, world)}
    found = {
        each: place
        for each, place in endpoints.items()
        if place in places or split(each)[0] == name
    }
    if found:
        return found
    # Not an endpoint now: then nobody will be seen there, and the check fails saying so.
    owned = [world.places[place].addresses[0] for place in places if place in world.places]
    ports = {split(each)[1] for each in endpoints} or {trial.targets[0][1]}
    return {endpoint(each, port): name for each in owned or [name] for port in ports}


def pods_of(deployment: str, namespace: str, world: World) -> set[str]:
    """The keys of a Deployment's pods: those whose ReplicaSet is called after it."""
    found = set()
    for key, pod in world.pods.items():
        owner = meta.controller_of(pod)
        if meta.namespace(pod) == namespace and owner and owner.get("kind") == REPLICA_SET.kind:
            suffix = meta.labels(pod).get("pod-template-hash", "")
            if owner["name"] == f"{deployment}-{suffix}":
                found.add(key)
    return found


def _port(key: str, service: Service, check: PathCheck) -> ServicePort:
    """The Service's port that is meant; one it does not have is asked for as it stands."""
    wanted, protocol = check.target.port, cast(PortProtocol, check.target.protocol)
    ports = meta.spec(service).get("ports") or []
    same = [port for port in ports if (port.get("protocol") or "TCP") == protocol]
    if wanted is None:
        if len(same) == 1:
            return same[0]
        if len(ports) == 1 and protocol == "TCP":  # nobody may have said so
            return ports[0]
        if ports and not same and protocol != "TCP":
            have = ", ".join(f"{one['port']}/{one.get('protocol') or 'TCP'}" for one in ports)
            raise CannotRun(f"the Service {key} has no {protocol} port", hint=f"it has {have}")
        raise CannotRun(f"the Service {key} has {len(ports)} ports", hint="write to.port: which")
    matching = [port for port in same if wanted in (port.get("name"), port.get("port"))]
    if matching:
        return matching[0]
    if isinstance(wanted, str):
        raise CannotRun(f"the Service {key} has no {protocol} port {wanted}")
    return {"port": wanted, "protocol": protocol}


def _protocol(name: str) -> Protocol:
    known = {protocol.name.upper(): protocol for protocol in PROTOCOLS}
    if name not in known:
        raise CannotRun(f"netlab check sends no {name}", hint=f"it knows {', '.join(known)}")
    return known[name]


def _name_servers(place: Place, world: World) -> tuple[str, ...]:
    """Pods ask the cluster's DNS; machines ask the internet's."""
    if place.role == "pod":
        if not world.name_servers:
            raise CannotRun("there is no Service kube-system/kube-dns to ask for names")
        return world.name_servers
    internet = world.places.get("internet")
    if internet is None:
        raise CannotRun("there is no internet in this lab to ask for names")
    return internet.addresses[:1]
