"""The two sides of a conversation, from the words of a command line. Pure.

A Service is all that its packets are addressed to on their way: its own addresses, its nodePorts,
its endpoints. Who comes from outside is masqueraded by nodes, so their addresses are his as well.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.addresses import canonical, is_address
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.problems import did_you_mean
from netlab.objects.types import Service, ServicePort
from netlab.pathcheck.conversation import Conversation, Side
from netlab.pathcheck.decode import split
from netlab.pathcheck.trial import pods_of
from netlab.pathcheck.world import World

_PLACES = {
    "pod": "pod", "pods": "pod", "po": "pod", "node": "node", "nodes": "node", "no": "node",
    "client": "client",
}  # fmt: skip
_DEPLOYMENTS = ("deploy", "deployment", "deployments")
_SERVICES = ("svc", "service", "services")


def conversation_of(
    sender: str, target: str, world: World, *, namespace: str, protocols: frozenset[int]
) -> Conversation:
    """What is between them; "" is anybody. `UsageError` for words that mean nothing here."""
    one = side_of(sender, world, namespace) if sender else None
    other = side_of(target, world, namespace) if target else None
    if one is not None and other is not None:
        pods = _addresses(world, "pod")
        if not (one.all() <= pods and other.all() & pods):
            one = replace(one, addresses=one.addresses | _addresses(world, "node"))
    return Conversation(one, other, protocols)


def _addresses(world: World, role: str) -> frozenset[str]:
    places = (place for place in world.places.values() if place.role == role)
    return frozenset(address for place in places for address in place.addresses)


def side_of(word: str, world: World, namespace: str) -> Side:
    """Who is meant by `pod/NAME:PORT`, `node/NAME`, `deploy/NAME`, `svc/NAME:PORT`, `client`, the
    bare `NAME` of any of them, an address."""
    kind, slash, rest = word.partition("/")
    if slash and kind in _SERVICES:
        return _service(*_port(rest), world, namespace)
    if slash and kind in _DEPLOYMENTS:
        name, port = _port(rest)
        keys = pods_of(name, namespace, world)
        return _at([a for key in sorted(keys) for a in _owned(world, key)], port, word)
    name, port = _port(rest if slash and kind in _PLACES else word)
    if found := _address(word):
        return _at([found[0]], found[1], word)
    for key in (name, f"{namespace}/{name}"):
        if _owned(world, key) and _PLACES.get(kind, _role(world, key)) == _role(world, key):
            return _at(_owned(world, key), port, word)
    if not slash and _key(name, namespace) in world.services:
        return _service(name, port, world, namespace)
    known = [one.removeprefix(f"{namespace}/") for one in (*world.places, *world.services)]
    meant = did_you_mean(name, known)
    hint = f"did you mean {meant}?" if meant else "svc/NAME:PORT, pod/NAME, node/NAME, an address"
    raise UsageError(f"there is no {word}", hint=hint)


def _address(word: str) -> tuple[str, str] | None:
    """The address and the port of `10.0.0.1:80`, `[fd00::1]:80`, `fd00::1`; None for a name."""
    if is_address(word.strip("[]")):
        return canonical(word.strip("[]")), ""
    address, _, port = word.rpartition(":")
    address = address.strip("[]")
    return (canonical(address), port) if is_address(address) else None


def _role(world: World, key: str) -> str:
    return world.places[key].role


def _owned(world: World, key: str) -> tuple[str, ...]:
    place = world.places.get(key)
    return place.addresses if place is not None else ()


def _at(addresses: list[str] | tuple[str, ...], port: str, word: str) -> Side:
    if not addresses:
        raise UsageError(f"{word} has no address yet", hint="netlab get pods -A -o wide")
    if not port:
        return Side(frozenset(addresses))
    if not port.isdigit():
        raise UsageError(f"{port} in {word} is no port", hint="a number: pod/NAME:PORT")
    return Side(doors=frozenset((each, int(port)) for each in addresses))


def _key(name: str, namespace: str) -> str:
    first, _, rest = name.partition(".")
    return f"{rest.partition('.')[0] or namespace}/{first}"


def _service(name: str, port: str, world: World, namespace: str) -> Side:
    key = _key(name, namespace)
    service = world.services.get(key)
    if service is None:
        meant = did_you_mean(name, [one.partition("/")[2] for one in world.services])
        hint = f"did you mean svc/{meant}?" if meant else "netlab get services -A"
        raise UsageError(f"there is no Service {key}", hint=hint)
    ports = list(meta.spec(service).get("ports") or [])
    wanted = [one for one in ports if port in ("", str(one["port"]), one.get("name"))]
    if not wanted:
        known = ", ".join(str(one["port"]) for one in ports) or "none"
        raise UsageError(f"Service {key} has no port {port}", hint=f"there are: {known}")
    doors = frozenset(door for one in wanted for door in _doors(key, service, one, world))
    return Side(doors=doors)


def _doors(
    key: str, service: Service, port: ServicePort, world: World
) -> Iterator[tuple[str, int]]:
    spec = meta.spec(service)
    own = [each for each in spec.get("clusterIPs") or [spec.get("clusterIP", "")] if each]
    for address in (*own, *(spec.get("externalIPs") or ()), *ingress_ips(service)):
        if address != "None":
            yield address, port["port"]
    if number := port.get("nodePort"):
        for place in world.places.values():
            if place.role == "node":
                yield from ((address, number) for address in place.addresses)
    for version in (4, 6):
        yield from map(split, world.endpoints(key, port, version))


def _port(word: str) -> tuple[str, str]:
    name, _, port = word.partition(":")
    return name, port
