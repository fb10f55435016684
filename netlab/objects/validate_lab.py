"""What can be wrong with a Lab: every check of the lab file that structure alone cannot hold."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from netlab.objects import fields, nameservers, schema, times
from netlab.objects.examination import Examination, examine
from netlab.objects.meta import Object
from netlab.objects.problems import FieldProblem, Path, duplicate, invalid, required
from netlab.objects.ranges import (
    DEFAULT_RANGES,
    NODE_PREFIX,
    client_entries,
    families,
    family,
    field_of,
    node_entries,
    node_pod_cidrs,
    ranges,
    split,
)
from netlab.objects.validate_node_local import node_local_form, node_local_place
from netlab.objects.validate_pools import PATH as POOL
from netlab.objects.validate_pools import pool_form, pool_places

# Namespaces that every lab has beside its nodes and clients.
RESERVED_NAMES = ("fabric", "internet")
MAX_NODES = 250
# kube-apiserver takes at most 20 host bits; kube-dns needs the tenth address.
SERVICE_HOST_BITS = (4, 20)
# Seconds: with less, a busy machine would be enough to lose a node.
GRACE_PERIODS = (0.5, 3600.0)
# Where names of the internet are written; the latter came first, and the former prevails.
NAME_FIELDS = (("dns", "upstream"), ("external", "names"))

Spec = Mapping[str, Any]


def lab_problems(obj: Object) -> list[FieldProblem]:
    """Every mistake in a `kind: Lab` object; none means `lab_from_object` accepts it."""
    found = examine(obj, schema.of("netlab/v1", "Lab"))
    return [*found.problems, *lab_rules(found)]


def lab_rules(found: Examination) -> list[FieldProblem]:
    """What is wrong with an examined Lab beyond its structure."""
    missing = {one.path for one in found.problems}
    problems = {(one.path, one.message): one for one in _rules(found.sound)}
    return [
        one
        for one in problems.values()
        if one.path not in missing and not found.concerns_lost(one.path)
    ]


def _rules(obj: Object) -> list[FieldProblem]:
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    problems = list(_metadata(metadata))
    problems += _nodes(spec)
    problems += _clients(spec)
    problems += _dns(spec.get("dns") or {})
    problems += _internet(spec)
    problems += _proxy(spec.get("proxy") or {})
    problems += _node_lifecycle(spec.get("nodeLifecycle") or {})
    range_problems = list(_all_ranges(spec))
    broken = {problem.path for problem in range_problems}
    return problems + range_problems + list(_placement(spec, broken))


def _metadata(metadata: Mapping[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("metadata", "name")
    yield from fields.given(("metadata",), metadata, "name")
    yield from fields.dns_label(path, metadata.get("name") or "lab")
    yield from fields.labels(("metadata", "labels"), metadata.get("labels") or {})


def _nodes(spec: Spec) -> Iterator[FieldProblem]:
    path: Path = ("spec", "nodes")
    nodes = spec.get("nodes")
    if isinstance(nodes, int) and not 1 <= nodes <= MAX_NODES:
        yield invalid(path, nodes, f"must be between 1 and {MAX_NODES}, inclusive")
    elif nodes == []:
        yield required(path, "a lab has at least one node")
    elif isinstance(nodes, list):
        yield from _names(path, nodes, taken={})
        for index, node in enumerate(nodes):
            yield from _node((*path, index), node)


def _names(
    path: Path, entries: list[dict[str, Any]], taken: Mapping[str, str]
) -> Iterator[FieldProblem]:
    """Names of nodes or clients: labels, none twice, none that something else has."""
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        where: Path = (*path, index, "name")
        name = entry.get("name")
        if name is None:
            continue
        yield from fields.dns_label(where, name)
        if name in seen:
            yield duplicate(where, name)
        elif name in RESERVED_NAMES:
            yield invalid(where, name, "is reserved: every lab has a namespace of that name")
        elif name in taken:
            yield invalid(where, name, f"is the name of a {taken[name]} already")
        seen.add(name)


def _node(path: Path, node: Mapping[str, Any]) -> Iterator[FieldProblem]:
    yield from fields.labels((*path, "labels"), node.get("labels") or {})
    for index, taint in enumerate(node.get("taints") or []):
        where: Path = (*path, "taints", index)
        yield from fields.qualified_name((*where, "key"), taint.get("key", "key"))
        yield from fields.label_value((*where, "value"), taint.get("value", ""))


def _clients(spec: Spec) -> Iterator[FieldProblem]:
    external = spec.get("external") or {}
    nodes = {str(entry.get("name")): "node" for entry in _node_list(spec)}
    yield from _names(("spec", "external", "clients"), external.get("clients") or [], nodes)


def _dns(dns: Mapping[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("spec", "dns", "domain")
    yield from fields.dns_subdomain(path, dns.get("domain") or "cluster.local")


def _internet(spec: Spec) -> Iterator[FieldProblem]:
    """The names that the internet's DNS is to know, and whom it is to ask for others."""
    domain = str((spec.get("dns") or {}).get("domain") or "cluster.local")
    for group, field in NAME_FIELDS:
        for name, addresses in ((spec.get(group) or {}).get(field) or {}).items():
            where: Path = ("spec", group, field, name)
            yield from fields.dns_subdomain(where, name.rstrip("."))
            if f".{name.rstrip('.')}".endswith(f".{domain}"):
                refusal = f"lies in {domain}, where the cluster's own DNS alone answers"
                yield invalid(where, name, refusal)
            for text in split(addresses):
                yield from fields.address(where, text)
    path: Path = ("spec", "external", "upstream")
    written = (spec.get("external") or {}).get("upstream")
    for index, text in enumerate(split(written)):
        if text != nameservers.MACHINE and nameservers.parsed(text) is None:
            yield invalid(
                (*path, index) if isinstance(written, list) else path, text,
                "must be the address of a name server, with or without a port",
                "write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53, or machine for those "
                "that this machine asks",
            )  # fmt: skip


def _proxy(proxy: Mapping[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("spec", "proxy", "nodePortAddresses")
    for index, text in enumerate(proxy.get("nodePortAddresses") or []):
        if text != "primary":
            yield from fields.cidr((*path, index), text)


def _node_lifecycle(lifecycle: Mapping[str, Any]) -> Iterator[FieldProblem]:
    text = lifecycle.get("nodeMonitorGracePeriod") or "2s"
    low, high = GRACE_PERIODS
    seconds = times.duration(text)
    if seconds is None or not low <= seconds <= high:
        yield invalid(
            ("spec", "nodeLifecycle", "nodeMonitorGracePeriod"), text,
            f"must be a duration from {low:g}s to {high:g}s", "such as 2s, 500ms or 1m",
        )  # fmt: skip


# Ranges


def _path_of(field: str) -> Path:
    return ("spec", *field.split("."))


def _all_ranges(spec: Spec) -> Iterator[FieldProblem]:
    """Each range by itself: its form, and one for each of the lab's families."""
    yield from _ip_families(spec)
    for field in DEFAULT_RANGES:
        malformed = [
            problem
            for text in field_of(spec, field)
            for problem in fields.cidr(_path_of(field), text)
        ]
        yield from malformed or _one_of_each_family(spec, field)
    for index, node in enumerate(_node_list(spec)):
        for text in split(node.get("podCIDR")):
            yield from fields.cidr(("spec", "nodes", index, "podCIDR"), text)
    yield from pool_form(spec)
    yield from node_local_form(spec)


def _ip_families(spec: Spec) -> Iterator[FieldProblem]:
    written = spec.get("ipFamilies")
    if written is None:
        return
    if not written:
        yield required(("spec", "ipFamilies"), "name IPv4, IPv6 or both, or leave the field out")
    for index, one in enumerate(written):
        if one in written[:index]:
            yield duplicate(("spec", "ipFamilies", index), one)


def _one_of_each_family(spec: Spec, field: str) -> Iterator[FieldProblem]:
    written = field_of(spec, field)
    if not written:
        return
    path, wanted = _path_of(field), families(spec)
    found = [family(text) for text in written]
    for one in dict.fromkeys(found):
        if found.count(one) > 1:
            yield invalid(path, ",".join(written), f"has more than one {one} range")
        elif one not in wanted:
            yield invalid(
                path,
                ",".join(written),
                f"has an {one} range, but the lab's families are {' and '.join(wanted)}",
                f"add an {one} range to podCIDR, or leave it out here",
            )
    for one in wanted:
        if one not in found:
            yield invalid(
                path,
                ",".join(written),
                f"has no {one} range, which ipFamilies or podCIDR asks for",
                f"write {','.join(written)},{DEFAULT_RANGES[field][one]}",
            )


# Places: ranges against each other, addresses in their ranges


def _placement(spec: Spec, broken: set[Path]) -> Iterator[FieldProblem]:
    """What is wrong between ranges and with addresses in them, as far as they are sound."""
    if any(path[:2] == ("spec", "ipFamilies") for path in broken):
        return
    sound = [field for field in DEFAULT_RANGES if _path_of(field) not in broken]
    yield from _overlaps(spec, sound)
    if "serviceCIDR" in sound:
        yield from _service_size(spec)
    yield from node_local_place(spec, sound)
    if "podCIDR" in sound and not any(path[-1] == "podCIDR" for path in broken):
        yield from _pod_subnets(spec)
    if "nodeNetwork" in sound:
        rows = _rows(("spec", "nodes"), _node_list(spec), "internalIP")
        yield from _addresses(spec, "nodeNetwork", rows)
    if "external.cidr" in sound:
        clients = client_entries(spec.get("external") or {})
        rows = _rows(("spec", "nodes"), _node_list(spec), "externalIP")
        rows += _rows(("spec", "external", "clients"), clients, "ip")
        problems = list(_addresses(spec, "external.cidr", rows))
        pools_are_sound = all(path[: len(POOL)] != POOL for path in broken)
        yield from problems or (pool_places(spec) if pools_are_sound else ())


def _rows(path: Path, entries: list[dict[str, Any]], field: str) -> list[tuple[Path, str | None]]:
    return [((*path, index, field), entry.get(field)) for index, entry in enumerate(entries)]


def _node_list(spec: Spec) -> list[dict[str, Any]]:
    """The nodes as a list, also of a count; a senseless count is no node."""
    nodes = spec.get("nodes")
    if isinstance(nodes, int) and not 1 <= nodes <= MAX_NODES:
        return []
    return node_entries(nodes)


def _overlaps(spec: Spec, sound: list[str]) -> Iterator[FieldProblem]:
    every = [(field, text) for field in sound for text in ranges(spec, field)]
    for (first, one), (second, other) in combinations(every, 2):
        if first == second or not _overlap(one, other):
            continue
        # Complain about what the user wrote, not about a default.
        field, text, against, taken = (second, other, first, one)
        if not field_of(spec, second) and field_of(spec, first):
            field, text, against, taken = (first, one, second, other)
        default = "" if field_of(spec, against) else ", its default"
        yield invalid(
            _path_of(field), text, f"overlaps {against} ({taken}{default})",
            "choose ranges that have no address in common",
        )  # fmt: skip


def _overlap(one: str, other: str) -> bool:
    a, b = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return a.version == b.version and a.overlaps(b)


def _service_size(spec: Spec) -> Iterator[FieldProblem]:
    low, high = SERVICE_HOST_BITS
    for text in ranges(spec, "serviceCIDR"):
        network = ipaddress.ip_network(text)
        bits = network.max_prefixlen - network.prefixlen
        if not low <= bits <= high:
            least, most = network.max_prefixlen - high, network.max_prefixlen - low
            yield invalid(
                _path_of("serviceCIDR"), text, f"must have a length from /{least} to /{most}"
            )


def _pod_subnets(spec: Spec) -> Iterator[FieldProblem]:
    nodes = _node_list(spec)
    for text in ranges(spec, "podCIDR"):
        overrides: list[str | None] = []
        for index, node in enumerate(nodes):
            mine = [one for one in split(node.get("podCIDR")) if family(one) == family(text)]
            path: Path = ("spec", "nodes", index, "podCIDR")
            yield from _override(path, mine, text, overrides)
            overrides.append(mine[0] if mine else None)
        yield from _room_for_pods(text, overrides)
    for index, node in enumerate(nodes):
        for one in split(node.get("podCIDR")):
            if family(one) not in families(spec):
                yield invalid(
                    ("spec", "nodes", index, "podCIDR"), one, f"the lab has no {family(one)}"
                )


def _override(
    path: Path, mine: list[str], pod_cidr: str, before: list[str | None]
) -> Iterator[FieldProblem]:
    """A node's own podCIDR: one a family, inside the lab's, nobody else's."""
    if len(mine) > 1:
        yield invalid(path, ",".join(mine), f"has more than one {family(mine[0])} range")
    for one in mine[:1]:
        inside = ipaddress.ip_network(one).subnet_of(ipaddress.ip_network(pod_cidr))  # type: ignore[arg-type]
        if not inside:
            yield invalid(path, one, f"lies outside the lab's podCIDR ({pod_cidr})")
        for other in before:
            if other and _overlap(one, other):
                yield invalid(path, one, f"overlaps another node's podCIDR ({other})")


def _room_for_pods(text: str, overrides: list[str | None]) -> Iterator[FieldProblem]:
    network = ipaddress.ip_network(text)
    if network.max_prefixlen - network.prefixlen < 3:
        yield invalid(_path_of("podCIDR"), text, "is too small: it must hold at least 8 addresses")
    elif None in node_pod_cidrs(text, overrides):
        prefix = NODE_PREFIX[network.version]
        needed = prefix - (len(overrides) - 1).bit_length()
        yield invalid(
            _path_of("podCIDR"), text,
            f"is too small for {len(overrides)} nodes: each takes a /{prefix}",
            f"make its length /{needed} or shorter",
        )  # fmt: skip


def _addresses(
    spec: Spec, field: str, rows: list[tuple[Path, str | None]]
) -> Iterator[FieldProblem]:
    """Addresses of one network: well-formed, inside it, free, and enough of them."""
    networks = [ipaddress.ip_network(text) for text in ranges(spec, field)]
    seen: set[str] = set()
    for path, written in rows:
        yield from _row(path, split(written), networks, field)
        for text in split(written):
            if text in seen:
                yield duplicate(path, text)
            seen.add(text)
    for network in networks:
        # Not to be given out: the network's own, the gateway's, the broadcast address.
        if network.num_addresses - 3 < len(rows):
            yield invalid(_path_of(field), str(network), f"is too small for {len(rows)} addresses")


def _row(
    path: Path, written: tuple[str, ...], networks: list[Any], field: str
) -> Iterator[FieldProblem]:
    if len({family(text) for text in written}) < len(written):
        yield invalid(path, ",".join(written), "has more than one address of a family")
    for text in written:
        parsed = fields.parse_address(text)
        network = next((one for one in networks if parsed and one.version == parsed.version), None)
        if parsed is None:
            yield from fields.address(path, text)
        elif network is None or parsed not in network:
            within = ",".join(map(str, networks))
            yield invalid(path, text, f"lies outside {field} ({within})")
        elif parsed in (network[0], network[-1]):
            yield invalid(path, text, f"is the network's or broadcast address of {network}")
        elif parsed == network[1]:
            yield invalid(path, text, f"is the gateway's address in {network}")
