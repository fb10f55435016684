"""From an operation to the netlink message that does it."""

from __future__ import annotations

from collections.abc import Callable

from netlab.kernel import bridgeport, messages
from netlab.kernel.netlink import NetlinkMessage
from netlab.network.operations import (
    AddAddress,
    AddBridge,
    AddGuard,
    AddIngressQdisc,
    AddRoute,
    AddStation,
    AddVeth,
    DeleteAddress,
    DeleteIngressQdisc,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    DisablePort,
    Operation,
    Rename,
    SetMac,
    SetMaster,
    SetMtu,
    SetPort,
    SetUp,
)

NETLINK = (
    AddAddress,
    AddBridge,
    AddGuard,
    AddIngressQdisc,
    AddRoute,
    AddStation,
    AddVeth,
    DeleteAddress,
    DeleteIngressQdisc,
    DeleteLink,
    DeleteNeighbour,
    DeleteRoute,
    DisablePort,
    Rename,
    SetMac,
    SetMaster,
    SetMtu,
    SetPort,
    SetUp,
)
"""The operations that are netlink messages; the others are made otherwise."""


def message(operation: Operation, descriptor: Callable[[str], int]) -> NetlinkMessage:
    """The message for one of `NETLINK`; `descriptor` opens the namespace a peer goes to."""
    match operation:
        case AddVeth():
            return _add_veth(operation, descriptor)
        case AddAddress(where, name, index, address, announced):
            what = f"give {name} in {where} {address}"
            return messages.add_address(what, index, address, passive=announced)
        case AddRoute(where, route, index):
            what = f"add the route to {route.destination} in {where}"
            return messages.add_route(what, route.destination, index, route.gateway)
        case SetUp(where, name, index):
            return messages.set_up(f"bring {name} in {where} up", index)
        case AddBridge(where, link):
            what = f"add the bridge {link.name} in {where}"
            return messages.add_bridge(what, link.name, link.index, link.mac)
        case (
            SetPort()
            | AddStation()
            | AddIngressQdisc()
            | DeleteIngressQdisc()
            | AddGuard()
            | DisablePort()
        ):
            return _port(operation)
        case _:
            return _change(operation)


def _add_veth(operation: AddVeth, descriptor: Callable[[str], int]) -> NetlinkMessage:
    link, peer = operation.link, operation.link.peer
    if peer is None:
        raise ValueError(f"{link.name} is planned at its other end")
    return messages.add_veth(
        f"connect {link.name} in {operation.namespace} with {peer.name} in {peer.namespace}",
        name=link.name,
        index=link.index,
        mac=link.mac,
        master=operation.master_index,
        peer_name=peer.name,
        peer_index=peer.index,
        peer_mac=peer.mac,
        peer_netns=descriptor(peer.namespace),
    )


def _port(operation: Operation) -> NetlinkMessage:
    match operation:
        case SetPort(where, name, index, port):
            return bridgeport.set_port(
                f"set the switches of the port {name} in {where}",
                index,
                hairpin=port.hairpin,
                learning=port.learning,
                flood=port.flood,
            )
        case AddStation(where, name, index, mac):
            what = f"tell the bridge in {where} that {mac} is behind {name}"
            return bridgeport.add_station(what, index, mac)
        case AddIngressQdisc(where, name, index):
            return bridgeport.add_ingress(f"make room for a guard at {name} in {where}", index)
        case DeleteIngressQdisc(where, name, index):
            return bridgeport.delete_ingress(f"take the guard from {name} in {where}", index)
        case AddGuard(where, name, index, program):
            return bridgeport.add_filter(f"guard {name} in {where}", index, program)
        case DisablePort(where, name, index):
            return bridgeport.disable_port(f"disable {name} in {where}", index)
        case _:
            raise TypeError(f"{type(operation).__name__} is not about a port")


def _change(operation: Operation) -> NetlinkMessage:
    match operation:
        case SetMaster(where, name, index, master, master_index):
            what = f"make {name} in {where} a port of {master}"
            return messages.set_master(what, index, master_index)
        case SetMac(where, name, index, mac):
            return messages.set_mac(f"give {name} in {where} the address {mac}", index, mac)
        case SetMtu(where, name, index, mtu):
            return messages.set_mtu(f"have {name} in {where} take {mtu} bytes", index, mtu)
        case Rename(where, name, index, wanted):
            return messages.rename(f"call {name} in {where} {wanted}", index, wanted)
        case DeleteNeighbour(where, neighbour, index):
            what = f"have {where} ask again for {neighbour.ip} on {neighbour.link}"
            return messages.delete_neighbour(what, index, neighbour.ip)
        case DeleteLink(where, name, index):
            return messages.delete_link(f"delete {name} in {where}", index)
        case DeleteAddress(where, name, index, address):
            what = f"take {address} from {name} in {where}"
            return messages.delete_address(what, index, address)
        case DeleteRoute(where, route, index):
            what = f"delete the route to {route.destination} in {where}"
            return messages.delete_route(what, route.destination, index, route.gateway)
        case _:
            raise TypeError(f"{type(operation).__name__} is not a netlink message")
