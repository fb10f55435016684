"""How a name came to its address: what its sender asks, who answers, whose address that is. Pure.

A question is seen on its way from server to server, where it is known by its letters' case: so
nobody's word is taken for who answered, and no cache is guessed at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from netlab.dns.config import DNSMASQ_PORTS, RESPONDER_PORT
from netlab.dns.resolvconf import ResolvConf, cluster_first
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.problems import did_you_mean
from netlab.objects.types import ServicePort
from netlab.pathcheck.decode import Observation
from netlab.pathcheck.resolve import Asked, Resolved, searched
from netlab.pathcheck.trial import NothingToAddress
from netlab.pathcheck.world import Place, World
from netlab.trace.milliseconds import milliseconds

_DNS = "kube-system/kube-dns"
_UDP_HEADER, _HEADER = 8, 12
_IS_ANSWER = 0x80
_TYPES = {4: 1, 6: 28}
_LOOPBACKS = ("127.0.0.1", "::1")
_NDOTS = 5


class Question(Struct, frozen=True):
    """What was asked, of which Service ("" for none), and the servers that it came to, in words,
    from the first to the one that answered."""

    asked: Asked
    service: str = ""
    way: tuple[str, ...] = ()


class LookUp(Struct, frozen=True):
    """A name's whole story. `owner` is whose the address is, in words; `error` why there is none,
    and `hint` the name that was meant."""

    name: str
    searches: tuple[str, ...]
    questions: tuple[Question, ...]
    addresses: tuple[str, ...] = ()
    owner: str = ""
    error: str = ""
    hint: str = ""

    def json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "name": self.name,
            "searches": list(self.searches),
            "questions": [_as_json(each) for each in self.questions],
            "addresses": list(self.addresses),
            "owner": self.owner,
            "error": self.error,
            "hint": self.hint,
        }


class Unresolved(NothingToAddress):
    """The name has no address; `lookup` tells how that came out."""

    exit_code = 2

    def __init__(self, lookup: LookUp) -> None:
        super().__init__(lookup.error, hint=lookup.hint or "netlab get services -A")
        self.lookup = lookup


def _as_json(question: Question) -> dict[str, Any]:
    asked = question.asked
    return {
        "name": asked.name,
        "type": record_type(asked),
        "server": asked.server,
        "service": question.service,
        "answer": asked.answer,
        "addresses": list(asked.addresses),
        "aliases": list(asked.aliases),
        "servers": list(question.way),
        "milliseconds": milliseconds(asked.seconds),
    }


def record_type(asked: Asked) -> str:
    """A or AAAA."""
    return "AAAA" if asked.version == 6 else "A"


def resolv_conf(place: Place, servers: Sequence[str], world: World) -> ResolvConf:
    """What a place's resolver goes by: a pod's by its dnsPolicy and dnsConfig; a machine has no
    search domains."""
    if place.role != "pod":
        return ResolvConf(nameservers=tuple(servers))
    pod = world.pods[place.name]
    spec = meta.spec(pod)
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    if policy == "Default":
        internet = world.places.get("internet")
        given = ResolvConf(nameservers=internet.addresses[:1] if internet else ())
    elif policy == "None":
        given = ResolvConf()
    else:
        given = cluster_first(meta.namespace(pod), tuple(servers), world.domain)
    return given.with_config(spec.get("dnsConfig") or {})


def names(name: str, conf: ResolvConf) -> list[str]:
    """The names to be tried, in order."""
    ndots = dict(conf.options).get("ndots", "1")
    return searched(name, conf.searches, int(ndots) if ndots.isdigit() else _NDOTS)


def listened_at(place: Place, servers: Sequence[str], world: World) -> list[str]:
    """The places that its questions may come to: its own, its node, the servers', the internet."""
    found = {place.name: None, place.node: None, "internet": None}
    for key, service in world.services.items():
        if key == _DNS or set(servers) & set(meta.spec(service).get("clusterIPs") or ()):
            for port in meta.spec(service).get("ports") or ():
                found |= dict.fromkeys(_behind(key, port, world))
    return [name for name in found if name in world.places]


def _behind(key: str, port: ServicePort, world: World) -> Iterator[str]:
    for version in (4, 6):
        yield from world.endpoints(key, port, version).values()


def told(
    name: str, conf: ResolvConf, found: Resolved, seen: Iterable[Observation], world: World
) -> LookUp:
    """The story of a look-up, of what was answered and what the captures saw of it."""
    passed = sorted(seen, key=lambda one: one.time)
    questions = tuple(
        Question(
            asked,
            _service_of(asked.server, world),
            tuple(_way(asked, passed, world)) if asked.answer else (),
        )
        for asked in found.asked
    )
    return LookUp(
        name=name,
        searches=conf.searches,
        questions=questions,
        addresses=found.addresses,
        owner=_owner(found, world) if found.addresses else "",
        error=found.error,
        hint=_meant(name, conf, world) if found.error else "",
    )


def _way(asked: Asked, seen: Sequence[Observation], world: World) -> Iterator[str]:
    """The servers that a question came to, each once, in the order in which it did."""
    servers = (_server(one, world) for one in seen if _is_question(asked, one))
    yield from dict.fromkeys(each for each in servers if each)


def _is_question(asked: Asked, seen: Observation) -> bool:
    if seen.packet.proto != "udp":
        return False
    data = seen.data
    start = (40 if seen.packet.version == 6 else (data[0] & 0xF) * 4) + _UDP_HEADER
    body = data[start:]
    if len(body) < _HEADER or body[2] & _IS_ANSWER:
        return False
    labels = b"".join(bytes([len(one)]) + one.encode() for one in asked.wire.split("."))
    whole = labels + b"\0" + _TYPES[asked.version].to_bytes(2, "big")
    return body[_HEADER : _HEADER + len(whole)] == whole[: len(body) - _HEADER]


def _server(seen: Observation, world: World) -> str:
    """Who is asked with a packet that was seen; "" for one that only passes by."""
    place, packet = world.places[seen.place], seen.packet
    if packet.dst in _LOOPBACKS:
        if packet.dport == RESPONDER_PORT:
            return f"responder in {seen.place}"
        return f"dnsmasq in {seen.place}" if packet.dport in DNSMASQ_PORTS else ""
    if packet.dst not in place.local or seen.outgoing:
        return ""
    if place.role == "internet":
        return "the internet's DNS"
    if place.role == "node":
        is_cache = packet.dst in place.shared
        return f"node-local cache on {place.name}" if is_cache else place.name
    return place.name


def _service_of(address: str, world: World) -> str:
    for key, service in world.services.items():
        if address in (meta.spec(service).get("clusterIPs") or ()):
            return key
    return ""


def _owner(found: Resolved, world: World) -> str:
    address = found.addresses[0]
    key = _key(found.name, world)
    service = world.services.get(key)
    aliases = next((one.aliases for one in found.asked if one.addresses), ())
    if service is not None and aliases:
        return f"Service {key}, an alias of {aliases[-1]}"
    if service is not None and address not in (meta.spec(service).get("clusterIPs") or ()):
        return f"headless Service {key}"
    for other, one in world.services.items():
        if address in (meta.spec(one).get("clusterIPs") or ()):
            return f"Service {other}"
        if address in (*(meta.spec(one).get("externalIPs") or ()), *ingress_ips(one)):
            return f"Service {other} from outside"
    return world.owner(address) or ""


def _key(name: str, world: World) -> str:
    """The Service that a whole name means, `namespace/name`; also where a pod's name is before."""
    parts = name.lower().removesuffix(f".svc.{world.domain}").split(".")
    return f"{parts[-1]}/{parts[-2]}" if len(parts) > 1 else ""


def _meant(name: str, conf: ResolvConf, world: World) -> str:
    """The name that was meant: the Service's own where its namespace was wrong or left out."""
    short = name.rstrip(".").removesuffix(f".{world.domain}").removesuffix(".svc")
    service, _, space = short.partition(".")
    elsewhere = sorted(key.split("/") for key in world.services if key.endswith(f"/{service}"))
    here = conf.searches[0].partition(".")[0] if conf.searches else ""
    if elsewhere:
        near = did_you_mean(space, [each[0] for each in elsewhere]) or elsewhere[0][0]
        if not conf.searches:
            near = f"{service}.{near}.svc.{world.domain}"
            return f"{near} is a name of the cluster's DNS, which machines outside do not ask"
        at = f"Service {service} is in namespace {near}"
        return f"{at}; did you mean {service}.{near}?"
    wanted = space or here
    known = [key.partition("/")[2] for key in world.services if key.startswith(f"{wanted}/")]
    close = did_you_mean(service, known)
    if close:
        return f"did you mean {f'{close}.{space}' if space else close}?"
    everywhere = {key.partition("/")[2]: key.partition("/")[0] for key in world.services}
    close = did_you_mean(service, everywhere)
    return f"did you mean {close}.{everywhere[close]}?" if close else ""
