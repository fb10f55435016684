"""What can be wrong with `dns.nodeLocal`: where the nodes' DNS caches answer."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from netlab.objects import fields
from netlab.objects.problems import FieldProblem, Path, invalid
from netlab.objects.ranges import (
    NODE_LOCAL_DNS,
    families,
    family,
    field_of,
    node_local_addresses,
    ranges,
    split,
)

PATH: Path = ("spec", "dns", "nodeLocal", "address")

Spec = Mapping[str, Any]


def node_local_form(spec: Spec) -> Iterator[FieldProblem]:
    """Addresses that a node can have for itself, at most one of each of the lab's families."""
    written = field_of(spec, "dns.nodeLocal.address")
    seen: set[str] = set()
    for text in written:
        one = family(text)
        if fields.parse_address(text) is None:
            yield from fields.address(PATH, text)
        elif refusal := _refusal(text):
            yield invalid(PATH, text, refusal, f"write {NODE_LOCAL_DNS[one]}")
        elif one not in families(spec):
            yield invalid(PATH, text, f"the lab has no {one}")
        elif one in seen:
            yield invalid(PATH, ",".join(written), f"has more than one {one} address")
        seen.add(one)


def _refusal(text: str) -> str:
    parsed = ipaddress.ip_address(text)
    if parsed.is_unspecified or parsed.is_loopback or parsed.is_multicast:
        return "is no address that pods could reach a node by"
    if parsed.version == 6 and parsed.is_link_local:
        return "is reached only by naming a link, which a pod's resolv.conf does not"
    if text == "255.255.255.255":
        return "is the broadcast address"
    return ""


def node_local_place(spec: Spec, sound: Iterable[str]) -> Iterator[FieldProblem]:
    """Addresses that nobody else has, by those of the lab's ranges that are `sound`."""
    names = (spec.get("external") or {}).get("names") or {}
    taken = {address: name for name, given in names.items() for address in split(given)}
    for text in node_local_addresses(spec):
        parsed = fields.parse_address(text)
        if parsed is None:
            continue
        for field in sound:
            for cidr in ranges(spec, field):
                if parsed in ipaddress.ip_network(cidr):
                    yield invalid(
                        PATH, text, f"lies in {field} ({cidr})", "choose one that nobody has"
                    )
        if text in taken:
            yield invalid(PATH, text, f"is the address of {taken[text]}")
