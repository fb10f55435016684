"""What a lab's network consists of, as values: what is planned, and what was read back.

Every link's index and hardware address is part of the plan, so that applying it looks nothing up.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from netlab.bpf import Instruction

LinkKind = Literal["loopback", "bridge", "veth"]
Rules = Literal["auto", "nft", "legacy", "nftables"]


class Sysctl(Struct, frozen=True):
    """One network sysctl.

    One that is not `required` may be missing from the kernel; one that is not `enforced` is set
    once, and left as it is where the kernel will not have it.
    """

    name: str
    value: str
    required: bool = True
    enforced: bool = True


class Peer(Struct, frozen=True):
    """The other end of a veth pair, in another namespace."""

    namespace: str
    name: str
    index: int
    mac: str


class Port(Struct, frozen=True):
    """How a bridge treats one of its ports.

    `hairpin` lets it send a frame back to where it came from. `learning` and `flood` are how a
    bridge finds out by itself who is where; instead it can be told the `stations` (hardware
    addresses) behind a port, and a `guard` say which frames may come in (`guard.program`).
    """

    hairpin: bool = False
    learning: bool = True
    flood: bool = True
    stations: tuple[str, ...] = ()
    guard: tuple[Instruction, ...] = ()


class Link(Struct, frozen=True):
    """An interface, with its addresses (`10.244.1.7/24`) and the largest packet it takes (bytes).

    A veth pair is planned at one end: that one names its `peer`. `master` is the bridge it is a
    port of, `as_port` how that treats it. `unrouted` are those of its addresses whose on-link route
    somebody took away; never planned, only read. So are
    `announced`, those of full length (`172.16.110.200/32`) that it answers for on somebody's
    behalf: they come and go while a lab runs (`diff.announcements`).
    """

    name: str
    index: int
    kind: LinkKind
    mac: str = ""
    master: str | None = None
    as_port: Port = Port()
    up: bool = True
    addresses: tuple[str, ...] = ()
    unrouted: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    peer: Peer | None = None
    mtu: int = 1500


class Route(Struct, frozen=True):
    """A route of the main table: to `destination` by a gateway, or (None) on the link itself."""

    destination: str
    link: str
    gateway: str | None = None


class Neighbour(Struct, frozen=True):
    """Where somebody said for good that an address is found on a link; never planned."""

    ip: str
    link: str
    mac: str


class Masquerade(Struct, frozen=True):
    """Packets from `source` that leave by `link` take that link's address."""

    source: str
    link: str
    comment: str


class Namespace(Struct, frozen=True):
    """One network namespace and everything in it."""

    name: str
    links: tuple[Link, ...] = ()
    routes: tuple[Route, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()
    masquerades: tuple[Masquerade, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()

    def link(self, name: str) -> Link:
        """The link of that name; `KeyError` if there is none."""
        for link in self.links:
            if link.name == name:
                return link
        raise KeyError(f"{self.name} has no link {name}")

    def find(self, name: str) -> Link | None:
        """The link of that name, or None."""
        return next((link for link in self.links if link.name == name), None)


class Network(Struct, frozen=True):
    """The namespaces that stand before any pod: fabric, nodes, clients, internet.

    `rules` is how masquerading is written: by the machine's own iptables, one of its two
    variants, or in an nftables table.
    """

    lab: str
    namespaces: tuple[Namespace, ...]
    rules: Rules = "auto"

    @property
    def names(self) -> set[str]:
        """The names of the namespaces."""
        return {namespace.name for namespace in self.namespaces}

    def namespace(self, name: str) -> Namespace:
        """The namespace of that name; `KeyError` if there is none."""
        for namespace in self.namespaces:
            if namespace.name == name:
                return namespace
        raise KeyError(f"the network has no namespace {name}")


class PodLink(Struct, frozen=True):
    """A pod's namespace, and the port on its node's bridge that leads there.

    `node` is the node's namespace; `master_index` the index of the bridge named by
    `port.master`; `users` are ids of users and groups that its processes ask for. `reused` says
    that others had its addresses before it.
    """

    uid: str
    node: str
    port: Link
    master_index: int
    inside: Namespace
    users: tuple[int, ...] = ()
    reused: bool = False

    @property
    def name(self) -> str:
        """The name of the pod's namespace."""
        return self.inside.name

    @property
    def stations(self) -> list[tuple[str, str]]:
        """(hardware address, bare address) of each of its addresses."""
        links = [link for link in self.inside.links if link.kind != "loopback"]
        return [(link.mac, ip.split("/")[0]) for link in links for ip in link.addresses]
