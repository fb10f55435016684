"""Which connections are meant by a word of the command line. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.problems import did_you_mean
from netlab.pathcheck.world import World
from netlab.traffic.opening import Opening

_PLACES = {
    "pod": "pod", "pods": "pod", "po": "pod", "node": "node", "nodes": "node", "no": "node",
    "client": "client",
}  # fmt: skip
_SERVICES = ("svc", "service", "services")
EXAMPLE = "svc/NAME, pod/NAME, node/NAME, client/NAME"


class Chosen(Struct, frozen=True):
    """`words` says who is meant, `has` whether a connection is his. If all have a destination that
    is translated, no others need be told of; on `node` alone, where that is not ""."""

    words: str
    has: Callable[[Opening], bool]
    translated: bool = True
    node: str = ""


def chosen(word: str, world: World, namespace: str) -> Chosen:
    """`svc/NAME[:PORT]`, `pod/NAME`, `node/NAME`, `client/NAME`, the bare NAME of any of them, or
    "" for all Services. `UsageError` for what there is not."""
    if not word:
        return Chosen("all Services", lambda one: one.virtual is not None)
    kind, slash, rest = word.partition("/")
    if slash and kind in _SERVICES:
        return _service(rest, world, namespace)
    known = slash and kind in _PLACES
    name = rest if known else word
    for key in (name, f"{namespace}/{name}"):
        place = world.places.get(key)
        if place is not None and (not known or place.role == _PLACES[kind]):
            return _node(key) if place.role == "node" else _place(key)
    key = f"{namespace}/{name}"
    if key in world.pods and not (known and _PLACES[kind] != "pod"):
        return _without_address(key, world)
    if not known and f"{namespace}/{word.partition(':')[0]}" in world.services:
        return _service(word, world, namespace)
    names = [one.removeprefix(f"{namespace}/") for one in (*world.places, *world.services)]
    meant = did_you_mean(name, names)
    raise UsageError(f"there is no {word}", hint=f"did you mean {meant}?" if meant else EXAMPLE)


def _service(text: str, world: World, namespace: str) -> Chosen:
    name, _, port = text.partition(":")
    key = f"{namespace}/{name}"
    service = world.services.get(key)
    if service is None:
        meant = did_you_mean(name, [one.partition("/")[2] for one in world.services])
        hint = f"did you mean svc/{meant}?" if meant else "netlab get services -A"
        raise UsageError(f"there is no Service {key}", hint=hint)
    ports = meta.spec(service).get("ports") or []
    wanted = [one for one in ports if port in ("", str(one["port"]), one.get("name"))]
    if not wanted:
        known = ", ".join(str(one["port"]) for one in ports) or "none"
        raise UsageError(f"Service {key} has no port {port}", hint=f"there are: {known}")
    if (meta.spec(service).get("clusterIP") or "None") == "None":
        hint = f"sudo netlab watch pod/NAME: netlab get endpoints {name}"
        raise UsageError(f"Service {key} has no address, so nothing is sent to it", hint=hint)
    named = {one.get("name") or "" for one in wanted}

    def has(one: Opening) -> bool:
        return one.service == key and one.virtual is not None and one.virtual.port in named

    return Chosen(f"Service {key}{f':{port}' if port else ''}", has)


def _place(key: str) -> Chosen:
    return Chosen(key, lambda one: key in (one.client.name, one.endpoint.name), translated=False)


def _node(key: str) -> Chosen:
    return Chosen(
        f"Services on {key}", lambda one: one.node == key and one.virtual is not None, node=key
    )


def _without_address(key: str, world: World) -> Chosen:
    spec = meta.spec(world.pods[key])
    if spec.get("hostNetwork"):
        raise UsageError(
            f"pod {key} is on its node's network", hint=f"node/{spec.get('nodeName') or 'NAME'}"
        )
    raise UsageError(f"pod {key} has no address", hint="netlab get pods -A -o wide")
