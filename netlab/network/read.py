"""What the kernel has: a namespace's links, addresses, routes and sysctls as the model's values."""

from __future__ import annotations

import ipaddress
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from socket import AF_INET
from typing import Any, cast

from msgspec.structs import replace

from netlab.kernel import bridgeport, messages, netns, paths, sysctl
from netlab.kernel import neighbours as kernel_neighbours
from netlab.kernel.netlink import NetlinkReply, NetlinkSocket
from netlab.kernel.rtnetlink import ifaddrmsg, ifinfmsg, rtmsg
from netlab.network import masquerade
from netlab.network.model import (
    Link,
    LinkKind,
    Masquerade,
    Namespace,
    Neighbour,
    Network,
    Port,
    Route,
    Sysctl,
)
from netlab.network.names import FIRST_POD_PORT_INDEX
from netlab.network.operations import AddMasquerade

_IFF_UP = 0x1
_PROTOCOL_STATIC = 4
_TABLE_MAIN = 254
_AT_TABLE = 16 + 4  # in a message about a route; 252 for those whose number is too large
_KINDS = ("bridge", "veth")
_LINK_LOCAL = ipaddress.ip_network("fe80::/10")


def state(
    wanted: Network, lab_dir: Path, *, rules: bool = True, sysctls: bool = True
) -> dict[str, Namespace]:
    """The namespaces of `wanted` that exist, with what of them the plan speaks about.

    Without `rules` masquerading is taken to be as planned, since looking takes a process each; so
    are sysctls without `sysctls`: reading them takes longest of all.
    """
    found = {}
    for planned in wanted.namespaces:
        path = paths.namespace(lab_dir, planned.name)
        if netns.exists(path):
            actual = as_planned(path, planned, sysctls=sysctls)
            present = _masquerades(planned, wanted, lab_dir) if rules else planned.masquerades
            found[planned.name] = replace(actual, masquerades=present)
    return found


def as_planned(path: Path | int, planned: Namespace, *, sysctls: bool) -> Namespace:
    """What is in the namespace of a plan; without `sysctls` these are taken to be as planned."""
    if sysctls:
        return namespace(path, planned.name, [entry.name for entry in planned.sysctls])
    return replace(namespace(path, planned.name), sysctls=planned.sysctls)


def _masquerades(planned: Namespace, wanted: Network, lab_dir: Path) -> tuple[Masquerade, ...]:
    rules = [AddMasquerade(planned.name, rule, wanted.rules) for rule in planned.masquerades]
    return tuple(op.masquerade for op in rules if masquerade.present(op, lab_dir))


def namespace(path: Path | int, name: str, sysctls: Iterable[str] = ()) -> Namespace:
    """What is in the namespace at `path` (or of that descriptor): bridges, veths, lo, our routes.

    `sysctls` are those to read as well. A link's `peer` stays None: it lies elsewhere. Pods' ports,
    of which there may be a thousand, are left out.
    """
    with netns.entered(path):
        values = _values(list(sysctls))
        with NetlinkSocket() as socket:
            table = _main_table(socket)
            found = links(socket, below=FIRST_POD_PORT_INDEX, table=table)
            names = {link.index: link.name for link in found}
            ours, told = _static(table, names), neighbours(socket, names)
    return Namespace(
        name=name,
        links=found,
        routes=ours,
        sysctls=values,
        neighbours=told,
    )


def _values(names: Sequence[str]) -> tuple[Sysctl, ...]:
    if not names:
        return ()
    with sysctl.tree() as tree:
        found = [(name, tree.read(name)) for name in names]
    return tuple(Sysctl(name, value) for name, value in found if value is not None)


def links(
    socket: NetlinkSocket, *, below: int = 1 << 31, table: Sequence[Any] | None = None
) -> tuple[Link, ...]:
    """The links of a namespace whose index is `below` that, with their addresses, in order.

    `table` is the main table, if it is known.
    """
    body = _link_request(0)
    replies = socket.dump(messages.RTM_GETLINK, body)
    entries = [_decode(ifinfmsg, reply.data) for reply in replies if _index(reply) < below]
    names = {entry["index"]: entry.get_attr("IFLA_IFNAME") for entry in entries}
    addresses = _addresses(socket)
    on_link = _on_link(_main_table(socket) if table is None else table)
    found = [_link(entry, names, addresses[entry["index"]], on_link) for entry in entries]
    return tuple(sorted((link for link in found if link), key=lambda link: link.index))


def port(socket: NetlinkSocket, index: int, masters: Mapping[int, str]) -> Link | None:
    """The port of that index with its station and guard; None if there is none.

    `masters` are the names of the bridges of the namespace.
    """
    reply = socket.get(messages.RTM_GETLINK, _link_request(index))
    found = _link(_decode(ifinfmsg, reply.data), masters, (), set()) if reply else None
    return next(guarded(socket, [found], index)) if found else None


def _link_request(index: int) -> bytes:
    return struct.pack("=BxHiII", 0, 0, index, 0, 0)


def _index(reply: NetlinkReply) -> int:
    return int(struct.unpack_from("=i", reply.data, 16 + 4)[0])


def _link(
    entry: Any, names: Mapping[int, str], addresses: Sequence[str], on_link: set[tuple[str, int]]
) -> Link | None:
    index = entry["index"]
    info = entry.get_attr("IFLA_LINKINFO")
    kind = "loopback" if index == 1 else (info.get_attr("IFLA_INFO_KIND") if info else None)
    if kind != "loopback" and kind not in _KINDS:
        return None
    data = info.get_attr("IFLA_INFO_SLAVE_DATA") if info else None
    up = bool(entry["flags"] & _IFF_UP)
    announced = [a for a in addresses if kind != "loopback" and _is_alone(a)]
    own = [a for a in addresses if a not in announced]
    unrouted = [a for a in own if up and index != 1 and (_network(a), index) not in on_link]
    return Link(
        name=entry.get_attr("IFLA_IFNAME"),
        index=index,
        kind=cast(LinkKind, kind),
        mac=entry.get_attr("IFLA_ADDRESS") if kind != "loopback" else "",
        master=names.get(entry.get_attr("IFLA_MASTER") or 0),
        as_port=_port(data) if data is not None else Port(),
        up=up,
        addresses=tuple(own),
        unrouted=tuple(unrouted),
        announced=tuple(announced),
        mtu=entry.get_attr("IFLA_MTU"),
    )


def _port(data: Any) -> Port:
    return Port(
        hairpin=bool(data.get_attr("IFLA_BRPORT_MODE")),
        learning=bool(data.get_attr("IFLA_BRPORT_LEARNING")),
        flood=bool(data.get_attr("IFLA_BRPORT_UNICAST_FLOOD")),
    )


def guarded(socket: NetlinkSocket, found: Iterable[Link], index: int = 0) -> Iterator[Link]:
    """The links with what `links` does not ask for: their ports' stations and guards.

    `index` is that of the only one, if it is one.
    """
    stations = bridgeport.stations(socket, index)
    for link in found:
        guard = bridgeport.first_filter(socket, link.index)
        port = replace(link.as_port, stations=stations.get(link.index, ()), guard=guard)
        yield replace(link, as_port=port)


def _on_link(table: Iterable[Any]) -> set[tuple[str, int]]:
    """(range, link's index) of what is reached without a gateway."""
    return {
        (_destination(entry), entry.get_attr("RTA_OIF"))
        for entry in table
        if entry.get_attr("RTA_GATEWAY") is None
    }


def announced(socket: NetlinkSocket, index: int) -> tuple[str, ...]:
    """The addresses that a link of that index answers for beside its own."""
    return tuple(address for address in _addresses(socket, index)[index] if _is_alone(address))


def _is_alone(address: str) -> bool:
    """True for an address whose network is nobody but itself."""
    return ipaddress.ip_interface(address).network.num_addresses == 1


def _network(address: str) -> str:
    """The range an address with its prefix length lies in."""
    return str(ipaddress.ip_interface(address).network)


def _addresses(socket: NetlinkSocket, index: int = 0) -> dict[int, list[str]]:
    """Addresses by their link's index: of that link, or (0) of all."""
    found: dict[int, list[str]] = defaultdict(list)
    body = struct.pack("=BBBBI", 0, 0, 0, 0, index)
    for reply in socket.dump(messages.RTM_GETADDR, body):
        entry = _decode(ifaddrmsg, reply.data)
        ip = entry.get_attr("IFA_LOCAL") or entry.get_attr("IFA_ADDRESS")
        if ipaddress.ip_address(ip) not in _LINK_LOCAL:
            found[entry["index"]].append(f"{ip}/{entry['prefixlen']}")
    return found


def _static(table: Iterable[Any], names: Mapping[int, str]) -> tuple[Route, ...]:
    """The main table's routes of protocol `static`, which are those that netlab adds."""
    return tuple(
        _route(entry, names)
        for entry in table
        if entry["proto"] == _PROTOCOL_STATIC and entry.get_attr("RTA_OIF") in names
    )


def neighbours(socket: NetlinkSocket, names: Mapping[int, str]) -> tuple[Neighbour, ...]:
    """What somebody has said for good of where addresses are found on these links."""
    said = kernel_neighbours.permanent(socket)
    return tuple(Neighbour(ip, names[index], mac) for index, ip, mac in said if index in names)


def _main_table(socket: NetlinkSocket) -> list[Any]:
    body = struct.pack("=BBBBBBBBI", 0, 0, 0, 0, 0, 0, 0, 0, 0)
    replies = socket.dump(messages.RTM_GETROUTE, body)
    return [_decode(rtmsg, reply.data) for reply in replies if reply.data[_AT_TABLE] == _TABLE_MAIN]


def _route(entry: Any, names: Mapping[int, str]) -> Route:
    return Route(
        destination=_destination(entry),
        link=names[entry.get_attr("RTA_OIF")],
        gateway=entry.get_attr("RTA_GATEWAY"),
    )


def _destination(entry: Any) -> str:
    unspecified = "0.0.0.0" if entry["family"] == AF_INET else "::"
    return f"{entry.get_attr('RTA_DST') or unspecified}/{entry['dst_len']}"


def _decode(kind: Any, data: bytes) -> Any:
    message = kind(data)
    message.decode()
    return message
