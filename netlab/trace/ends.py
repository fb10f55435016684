"""Who sends and whom it is for, from the words of a command line. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.pathcheck import Expectation, PathCheck, Protocol, Sender, SenderKind, Target
from netlab.objects.problems import did_you_mean, other_namespace
from netlab.objects.types import Service
from netlab.pathcheck.decode import split
from netlab.pathcheck.world import World
from netlab.trace.selection import any_of, is_selector

_SENDERS: dict[str, SenderKind] = {
    "pod": "pod", "pods": "pod", "po": "pod", "deploy": "deployment", "deployment": "deployment",
    "deployments": "deployment", "node": "node", "nodes": "node", "no": "node", "client": "client",
}  # fmt: skip
_SERVICE = ("svc", "service", "services")
_LOAD_BALANCERS = ("lb", "loadbalancer")
_PODS = ("pod", "pods", "po")
_LAST_PORT = 65535
_BROADCAST = "255.255.255.255"
SELECTOR = "selector"
"""Before labels: any pod that has them."""


def check_of(
    sender: str, target: str, world: World, *, namespace: str, protocol: Protocol,
    with_port: bool = True,
) -> PathCheck:  # fmt: skip
    """A check of that one way. `UsageError` for words that mean nothing in this world; for a target
    that lacks its port, unless it is to be known without one."""
    found = sender_of(sender, world, namespace)
    wanted = _target(target, found, world, namespace, protocol)
    _require_somebody(target, wanted)
    for port in (wanted.port, wanted.node_port or None):
        _require_port(port)
    if with_port and protocol != "ICMP":
        _check_port(target, wanted, world)
    return PathCheck("trace", found, wanted, Expectation())


def _check_port(word: str, target: Target, world: World) -> None:
    """Nobody listens on port 0: who is no Service, which may have one alone, needs one."""
    key = f"{target.namespace}/{target.pod}" if target.pod else world.owner(target.address) or ""
    is_unknown = target.pod and key not in world.pods  # which is told instead
    if target.service or target.port or target.node_port or is_unknown:
        return
    known = list(dict.fromkeys(_ports_of(key, target.protocol, world)))
    has = f"; its pod names {', '.join(map(str, known))}" if known else ""
    shown = f"[{word}]" if word.count(":") > 1 and "[" not in word else word
    example = f"{shown}:{known[0] if known else 80}"
    raise UsageError(
        f"{word} is asked by {target.protocol} on which port?{has}",
        hint=f"{example}, or --icmp, which has none",
    )


def _ports_of(key: str, protocol: Protocol, world: World) -> Iterator[int]:
    """Those that a pod's containers name; none of what is no pod."""
    containers = meta.spec(world.pods[key]).get("containers") or () if key in world.pods else ()
    for container in containers:
        for port in container.get("ports") or ():
            if (port.get("protocol") or "TCP") == protocol:
                yield port["containerPort"]


def check_of_service(sender: str, service: Service, port: str, world: World) -> PathCheck:
    """A check of the way by which that sender comes to a Service: a pod by its name, a client by
    its load balancer or its nodePort where it has one, else by its ClusterIP. `port` is a number,
    a name, or "" for its first."""
    space, spec = meta.namespace(service), meta.spec(service)
    _require_port(int(port) if port.isdigit() else port)
    found = sender_of(sender, world, space)
    if spec.get("type") == "ExternalName" and not port and not spec.get("ports"):
        alias = f"{meta.name(service)} is another name for {spec.get('externalName')}"
        raise UsageError(f"{alias}, and has no ports", hint=f"{meta.name(service)}:80 says which")
    known: list[Any] = list(spec.get("ports") or [{"port": 0}])
    wanted = [one for one in known if port in ("", str(one["port"]), one.get("name"))]
    target = Target(
        service=meta.name(service),
        namespace=space,
        port=wanted[0]["port"] if wanted else int(port) if port.isdigit() else port,
        protocol=(wanted or known)[0].get("protocol") or "TCP",
        by="name" if found.is_pod else "address",
    )
    if found.kind == "client" and ingress_ips(service):
        target = replace(target, by="loadBalancer")
    elif found.kind == "client" and wanted and wanted[0].get("nodePort"):
        node = next(name for name, place in world.places.items() if place.role == "node")
        target = replace(target, node=node, node_address="external")
    return PathCheck("why", found, target, Expectation())


def _require_port(port: int | str | None) -> None:
    if isinstance(port, int) and not 1 <= port <= _LAST_PORT:
        raise UsageError(f"{port} is no port", hint=f"1 to {_LAST_PORT}")


def _require_somebody(word: str, target: Target) -> None:
    """One machine has to be meant, or one Service."""
    if not (target.service or target.pod or target.node or target.address):
        raise UsageError(f"{word} has no name", hint="svc/NAME:PORT, pod/NAME:PORT")
    try:
        address = ipaddress.ip_address(target.address)
    except ValueError:  # a name
        return
    if address.is_multicast or address.is_unspecified or str(address) == _BROADCAST:
        raise UsageError(f"{address} is no one machine's", hint="a trace follows one packet to one")


def sender_of(word: str, world: World, namespace: str) -> Sender:
    """Who is meant: `pod/NAME`, `NAME`, `NAMESPACE/NAME`, `deploy/NAME`, a node, a client, or whose
    address it is."""
    word = world.owner(word.strip("[]")) or word
    kind, slash, name = word.partition("/")
    if kind == SELECTOR or (kind in _PODS and is_selector(name)):
        return Sender("pod", any_of(name, world, namespace), namespace)
    if slash and kind in _SENDERS:
        space, slash, rest = name.partition("/")
        return Sender(_SENDERS[kind], rest if slash else name, space if slash else namespace)
    key = word if slash else f"{namespace}/{word}"
    for name, one in ((word, world.places.get(word)), (key, world.places.get(key))):
        if one is not None and one.role == "pod":
            space, _, pod = name.partition("/")
            return Sender("pod", pod, space)
        if one is not None and one.role in ("node", "client"):
            return Sender("node" if one.role == "node" else "client", name, namespace)
    raise UsageError(f"there is no pod, node or client {word}", hint=_meant(word, world, namespace))


def _meant(word: str, world: World, namespace: str) -> str:
    if space := other_namespace(word, world.places):
        return f"one is in namespace {space}: {space}/{word}"
    meant = did_you_mean(word, [name.removeprefix(f"{namespace}/") for name in world.places])
    return f"did you mean {meant}?" if meant else "netlab get pods -A; netlab status"


def _target(word: str, sender: Sender, world: World, namespace: str, protocol: Protocol) -> Target:
    kind, slash, rest = word.partition("/")
    if not slash:
        return _named(word, sender, world, namespace, protocol)
    name, port = _port(rest)
    if kind == SELECTOR or (kind in _PODS and is_selector(name)):
        kind, name = "pod", any_of(name, world, namespace)
    elif "/" in name:
        namespace, _, name = name.partition("/")
    elif kind in (*_SERVICE, *_LOAD_BALANCERS) and "." in name:  # as DNS has it: no name has dots
        name, _, space = name.partition(".")
        namespace = space.partition(".")[0]
    if kind in _LOAD_BALANCERS:
        return Target(
            service=name, namespace=namespace, port=port, protocol=protocol, by="loadBalancer"
        )
    if kind in _SERVICE:
        return Target(service=name, namespace=namespace, port=port, protocol=protocol)
    number = port if isinstance(port, int) else None
    if kind in _PODS:
        return Target(pod=name, namespace=namespace, port=number, protocol=protocol)
    if kind in ("node", "nodes", "no"):
        return Target(
            node=name,
            node_port=number or 0,
            protocol=protocol,
            node_address="external" if sender.kind == "client" else "internal",
        )
    raise UsageError(
        f"nobody knows what {word} is",
        hint="svc/NAME:PORT, lb/NAME:PORT, pod/NAME:PORT, node/NAME:PORT, ADDRESS:PORT",
    )


def _named(word: str, sender: Sender, world: World, namespace: str, protocol: Protocol) -> Target:
    """An address, or a name: of a Service as DNS has it, or any other."""
    address, number = split(word)
    if number or ":" in address.strip("[]") or not address[-1:].isalpha():
        name, port = address.strip("[]"), number or None
    else:
        name, port = address, None
    first, _, space = name.partition(".")
    key = f"{space.partition('.')[0] or namespace}/{first}"
    if key in world.services and sender.is_pod:
        space = key.partition("/")[0]
        return Target(service=first, namespace=space, port=port, protocol=protocol, by="name")
    return Target(address=name, namespace=namespace, port=port, protocol=protocol)


def _port(word: str) -> tuple[str, int | str | None]:
    name, _, port = word.partition(":")
    return name, int(port) if port.isdigit() else port or None
