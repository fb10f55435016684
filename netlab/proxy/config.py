"""The settings of kube-proxy that decide about rules: `proxy.yaml` as a struct.

The keys are kube-proxy's own where it has them; `nodeIPs` and `interfaceAddresses` stand for
what kube-proxy asks the node's kernel.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any, Literal

from msgspec import Struct, field

from netlab.errors import InputError, Problem

ModeName = Literal["iptables", "nftables"]
DetectLocalMode = Literal["ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"]


class ProxyConfig(Struct, frozen=True):
    """kube-proxy's settings; every default is kube-proxy's.

    `interface_addresses` maps an interface's name to its addresses with prefix length; None
    when nobody asked the node. `node_port_addresses` are prefixes, or the word `primary`.
    """

    mode: ModeName = "iptables"
    node_name: str = ""
    node_ips: tuple[str, ...] = ()
    interface_addresses: Mapping[str, tuple[str, ...]] | None = None
    detect_local_mode: DetectLocalMode = "ClusterCIDR"
    cluster_cidr: tuple[str, ...] = ()
    bridge_interface: str = ""
    interface_name_prefix: str = ""
    service_cidrs: tuple[str, ...] = ()
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()
    conntrack_tcp_be_liberal: bool = False

    @property
    def masquerade_mark(self) -> int:
        """The packet mark that asks for masquerading: bit `masqueradeBit` alone."""
        return 1 << self.masquerade_bit


_NOT_RULES = frozenset({"recordedWith", "kind", "apiVersion", "metadata"})


class _Reader(Struct):
    """Reads one mapping field by field and collects what is wrong with it."""

    mapping: Mapping[str, Any]
    file: str
    problems: list[Problem] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def complain(self, key: str, message: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self.file, 0, key, message, hint))

    def value(self, key: str, default: Any, fits: Callable[[Any], bool], expected: str) -> Any:
        self.seen.add(key)
        value = self.mapping.get(key)
        if value is None:
            return default
        if not fits(value):
            self.complain(key, f"{value!r} is not {expected}")
            return default
        return value

    def text(self, key: str, default: str = "") -> str:
        return str(self.value(key, default, lambda v: isinstance(v, str), "text"))

    def word(self, key: str, *allowed: str) -> Any:
        return self.value(key, allowed[0], lambda v: v in allowed, "one of " + ", ".join(allowed))

    def boolean(self, key: str, default: bool) -> bool:
        return bool(self.value(key, default, lambda v: isinstance(v, bool), "true or false"))

    def bit(self, key: str, default: int) -> int:
        def fits(value: Any) -> bool:
            return type(value) is int and 0 <= value <= 31

        return int(self.value(key, default, fits, "a bit number from 0 to 31"))

    def strings(self, key: str, fits: Callable[[str], bool], expected: str) -> tuple[str, ...]:
        """A list of strings, or one string with commas, as kube-proxy's own flags take it."""
        self.seen.add(key)
        value = self.mapping.get(key)
        items = value.split(",") if isinstance(value, str) else value or []
        if not isinstance(items, list):
            self.complain(key, f"{value!r} is not a list")
            return ()
        texts = [str(item).strip() for item in items if str(item).strip()]
        for text in texts:
            if not fits(text):
                self.complain(key, f"{text!r} is not {expected}")
        return tuple(text for text in texts if fits(text))

    def interfaces(self, key: str) -> dict[str, tuple[str, ...]] | None:
        self.seen.add(key)
        value = self.mapping.get(key)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            self.complain(key, f"{value!r} is not a mapping of interfaces to addresses")
            return None
        inner = _Reader(value, self.file, self.problems)
        return {
            str(name): inner.strings(name, _is_interface, "an address with prefix length")
            for name in value
        }

    def leftovers(self) -> None:
        for key in sorted(self.mapping.keys() - self.seen - _NOT_RULES):
            self.complain(key, "unknown field")


def _parses(constructor: Callable[[str], object]) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        try:
            constructor(text)
        except ValueError:
            return False
        return True

    return fits


_is_address = _parses(ipaddress.ip_address)
_is_interface = _parses(ipaddress.ip_interface)


def _is_prefix(text: str) -> bool:
    return "/" in text and _parses(lambda t: ipaddress.ip_network(t, strict=False))(text)


def from_mapping(mapping: object, *, file: str = "proxy.yaml") -> ProxyConfig:
    """Read proxy.yaml's mapping; raises InputError with every mistake in it."""
    if not isinstance(mapping, Mapping):
        raise InputError([Problem(file, 0, "", "not a mapping of settings")])
    read = _Reader(mapping, file)
    detect = read.mapping.get("detectLocal")
    bridge = _Reader(detect if isinstance(detect, Mapping) else {}, file, read.problems)
    read.seen.add("detectLocal")
    config = ProxyConfig(
        mode=read.word("mode", "iptables", "nftables"),
        node_name=read.text("nodeName"),
        node_ips=read.strings("nodeIPs", _is_address, "an IP address"),
        interface_addresses=read.interfaces("interfaceAddresses"),
        detect_local_mode=read.word(
            "detectLocalMode", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "InterfaceNamePrefix"
        ),
        cluster_cidr=read.strings("clusterCIDR", _is_prefix, "a prefix such as 10.244.0.0/16"),
        bridge_interface=bridge.text("bridgeInterface"),
        interface_name_prefix=bridge.text("interfaceNamePrefix"),
        service_cidrs=read.strings("serviceCIDRs", _is_prefix, "a prefix such as 10.96.0.0/12"),
        masquerade_all=read.boolean("masqueradeAll", False),
        masquerade_bit=read.bit("masqueradeBit", 14),
        localhost_node_ports=read.boolean("localhostNodePorts", True),
        node_port_addresses=read.strings(
            "nodePortAddresses",
            lambda t: t == "primary" or _is_prefix(t),
            "a prefix or the word primary",
        ),
        conntrack_tcp_be_liberal=read.boolean("conntrackTCPBeLiberal", False),
    )
    read.leftovers()
    if read.problems:
        raise InputError(read.problems)
    return config
