"""What was amiss, in words, from what has to be done about it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from netlab.network.model import Network
from netlab.network.operations import (
    AddAddress,
    AddBridge,
    AddGuard,
    AddRoute,
    AddStation,
    AddVeth,
    CreateNamespace,
    DeleteAddress,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    Operation,
    Rename,
    SetMac,
    SetMaster,
    SetMtu,
    SetPort,
    SetSysctl,
    SetUp,
)

MOST = 6
"""So many findings are named; of more, only how many they are."""


def by_namespace(network: Network, operations: Iterable[Operation]) -> dict[str, str]:
    """By namespace, what was found; a port of the fabric counts as its other end's."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in operations:
        found[_whose(network, operation)].append(operation)
    texts = {name: summary(theirs) for name, theirs in found.items()}
    return {name: text for name, text in texts.items() if text}


def summary(operations: Iterable[Operation]) -> str:
    """`eth0 is down; no route to 10.244.2.0/24`; "" when there is nothing to say."""
    said = list(dict.fromkeys(text for each in operations if (text := _words(each))))
    more = [f"and {len(said) - MOST} more"] if len(said) > MOST else []
    return "; ".join([*said[:MOST], *more])


def _whose(network: Network, operation: Operation) -> str:
    if isinstance(operation, AddVeth) and operation.link.peer:
        return operation.link.peer.namespace
    name = getattr(operation, "name", "")
    for link in network.namespace(operation.namespace).links:
        if link.name == name and link.peer is not None:
            return link.peer.namespace
    return operation.namespace


def _words(operation: Operation) -> str:
    """What there was before the operation; "" for what only follows from others."""
    match operation:
        case CreateNamespace(name):
            return f"the namespace {name} is gone"
        case AddVeth(where, link, _) if link.peer:
            return f"{link.peer.name} is not connected to {link.name} in {where}"
        case AddBridge(_, link):
            return f"the bridge {link.name} is gone"
        case Rename(_, name, _, wanted):
            return f"{wanted} is called {name}"
        case SetUp(_, name, _):
            return f"{name} is down"
        case DeleteLink(_, name, _):
            return f"{name} is in the way"
        case _:
            return _differs(operation)


def _differs(operation: Operation) -> str:
    match operation:
        case SetMaster(_, name, _, master, _):
            return f"{name} is no port of {master}"
        case SetMac(_, name, _, mac):
            return f"{name} has another hardware address than {mac}"
        case SetMtu(_, name, _, mtu):
            return f"{name} has another MTU than {mtu}"
        case AddAddress(_, name, _, address):
            return f"{name} lacks {address}"
        case DeleteAddress(_, name, _, address):
            return f"{address} of {name} is not as planned"
        case SetSysctl(_, sysctl) if sysctl.enforced:
            return f"{sysctl.name} is not {sysctl.value}"
        case SetPort(_, name, _, _) | AddStation(_, name, _, _):
            return f"the bridge treats {name} otherwise"
        case AddGuard(_, name, _, _):
            return f"{name} is not guarded"
        case _:
            return _misled(operation)


def _misled(operation: Operation) -> str:
    match operation:
        case AddRoute(_, route, _):
            return f"no route to {route.destination}" + (
                f" via {route.gateway}" if route.gateway else ""
            )
        case DeleteRoute(_, route, _):
            return f"a route to {route.destination} that nobody planned"
        case DeleteNeighbour(_, neighbour, _):
            return f"{neighbour.ip} is said to be at {neighbour.mac}"
        case _:
            return ""
