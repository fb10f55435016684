"""Ports that lead nowhere: a name that no container has, a number that nobody listens on. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

from netlab.diagnosis.facts import (
    Cause,
    Facts,
    ListeningSocket,
    count,
    label,
    listed,
    ports,
    protocol_of,
)
from netlab.diagnosis.remedies import describe
from netlab.diagnosis.remedies import target_port as set_target_port
from netlab.objects import meta
from netlab.objects.addresses import join_host_port
from netlab.objects.offers import address_of, addresses, declared, target_port
from netlab.objects.problems import did_you_mean
from netlab.objects.types import Pod, Service, ServicePort


def nowhere(service: Service, port: ServicePort, family: str, pods: Sequence[Pod]) -> Cause | None:
    """Why ready pods are no endpoints of a port: it has no such name, they no such address."""
    nameless = [pod for pod in pods if target_port(port, protocol_of(port), pod) is None]
    if len(nameless) == len(pods):
        return _no_name(service, port, pods)
    if not any(address_of(pod, family) for pod in pods):
        has = listed(sorted({ip for pod in pods for ip in addresses(pod)}))
        text = f"no {family} address on its pods, and the Service wants one (they have {has})"
        return Cause("NoAddressOfFamily", text, pods=_names(pods))
    return None


def _no_name(service: Service, port: ServicePort, pods: Sequence[Pod]) -> Cause:
    name, protocol = str(port.get("targetPort")), protocol_of(port)
    offered = {
        (one["name"], one.get("protocol") or "TCP")
        for pod in pods
        for one in declared(pod)
        if one.get("name")
    }
    others = [other for found, other in offered if found == name]
    names = sorted(found for found, other in offered if other == protocol)
    meant = did_you_mean(name, names) or (names[0] if len(names) == 1 else "")
    if others:
        hint = f"it is {others[0]} there, and {protocol} in the Service"
    elif near := did_you_mean(name, names):
        hint = f"nearest: {near}"
    elif names:
        hint = f"there are: {listed(names)}"
    else:
        hint = _unnamed(pods)
    text = f"no port named {name} on its pods ({hint})"
    mended = set_target_port(service, port, meant) if meant and not others else ""
    return Cause("NoPortOfName", text, label(service, port), pods=_names(pods), remedy=mended)


def _unnamed(pods: Iterable[Pod]) -> str:
    numbers = sorted({one["containerPort"] for pod in pods for one in declared(pod)})
    if not numbers:
        return "their containers declare no ports"
    return f"their ports have no names: {listed(list(map(str, numbers)))}"


def partly_nameless(service: Service, port: ServicePort, pods: Sequence[Pod]) -> Iterator[Cause]:
    """A port's name that some of the pods lack: those get none of its packets."""
    lacking = [pod for pod in pods if target_port(port, protocol_of(port), pod) is None]
    if lacking and len(lacking) < len(pods):
        text = f"no port named {port.get('targetPort')} on {_some(lacking, pods)}"
        yield Cause("NoPortOfName", text, label(service, port), pods=_names(lacking))


def unheard(
    service: Service, port: ServicePort, family: str, pods: Sequence[Pod], facts: Facts
) -> Iterator[Cause]:
    """Endpoints at which nobody listens, as far as that is known: connections are refused."""
    deaf: dict[str, list[Pod]] = {}
    remedies: dict[str, str] = {}
    for pod in pods:
        number, found = target_port(port, protocol_of(port), pod), facts.listeners(pod)
        if number is None or found is None or protocol_of(port) == "SCTP":
            continue
        text = nobody_listens(protocol_of(port), number, address_of(pod, family), found)
        if text:
            deaf.setdefault(text, []).append(pod)
            remedies.setdefault(text, remedy(service, port, pod, number, found))
    for text, those in deaf.items():
        where = "its pods" if len(those) == len(pods) > 1 else _some(those, pods)
        yield Cause(
            "NobodyListens",
            f"{text} in {where}",
            label(service, port),
            pods=_names(those),
            remedy=remedies[text] if len(those) == len(pods) else "",
        )


def remedy(
    service: Service,
    port: ServicePort,
    pod: Pod,
    number: int,
    found: Collection[ListeningSocket],
) -> str:
    """What to do where nobody listens on that number in a pod: have the Service's port lead to the
    one that is listened on, or the program listen for all. "" where that is not known."""
    mine = [one for one in found if one.protocol == protocol_of(port)]
    if any(one.port == number and not _public(one) for one in mine):
        return describe("pod", pod) + "    # its program is to listen on 0.0.0.0 (or ::)"
    there = public_ports(protocol_of(port), found)
    others = {one.protocol for one in found if one.port == number and _public(one)}
    if others and not mine and _is_alone(service, port):
        return set_target_port(service, {**port, "protocol": others.pop()}, number)
    only = there.pop() if len(there) == 1 and number not in there else None
    return set_target_port(service, port, only) if only is not None else ""


def _is_alone(service: Service, port: ServicePort) -> bool:
    """Whether the number says which port of the Service is meant: a patch goes by that."""
    return sum(one["port"] == port["port"] for one in ports(service)) == 1


def public_ports(protocol: str, found: Iterable[ListeningSocket]) -> set[int]:
    """Those that are listened on for others, too."""
    return {one.port for one in found if one.protocol == protocol and _public(one)}


def nobody_listens(
    protocol: str, number: int, address: str | None, found: Collection[ListeningSocket]
) -> str:
    """`nothing listens on 8080 (but on 80)`; "" when something does at that address, or for None.

    What listens on another address than the pod's is no help: `127.0.0.1` is the usual one.
    """
    if address is None or any(_hears(one, protocol, number, address) for one in found):
        return ""
    mine = f"{number}/{protocol}" if protocol != "TCP" else str(number)
    elsewhere = {one.address for one in found if (one.protocol, one.port) == (protocol, number)}
    if elsewhere:
        but = [join_host_port(ip, number) for ip in sorted(elsewhere)]
    elif other := {one.protocol for one in found if one.port == number}:
        mine, but = f"{number}/{protocol}", [f"{number}/{kind}" for kind in sorted(other)]
    else:
        but = [str(port) for port in sorted(public_ports(protocol, found))]
    return f"nothing listens on {mine}" + (f" (but on {listed(but)})" if but else "")


def _public(one: ListeningSocket) -> bool:
    return not one.address.startswith("127.") and one.address != "::1"


def _hears(one: ListeningSocket, protocol: str, number: int, address: str) -> bool:
    """`::` hears IPv4 as well, unless a program forbids it."""
    everywhere = one.address == "::" or (one.address == "0.0.0.0" and ":" not in address)
    return (one.protocol, one.port) == (protocol, number) and (everywhere or one.address == address)


def _some(those: Sequence[Pod], pods: Sequence[Pod]) -> str:
    names = listed([meta.name(pod) for pod in those])
    if len(those) == len(pods) == 1:
        return f"pod {names}"
    return f"{len(those)} of {count(len(pods), 'pod')}: {names}"


def _names(pods: Iterable[Pod]) -> tuple[str, ...]:
    return tuple(meta.name(pod) for pod in pods)
