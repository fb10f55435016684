"""What can be wrong with a Lab's `loadBalancer.pool`."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

from netlab.objects.pools import NONE, AddressRange, address_range, holders, written_pools
from netlab.objects.problems import FieldProblem, Path, invalid
from netlab.objects.ranges import families, ranges

PATH: Path = ("spec", "loadBalancer", "pool")
RULE = "must be a range of addresses, (e.g. 172.16.110.200-172.16.110.250 or 172.16.110.192/27)"


def pool_form(spec: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Each pool by itself: a range, of a family that the lab has."""
    written = list(_written(spec))
    for path, text in written:
        if text == NONE and len(written) == 1:
            continue
        pool = _parsed(text)
        if isinstance(pool, str):
            hint = f"write {NONE} alone for no load balancer" if text in ("", NONE) else pool
            yield invalid(path, text, RULE, hint)
        elif pool.family not in families(spec):
            yield invalid(path, text, f"the lab has no {pool.family}")


def _written(spec: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """Each pool with its place: in a list its own, between commas the field's."""
    listed = isinstance((spec.get("loadBalancer") or {}).get("pool"), list)
    for index, text in enumerate(written_pools(spec)):
        yield (*PATH, index) if listed else PATH, text


def _parsed(text: str) -> AddressRange | str:
    """The range, or what is wrong with the text."""
    try:
        return address_range(text)
    except ValueError as error:
        return str(error)


def pool_places(spec: Mapping[str, Any]) -> Iterator[FieldProblem]:
    """Sound pools against a sound external network: inside it, nobody's, no two the same."""
    pools = [(path, text, address_range(text)) for path, text in _written(spec) if text != NONE]
    taken = list(holders(spec)) if pools else []
    for path, text, pool in pools:
        if not _inside(pool, ranges(spec, "external.cidr")):
            within = ",".join(ranges(spec, "external.cidr"))
            hint = "machines outside ask for the addresses by ARP, on that network alone"
            yield invalid(path, text, f"lies outside external.cidr ({within})", hint)
        elif owned := [f"{address} ({whose})" for address, whose in taken if address in pool]:
            rest = f" and {len(owned) - 1} more" if len(owned) > 1 else ""
            hint = "leave out the addresses of nodes, clients, the gateway and the network itself"
            yield invalid(path, text, f"includes {owned[0]}{rest}", hint)
    for (path, text, one), (_, _, other) in combinations(pools, 2):
        if one.first in other or other.first in one:
            yield invalid(path, text, f"overlaps {other}", "name each address once")


def _inside(pool: AddressRange, cidrs: tuple[str, ...]) -> bool:
    networks = [ipaddress.ip_network(cidr) for cidr in cidrs]
    return any(pool.first in network and pool.last in network for network in networks)
