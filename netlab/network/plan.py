"""From the Lab and its nodes to their network: pure, and the same for the same ones.

                       fabric (no addresses, no routing: two switches in one box)
      ┌──────── bridge `nodes` ────────┐      ┌──────── bridge `external` ───────┐
      │                │               │      │         │        │               │
    eth0             eth0              …    eth1      eth1     eth0            eth0
   master001       worker001                        (nodes)   client          internet
      └─ eth1           └─ eth1                                                198.51.100.1 on lo
      cni0 10.244.0.1   cni0 10.244.1.1
       │                 │ │ │
                        pods, eth0, default via cni0

A node reaches other nodes' pods by their internal addresses and all else by the internet's
gateway. The internet has no way back to pods, Services or the node network: what leaves without
being masqueraded gets no answer, as in real life. Clients have the external network alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import cache

from netlab.network import guard, names
from netlab.network.model import (
    Link,
    Masquerade,
    Namespace,
    Network,
    Peer,
    PodLink,
    Port,
    Route,
    Rules,
    Sysctl,
)
from netlab.network.sysctls import (
    CLIENT,
    FABRIC,
    INTERNET,
    NODE,
    POD,
    REFUSING_ALL,
    REFUSING_ALL_V6,
    families,
)
from netlab.objects.lab import ExternalClient, Lab, Node

# What the world outside answers by: addresses set aside for documentation.
PUBLIC_ADDRESSES = ("198.51.100.1/32", "2001:db8:6464::1/128")

# The name servers that everybody knows, which answer as the gateway's own does.
RESOLVERS = (
    "8.8.8.8",
    "8.8.4.4",
    "1.1.1.1",
    "1.0.0.1",
    "2001:4860:4860::8888",
    "2001:4860:4860::8844",
    "2606:4700:4700::1111",
    "2606:4700:4700::1001",
)

MASQUERADE_COMMENT = "netlab: pod traffic leaving the cluster"

_RULES: dict[str, Rules] = {"auto": "auto", "nft": "nft", "legacy": "legacy", "libiptc": "legacy"}
_DEFAULT = {4: "0.0.0.0/0", 6: "::/0"}


def cluster(lab: Lab, nodes: Sequence[Node] | None = None, off: Sequence[Node] = ()) -> Network:
    """Everything of a lab's network that stands before the first pod.

    `nodes` are those there are now; None: those that the lab begins with. Those that are `off`
    have a place in others' routes alone.
    """
    present = lab.nodes if nodes is None else nodes
    everybody = (*present, *off)
    namespaces = (
        fabric(lab, present),
        *(node(lab, entry, everybody) for entry in present),
        *(client(lab, entry) for entry in lab.external.clients),
        internet(lab),
    )
    return Network(lab.name, namespaces, _rules(lab))


def alone(lab: Lab, entry: Node) -> Network:
    """A node's part of the network, as far as it is the same whoever else is there."""
    return Network(lab.name, (node(lab, entry, ()),), _rules(lab))


def _rules(lab: Lab) -> Rules:
    return "nftables" if lab.proxy_mode == "nftables" else _RULES[lab.iptables]


def fabric_name(lab: Lab) -> str:
    """The namespace of the fabric."""
    return names.namespace(lab.name, names.FABRIC)


def node_name(lab: Lab, node: str) -> str:
    """The namespace of a node, or of a client."""
    return names.namespace(lab.name, node)


def internet_name(lab: Lab) -> str:
    """The namespace that stands for the internet."""
    return names.namespace(lab.name, names.INTERNET)


def pod_name(lab: Lab, namespace: str, pod: str) -> str:
    """The network namespace of a pod, from its Kubernetes namespace and name."""
    return names.namespace(lab.name, namespace, pod)


def fabric(lab: Lab, nodes: Iterable[Node]) -> Namespace:
    """The two bridges, with a port for every link that ends in them."""
    bridges = (
        _bridge(fabric_name(lab), names.NODES_BRIDGE, names.NODES_BRIDGE_INDEX),
        _bridge(fabric_name(lab), names.EXTERNAL_BRIDGE, names.EXTERNAL_BRIDGE_INDEX),
    )
    return Namespace(
        name=fabric_name(lab),
        links=(_loopback(), *bridges, *_fabric_ports(lab, nodes)),
        sysctls=FABRIC + families(v6=False),
    )


def _fabric_ports(lab: Lab, nodes: Iterable[Node]) -> Iterable[Link]:
    """The internet's port, each node's two, each client's; numbered as if there were no others."""
    inner, outer = names.NODES_BRIDGE, names.EXTERNAL_BRIDGE
    yield _fabric_port(lab, names.INTERNET, names.NODE_LINK, outer, names.INTERNET_PORT_INDEX)
    for entry in nodes:
        ip = entry.internal_ips[0]
        index = names.node_port_index(ip, _containing(ip, lab.node_network))
        yield _fabric_port(lab, entry.name, names.NODE_LINK, inner, index)
        yield _fabric_port(lab, entry.name, names.EXTERNAL_LINK, outer, index + 1)
    for index, client in enumerate(lab.external.clients, names.FIRST_CLIENT_PORT_INDEX):
        yield _fabric_port(lab, client.name, names.NODE_LINK, outer, index)


def _fabric_port(lab: Lab, owner: str, link: str, bridge: str, index: int) -> Link:
    name = names.fabric_port(owner, link)
    inside = names.namespace(lab.name, owner)
    peer_index = names.EXTERNAL_LINK_INDEX if link == names.EXTERNAL_LINK else names.NODE_LINK_INDEX
    return Link(
        name=name,
        index=index,
        kind="veth",
        mac=names.mac(fabric_name(lab), name),
        master=bridge,
        peer=Peer(inside, link, peer_index, names.mac(inside, link)),
    )


def node(lab: Lab, entry: Node, nodes: Iterable[Node]) -> Namespace:
    """A node: a foot on both networks, a bridge for its pods, routes to the other nodes' pods."""
    name = node_name(lab, entry.name)
    bridge = _bridge(
        name,
        names.POD_BRIDGE,
        names.POD_BRIDGE_INDEX,
        tuple(f"{_first(cidr)}/{_length(cidr)}" for cidr in entry.pod_cidrs),
    )
    node_link = _uplink(name, names.NODE_LINK, entry.internal_ips, lab.node_network)
    external_link = _uplink(name, names.EXTERNAL_LINK, entry.external_ips, lab.external.cidrs)
    return Namespace(
        name=name,
        links=(_loopback(_cache_addresses(lab)), node_link, external_link, bridge),
        routes=(*_defaults(lab, names.EXTERNAL_LINK), *_pod_routes(entry, nodes)),
        sysctls=NODE + families(v6=_v6(lab), forwarding=True) + _refusing(lab),
        masquerades=tuple(
            Masquerade(cidr, names.EXTERNAL_LINK, MASQUERADE_COMMENT) for cidr in lab.pod_cidrs
        ),
    )


def _cache_addresses(lab: Lab) -> tuple[str, ...]:
    """Where pods ask their node's DNS cache first. The node has the address with or without one: a
    resolver that is refused at once turns to the next server, kube-dns."""
    return tuple(announced(ip) for ip in lab.dns.node_local)


def _refusing(lab: Lab) -> tuple[Sysctl, ...]:
    return (*REFUSING_ALL, *(REFUSING_ALL_V6 if _v6(lab) else ())) if lab.dns.node_local else ()


def _pod_routes(here: Node, nodes: Iterable[Node]) -> Iterable[Route]:
    for other in nodes:
        if other.name != here.name:
            for cidr in other.pod_cidrs:
                gateway = _of_family(other.internal_ips, _network(cidr).version)
                yield Route(cidr, names.NODE_LINK, gateway)


def announced(ip: str) -> str:
    """The address as a node has it that answers for it: with its full length, so without a
    range that it would be a way to."""
    return f"{ip}/{ipaddress.ip_address(ip).max_prefixlen}"


def client(lab: Lab, entry: ExternalClient) -> Namespace:
    """A machine outside, on the external network alone."""
    name = node_name(lab, entry.name)
    link = _uplink(name, names.NODE_LINK, entry.ips, lab.external.cidrs)
    return Namespace(
        name=name,
        links=(_loopback(), link),
        routes=tuple(_defaults(lab, names.NODE_LINK)),
        sysctls=CLIENT + families(v6=_v6(lab)),
    )


def internet(lab: Lab) -> Namespace:
    """Everything else there is: the gateway, which forwards nothing, and public addresses."""
    name = internet_name(lab)
    resolvers = (ip for ip in RESOLVERS if _is_outside(lab, ip))
    public = tuple(
        str(ipaddress.ip_interface(ip)) for ip in dict.fromkeys((*web_ips(lab), *resolvers))
    )
    link = _uplink(name, names.NODE_LINK, lab.external.gateway_ips, lab.external.cidrs)
    return Namespace(
        name=name,
        links=(_loopback(public), link),
        sysctls=INTERNET + families(v6=_v6(lab)),
    )


def public_ips(lab: Lab) -> tuple[str, ...]:
    """What the internet's own names have for addresses, bare."""
    return tuple(a.split("/")[0] for a in PUBLIC_ADDRESSES if _v6(lab) or ":" not in a)


def web_ips(lab: Lab) -> tuple[str, ...]:
    """Where the internet has web pages: its own addresses, and those the Lab gives to names.

    An address out of the lab's own ranges, say a node's, stays that of whom it belongs to.
    """
    given = [ip for ips in lab.external.names.values() for ip in ips]
    return tuple(dict.fromkeys((*public_ips(lab), *(ip for ip in given if _is_outside(lab, ip)))))


def _is_outside(lab: Lab, text: str) -> bool:
    address = ipaddress.ip_address(text)
    ranges = (*lab.pod_cidrs, *lab.service_cidrs, *lab.node_network, *lab.external.cidrs)
    special = address.is_loopback or address.is_multicast or address.is_unspecified
    return not (
        special
        or address.is_link_local
        or (address.version == 6 and not _v6(lab))
        or any(address in ipaddress.ip_network(cidr) for cidr in ranges)
    )


def pod_link(
    lab: Lab, node: Node, namespace: str, pod_name: str, pod_uid: str, ips: Sequence[str]
) -> PodLink:
    """A pod's namespace and the port on its node's bridge; `ips` come one per family, bare.

    The bridge is told who is behind the port and learns nothing there; the port lets in what is
    the pod's own, and gets no frame that is for somebody else (see `guard`).
    """
    inside = names.namespace(lab.name, namespace, pod_name)
    primary = _containing(ips[0], node.pod_cidrs)
    index = names.pod_port_index(pod_uid, ips[0], primary)
    mac = names.mac(pod_uid, "pod")
    port = Link(
        name=names.pod_port(index),
        index=index,
        kind="veth",
        mac=names.mac(pod_uid, "port"),
        master=names.POD_BRIDGE,
        as_port=Port(
            hairpin=True,
            learning=False,
            flood=False,
            stations=(mac,),
            guard=guard.program(mac, ips),
        ),
        peer=Peer(inside, names.NODE_LINK, names.NODE_LINK_INDEX, mac),
    )
    return PodLink(
        uid=pod_uid,
        node=node_name(lab, node.name),
        port=port,
        master_index=names.POD_BRIDGE_INDEX,
        inside=_pod_namespace(lab, node, inside, port, ips),
    )


def _pod_namespace(lab: Lab, node: Node, name: str, port: Link, ips: Sequence[str]) -> Namespace:
    cidrs = [_containing(ip, node.pod_cidrs) for ip in ips]
    link = Link(
        name=names.NODE_LINK,
        index=names.NODE_LINK_INDEX,
        kind="veth",
        mac=port.peer.mac if port.peer else "",
        addresses=tuple(f"{ip}/{_length(cidr)}" for ip, cidr in zip(ips, cidrs, strict=True)),
    )
    return Namespace(
        name=name,
        links=(_loopback(), link),
        routes=tuple(_default(names.NODE_LINK, _first(cidr)) for cidr in cidrs),
        sysctls=pod_sysctls(lab),
    )


def pod_sysctls(lab: Lab) -> tuple[Sysctl, ...]:
    """Those of every pod."""
    return POD + families(v6=_v6(lab))


def _loopback(addresses: tuple[str, ...] = ()) -> Link:
    name, index = names.LOOPBACK, names.LOOPBACK_INDEX
    return Link(name, index, "loopback", addresses=addresses, mtu=65536)


def _bridge(namespace: str, name: str, index: int, addresses: tuple[str, ...] = ()) -> Link:
    return Link(name, index, "bridge", mac=names.mac(namespace, name), addresses=addresses)


def _uplink(namespace: str, name: str, ips: Sequence[str], cidrs: Sequence[str]) -> Link:
    """The end of a link to the fabric; the pair is planned at the fabric's end."""
    external = name == names.EXTERNAL_LINK
    return Link(
        name=name,
        index=names.EXTERNAL_LINK_INDEX if external else names.NODE_LINK_INDEX,
        kind="veth",
        mac=names.mac(namespace, name),
        addresses=tuple(f"{ip}/{_length(_containing(ip, cidrs))}" for ip in ips),
    )


def _defaults(lab: Lab, link: str) -> Iterable[Route]:
    return (_default(link, gateway) for gateway in lab.external.gateway_ips)


def _default(link: str, gateway: str) -> Route:
    return Route(_DEFAULT[ipaddress.ip_address(gateway).version], link, gateway)


def _v6(lab: Lab) -> bool:
    return "IPv6" in lab.ip_families


def address_at(cidr: str, number: int) -> str:
    """The address at that place in a range: 1 is the gateway of the pods in it."""
    return str(_network(cidr)[number])


@cache
def _network(cidr: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """The same few ranges are asked for with every node, each time a plan is made."""
    return ipaddress.ip_network(cidr)


def _first(cidr: str) -> str:
    return address_at(cidr, 1)


def _length(cidr: str) -> int:
    return _network(cidr).prefixlen


def _containing(ip: str, cidrs: Iterable[str]) -> str:
    address = ipaddress.ip_address(ip)
    for cidr in cidrs:
        if address in _network(cidr):
            return cidr
    raise ValueError(f"{ip} lies in none of {', '.join(cidrs)}")


def _of_family(ips: Iterable[str], version: int) -> str | None:
    return next((ip for ip in ips if ipaddress.ip_address(ip).version == version), None)
