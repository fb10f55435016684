"""Names, indexes and hardware addresses, chosen by rule so that the same lab has the same ones."""

from __future__ import annotations

import hashlib
import ipaddress

# A file name may have 255 bytes; leave room for what is put around it.
_LONGEST_NAMESPACE = 200
_LONGEST_LINK = 15

FABRIC = "fabric"
INTERNET = "internet"

# Links of a node's namespace.
LOOPBACK = "lo"
NODE_LINK = "eth0"
EXTERNAL_LINK = "eth1"
POD_BRIDGE = "cni0"
LOOPBACK_INDEX, NODE_LINK_INDEX, EXTERNAL_LINK_INDEX, POD_BRIDGE_INDEX = 1, 2, 3, 4

# And that of its DNS cache, if it has one.
NODE_CACHE_LINK, NODE_CACHE_LINK_INDEX = "nodelocaldns", 5

# Bridges of the fabric, and where the indexes of its ports begin.
NODES_BRIDGE, EXTERNAL_BRIDGE = "nodes", "external"
NODES_BRIDGE_INDEX, EXTERNAL_BRIDGE_INDEX = 2, 3
# Nodes come and go, and the clients are as many as they are: nobody's port is renumbered by that.
INTERNET_PORT_INDEX, FIRST_NODE_PORT_INDEX, FIRST_CLIENT_PORT_INDEX = 4, 10, 1 << 29

# And those of pods' ports.
FIRST_POD_PORT_INDEX = 1 << 30


def namespace(lab: str, *parts: str) -> str:
    """`demo.worker001`, `demo.default.web-0`: shortened with a hash where too long for a file."""
    name = ".".join((lab, *parts))
    if len(name) <= _LONGEST_NAMESPACE:
        return name
    return f"{name[: _LONGEST_NAMESPACE - 17]}.{digest(name)[:16]}"


def fabric_port(owner: str, link: str) -> str:
    """The fabric's end of a link of `owner`: `worker001-eth0`, or a hash where that is too long."""
    name = f"{owner.replace('.', '-')}-{link}"
    return name if len(name) <= _LONGEST_LINK else f"port{digest(owner, link)[:8]}"


def node_port_index(ip: str, network: str) -> int:
    """The index of a node's first port on the fabric, by its address in the node network; the
    second one's is the next."""
    offset = int(ipaddress.ip_address(ip)) - int(ipaddress.ip_network(network).network_address)
    return FIRST_NODE_PORT_INDEX + 2 * (offset & 0x7FFFFFF)


def mac(*parts: str) -> str:
    """A locally administered unicast address that belongs to these words."""
    octets = bytes.fromhex(digest(*parts)[:10])
    return ":".join(f"{octet:02x}" for octet in (0x02, *octets))


def pod_port_index(uid: str, ip: str, pod_cidr: str) -> int:
    """The index of a pod's port on its node.

    Its upper half is the address within the podCIDR, which no two live pods of a node share; its
    lower half comes from the uid, since a pod may get the address of one whose link the kernel
    has yet to take away.
    """
    network = ipaddress.ip_network(pod_cidr)
    offset = int(ipaddress.ip_address(ip)) - int(network.network_address)
    return FIRST_POD_PORT_INDEX | (offset & 0xFFFF) << 14 | int(digest(uid)[:8], 16) & 0x3FFF


def pod_port(index: int) -> str:
    """`veth` and eight hexadecimal digits: as unique on a node as the index is."""
    return f"veth{index:08x}"


def digest(*parts: str) -> str:
    """A hexadecimal digest of words."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
