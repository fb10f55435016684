"""Changes to the network, as values: what `--dry-run` prints is what `apply` does.

`describe()` is the command that would do the same by hand.
"""

from __future__ import annotations

import shlex

from msgspec import Struct

from netlab.network.guard import Program, bytecode
from netlab.network.model import Link, Masquerade, Neighbour, Port, Route, Rules, Sysctl

NFT_TABLE = "netlab"
_PROGRAMS: dict[Rules, str] = {"auto": "", "nft": "-nft", "legacy": "-legacy"}


class Operation(Struct, frozen=True):
    """A change in one namespace."""

    namespace: str

    def describe(self) -> str:
        """The change as a command."""
        raise NotImplementedError

    def _ip(self, *words: str) -> str:
        return shlex.join(["ip", "-n", self.namespace, *words])

    def _bridge(self, *words: str) -> str:
        return shlex.join(["bridge", "-n", self.namespace, *words])

    def _tc(self, *words: str) -> str:
        return shlex.join(["tc", "-n", self.namespace, *words])


class CreateNamespace(Operation, frozen=True):
    """Make the namespace."""

    def describe(self) -> str:
        """`ip netns add`."""
        return f"ip netns add {self.namespace}"


class RemoveNamespace(Operation, frozen=True):
    """Let go of the namespace and everything in it."""

    def describe(self) -> str:
        """`ip netns delete`."""
        return f"ip netns delete {self.namespace}"


class SetSysctl(Operation, frozen=True):
    """Set a network sysctl."""

    sysctl: Sysctl

    def describe(self) -> str:
        """`sysctl -qw`, with `-e` for one that may be missing."""
        flags = "-qw" if self.sysctl.required else "-eqw"
        setting = shlex.quote(f"{self.sysctl.name}={self.sysctl.value}")
        return f"ip netns exec {self.namespace} sysctl {flags} {setting}"


class AddBridge(Operation, frozen=True):
    """Make a bridge and bring it up."""

    link: Link

    def describe(self) -> str:
        """`ip link add … type bridge`."""
        link = self.link
        words = ("link", "add", "name", link.name, "index", str(link.index))
        options = ("address", link.mac, "up", "type", "bridge")
        return self._ip(*words, *options, "stp_state", "0", "mcast_snooping", "0")


class AddVeth(Operation, frozen=True):
    """Make a veth pair: this end a port of a bridge and up, the peer in its own namespace."""

    link: Link
    master_index: int | None

    def describe(self) -> str:
        """`ip link add … type veth peer …`."""
        link, peer = self.link, self.link.peer
        if peer is None:
            raise ValueError(f"{link.name} is planned at its other end")
        words = ["link", "add", "name", link.name, "index", str(link.index), "address", link.mac]
        if link.master:
            words += ["master", link.master]
        words += ["up", "type", "veth", "peer", "name", peer.name, "index", str(peer.index)]
        return self._ip(*words, "address", peer.mac, "netns", peer.namespace)


class DeleteLink(Operation, frozen=True):
    """Delete a link; with a veth, its peer too."""

    name: str
    index: int

    def describe(self) -> str:
        """`ip link delete`."""
        return self._ip("link", "delete", self.name)


class SetUp(Operation, frozen=True):
    """Bring a link up."""

    name: str
    index: int

    def describe(self) -> str:
        """`ip link set … up`."""
        return self._ip("link", "set", self.name, "up")


class SetMaster(Operation, frozen=True):
    """Make a link a port of a bridge."""

    name: str
    index: int
    master: str
    master_index: int

    def describe(self) -> str:
        """`ip link set … master …`."""
        return self._ip("link", "set", self.name, "master", self.master)


class SetMac(Operation, frozen=True):
    """Give a link its hardware address."""

    name: str
    index: int
    mac: str

    def describe(self) -> str:
        """`ip link set … address …`."""
        return self._ip("link", "set", self.name, "address", self.mac)


class SetMtu(Operation, frozen=True):
    """Set the largest packet that a link takes, in bytes."""

    name: str
    index: int
    mtu: int

    def describe(self) -> str:
        """`ip link set … mtu …`."""
        return self._ip("link", "set", self.name, "mtu", str(self.mtu))


class Rename(Operation, frozen=True):
    """Bring a link down, since no other can be renamed everywhere, and give it its name."""

    name: str
    index: int
    wanted: str

    def describe(self) -> str:
        """`ip link set … down name …`."""
        return self._ip("link", "set", self.name, "down", "name", self.wanted)


class DeleteNeighbour(Operation, frozen=True):
    """Have a namespace ask again where an address is found."""

    neighbour: Neighbour
    index: int

    def describe(self) -> str:
        """`ip neigh delete`."""
        return self._ip("neigh", "delete", self.neighbour.ip, "dev", self.neighbour.link)


class SetPort(Operation, frozen=True):
    """Set how a bridge treats a port: its three switches."""

    name: str
    index: int
    port: Port

    def describe(self) -> str:
        """`bridge link set … hairpin … learning … flood …`."""
        port = self.port
        switches = {"hairpin": port.hairpin, "learning": port.learning, "flood": port.flood}
        words = [word for name, on in switches.items() for word in (name, "on" if on else "off")]
        return self._bridge("link", "set", "dev", self.name, *words)


class AddStation(Operation, frozen=True):
    """Have the bridge know for good that a hardware address is behind a port."""

    name: str
    index: int
    mac: str

    def describe(self) -> str:
        """`bridge fdb replace … static`."""
        return self._bridge("fdb", "replace", self.mac, "dev", self.name, "master", "static")


class AddIngressQdisc(Operation, frozen=True):
    """Give a link the place where its guard stands."""

    name: str
    index: int

    def describe(self) -> str:
        """`tc qdisc add … ingress`."""
        return self._tc("qdisc", "add", "dev", self.name, "ingress")


class DeleteIngressQdisc(Operation, frozen=True):
    """Take that place away, and whoever stands there."""

    name: str
    index: int

    def describe(self) -> str:
        """`tc qdisc delete … ingress`."""
        return self._tc("qdisc", "delete", "dev", self.name, "ingress")


class AddGuard(Operation, frozen=True):
    """Have a port let in its own station's frames alone: the program of a `Port`."""

    name: str
    index: int
    program: Program

    def describe(self) -> str:
        """`tc filter add … ingress … bpf`."""
        where = ["filter", "add", "dev", self.name, "ingress", "protocol", "all", "pref", "1"]
        return self._tc(*where, "bpf", "direct-action", "bytecode", bytecode(self.program))


class DisablePort(Operation, frozen=True):
    """Let a bridge port pass nothing any more; the link goes with its peer's namespace."""

    name: str
    index: int

    def describe(self) -> str:
        """`bridge link set … state 0`."""
        return self._bridge("link", "set", "dev", self.name, "state", "0")


class AddAddress(Operation, frozen=True):
    """Give a link an address; one that is `announced` is answered for, and no packet's source."""

    name: str
    index: int
    address: str
    announced: bool = False

    def describe(self) -> str:
        """`ip addr add`."""
        nodad = ["nodad"] if ":" in self.address else []
        passive = ["preferred_lft", "0"] if self.announced else []
        return self._ip("addr", "add", self.address, "dev", self.name, *nodad, *passive)


class DeleteAddress(Operation, frozen=True):
    """Take an address from a link."""

    name: str
    index: int
    address: str

    def describe(self) -> str:
        """`ip addr delete`."""
        return self._ip("addr", "delete", self.address, "dev", self.name)


class Announce(Operation, frozen=True):
    """Tell everybody on a link's wire that an address is to be found here from now on."""

    name: str
    index: int
    mac: str
    address: str

    def describe(self) -> str:
        """`arping -U`, or `ndsend` for IPv6."""
        ip = self.address.split("/")[0]
        words = ["ndsend", ip, self.name] if ":" in ip else ["arping", "-c1", "-UI", self.name, ip]
        return shlex.join(["ip", "netns", "exec", self.namespace, *words])


class AddRoute(Operation, frozen=True):
    """Add a route to the main table, in the place of another one to the same destination."""

    route: Route
    index: int

    def describe(self) -> str:
        """`ip route replace`."""
        return self._ip("route", "replace", *_route_words(self.route))


class DeleteRoute(Operation, frozen=True):
    """Take a route from the main table."""

    route: Route
    index: int

    def describe(self) -> str:
        """`ip route delete`."""
        return self._ip("route", "delete", *_route_words(self.route))


class AddMasquerade(Operation, frozen=True):
    """Add the rule that gives packets leaving the cluster their node's address."""

    masquerade: Masquerade
    rules: Rules

    def describe(self) -> str:
        """`iptables -t nat -A …`, or the same in nft's words."""
        if self.rules == "nftables":
            quoted = shlex.quote(" ".join(self.nft_commands()))
            return f"ip netns exec {self.namespace} nft {quoted}"
        return shlex.join(["ip", "netns", "exec", self.namespace, *self.iptables("-A")])

    @property
    def family(self) -> str:
        """`ip` or `ip6`."""
        return "ip6" if ":" in self.masquerade.source else "ip"

    def iptables(self, verb: str) -> list[str]:
        """The iptables command that appends (-A) or checks for (-C) the rule."""
        rule = self.masquerade
        match = ["-s", rule.source, "-o", rule.link, "-m", "comment", "--comment", rule.comment]
        program = f"{self.family}tables{_PROGRAMS[self.rules]}"
        return [program, "-w", "5", "-t", "nat", verb, "POSTROUTING", *match, "-j", "MASQUERADE"]

    def nft_commands(self) -> list[str]:
        """The nft commands that make our table with the rule in it, whole, each ending in `;`."""
        rule, table = self.masquerade, f"{self.family} {NFT_TABLE}"
        hook = "{ type nat hook postrouting priority srcnat ; }"
        match = f"{self.family} saddr {rule.source} oifname {rule.link}"
        return [
            f"add table {table} ;",
            f"add chain {table} postrouting {hook} ;",
            f"flush chain {table} postrouting ;",
            f'add rule {table} postrouting {match} masquerade comment "{rule.comment}" ;',
        ]


def _route_words(route: Route) -> list[str]:
    via = ["via", route.gateway] if route.gateway else []
    return [route.destination, *via, "dev", route.link, "proto", "static"]
