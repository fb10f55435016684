"""The lab's address ranges and who gets which address: defaults, per-node podCIDRs, next free.

Order of preference everywhere: what the user wrote, then the lab's customary place (nodes from
.10, clients from .100), then the lowest free address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Literal

Family = Literal["IPv4", "IPv6"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# field of the Lab's spec → its range in each family. RFC 1918 and RFC 4193 (fd00::/8) space.
DEFAULT_RANGES: dict[str, dict[Family, str]] = {
    "podCIDR": {"IPv4": "10.244.0.0/16", "IPv6": "fd00:10:244::/56"},
    "serviceCIDR": {"IPv4": "10.96.0.0/12", "IPv6": "fd00:10:96::/112"},
    "nodeNetwork": {"IPv4": "10.10.11.0/24", "IPv6": "fd00:10:10:11::/64"},
    "external.cidr": {"IPv4": "172.16.110.0/24", "IPv6": "fd00:172:16:110::/64"},
}

# Where each node's DNS cache answers, as kubespray has it; for IPv6, in fd00::/8.
NODE_LOCAL_DNS: dict[Family, str] = {"IPv4": "169.254.25.10", "IPv6": "fd00:90::10"}

# kube-controller-manager's --node-cidr-mask-size defaults.
NODE_PREFIX: dict[int, int] = {4: 24, 6: 64}

# In IPv6 the same digits, read as hexadecimal: nodes from ::10, clients from ::100.
FIRST_NODE: dict[int, int] = {4: 10, 6: 0x10}
FIRST_CLIENT: dict[int, int] = {4: 100, 6: 0x100}


def family(text: str) -> Family:
    """The family of an address or range, by its spelling."""
    return "IPv6" if ":" in text else "IPv4"


def split(value: Any) -> tuple[str, ...]:
    """`"a, b"` or `["a", "b"]` → ("a", "b"); None → ()."""
    if value is None:
        return ()
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(part.strip() for part in parts)


def field_of(spec: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """What the user wrote at `podCIDR` or `external.cidr`, split at the comma; () if nothing."""
    value: Any = spec
    for part in field.split("."):
        value = (value or {}).get(part)
    return split(value)


def families(spec: Mapping[str, Any]) -> tuple[Family, ...]:
    """`ipFamilies`, or the families of podCIDR, or of serviceCIDR, or IPv4."""
    if spec.get("ipFamilies"):
        return tuple(spec["ipFamilies"])
    written = field_of(spec, "podCIDR") or field_of(spec, "serviceCIDR")
    return tuple(dict.fromkeys(family(text) for text in written)) or ("IPv4",)


def ranges(spec: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """The range of `field` in each of the lab's families, defaulted, in the families' order."""
    written = {family(text): text for text in field_of(spec, field)}
    defaults = DEFAULT_RANGES[field]
    return tuple(written.get(one) or defaults[one] for one in families(spec))


def node_local_addresses(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """The addresses of the nodes' DNS caches; () where there are none."""
    node_local = (spec.get("dns") or {}).get("nodeLocal")
    if node_local is None:
        return ()
    return split(node_local.get("address")) or (NODE_LOCAL_DNS[families(spec)[0]],)


def nth_address(cidr: str, n: int) -> str:
    """The n-th address of a range: 0 is the network's own."""
    return str(ipaddress.ip_network(cidr)[n])


class AddressPool:
    """The addresses of one range that are still free; `take` gives the next, None when out."""

    def __init__(self, cidr: str, taken: Iterable[str]) -> None:
        self.network = ipaddress.ip_network(cidr)
        self._taken = {int(ipaddress.ip_address(one)) for one in taken if _same(one, cidr)}
        self._taken |= {int(self.network[0]), int(self.network[-1]), int(self.network[0]) + 1}

    def take(self, first: int) -> str | None:
        """The lowest free address from the `first`-th on; if there is none, from the start."""
        base, size = int(self.network[0]), self.network.num_addresses
        for offset in chain(range(first, size), range(2, min(first, size))):
            if base + offset not in self._taken:
                self._taken.add(base + offset)
                return str(self.network[offset])
        return None


def _same(address: str, cidr: str) -> bool:
    return (":" in address) == (":" in cidr)


def addresses(
    written: Iterable[tuple[str, ...]], pools: Iterable[AddressPool], first: Mapping[int, int]
) -> list[tuple[str, ...]]:
    """For each row of written addresses the full row: one of every pool's family.

    A family that the row lacks is taken from its pool (left out when the pool is exhausted).
    """
    by_family: dict[Family, AddressPool] = {
        ("IPv6" if pool.network.version == 6 else "IPv4"): pool for pool in pools
    }
    full: list[tuple[str, ...]] = []
    for row in written:
        mine = {family(text): text for text in row}
        for name, pool in by_family.items():
            if name not in mine and (free := pool.take(first[pool.network.version])):
                mine[name] = free
        full.append(tuple(mine[name] for name in by_family if name in mine))
    return full


def node_pod_cidrs(cidr: str, written: Iterable[str | None]) -> list[str | None]:
    """One subnet of the podCIDR for each node, in order; overrides stay, others avoid them.

    None where the podCIDR has no subnet left.
    """
    overrides = list(written)
    taken = [ipaddress.ip_network(text) for text in overrides if text]
    free = _free_subnets(ipaddress.ip_network(cidr), taken)
    return [text or next(free, None) for text in overrides]


def _free_subnets(network: Network, taken: list[Network]) -> Iterator[str]:
    prefix = max(NODE_PREFIX[network.version], network.prefixlen)
    for subnet in network.subnets(new_prefix=prefix):
        if not any(subnet.overlaps(other) for other in taken):
            yield str(subnet)


def node_entries(nodes: int | list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """`nodes: 3` as the list it stands for: a control plane and two workers; a list as it is."""
    if not isinstance(nodes, int):
        return nodes or []
    workers = [{"name": f"worker{number:03}"} for number in range(1, nodes)]
    return [{"name": "master001", "role": "control-plane"}, *workers]


def client_entries(external: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The external network's clients: as written, or one called `client`."""
    written = external.get("clients")
    return [{"name": "client"}] if written is None else written
