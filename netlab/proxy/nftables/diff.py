"""Two of kube-proxy's nftables tables compared, with the Service behind every difference.

As in iptables mode, comments mean nothing to a packet. Elements have no order; rules of a chain do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlab.proxy.difference import Difference, beyond
from netlab.proxy.nftables.model import TABLE, NftChain, NftTable
from netlab.proxy.nftables.owners import service_port


def diff(wanted: NftTable, found: NftTable) -> list[Difference]:
    """What of the table differs in `found` from what is `wanted`: chains, sets, elements."""
    return [*_chains(wanted, found), *_sets(wanted, found), *_elements(wanted, found)]


def _meaning(text: str) -> str:
    return re.sub(r'\s*\bcomment "[^"]*"', "", text).strip()


def _difference(where: str, wanted: str, found: str, service: str | None) -> Difference:
    kind = "altered" if wanted and found else "missing" if wanted else "stale"
    return Difference(kind, TABLE, where, service, wanted, found)  # type: ignore[arg-type]


def _chains(wanted: NftTable, found: NftTable) -> Iterator[Difference]:
    for name in sorted(wanted.chains.keys() | found.chains.keys()):
        before, after = wanted.chains.get(name), found.chains.get(name)
        service = service_port(name)
        if before is None:
            yield Difference("stale", TABLE, name, service)
        elif after is None:
            yield Difference("missing", TABLE, name, service)
        elif before != after:
            yield from _chain(name, before, after, service)


def _chain(
    name: str, wanted: NftChain, found: NftChain, service: str | None
) -> Iterator[Difference]:
    if _meaning(wanted.header) != _meaning(found.header):
        yield _difference(name, wanted.header, found.header, service)
    missing = beyond(wanted.rules, found.rules, _meaning)
    extra = beyond(found.rules, wanted.rules, _meaning)
    for rule in missing:
        # One rule gone and one come: that is what became of it.
        other = extra.pop(0) if len(extra) == len(missing) == 1 else ""
        yield _difference(name, rule, other, service or service_port(rule))
    for rule in extra:
        yield _difference(name, "", rule, service or service_port(rule))
    if not missing and not extra:
        for rule, other in zip(wanted.rules, found.rules, strict=False):
            if _meaning(rule) != _meaning(other):
                yield Difference("order", TABLE, name, service, rule, other)
                break


def _sets(wanted: NftTable, found: NftTable) -> Iterator[Difference]:
    for name in sorted(wanted.sets.keys() | found.sets.keys()):
        before, after = (table.sets.get(name) for table in (wanted, found))
        one, two = ("; ".join(of.header) if of else "" for of in (before, after))
        if _meaning(one) != _meaning(two) or (before is None) != (after is None):
            yield _difference(name, one, two, service_port(name))


def _elements(wanted: NftTable, found: NftTable) -> Iterator[Difference]:
    owners: dict[str, str] | None = None
    for place in sorted(wanted.elements.keys() | found.elements.keys()):
        before, after = wanted.elements.get(place), found.elements.get(place)
        if before is None or after is None or _meaning(before) != _meaning(after):
            name, key = place
            one, two = (f"{key} {of}".strip() if of is not None else "" for of in (before, after))
            service = service_port(one) or service_port(two)
            if service is None:
                owners = owners if owners is not None else _owners(found) | _owners(wanted)
                service = owners.get(_without_source(key))
            yield _difference(name, one, two, service)


_END = re.compile(r": (\S+ \. \d+)[, ]|dnat to (\S+):(\d+)")


def _owners(table: NftTable) -> dict[str, str]:
    """Whose the elements are that do not say it: a cluster IP belongs to the Service that the
    maps lead to from there, a hairpin to that of the chain with the endpoint."""
    owners = {}
    for (_, key), value in table.elements.items():
        if service := service_port(value):
            owners[key.partition(" . ")[0]] = service
    for name, chain in table.chains.items():
        if service := service_port(name):
            for end in _END.finditer(" ".join(chain.rules)):
                plain = end[1] or f"{end[2].strip('[]')} . {end[3]}"
                owners[plain] = service
    return owners


def _without_source(key: str) -> str:
    """`ip . ip . tcp . 80` → `ip . 80`; a plain address stays."""
    parts = key.split(" . ")
    return f"{parts[1]} . {parts[3]}" if len(parts) == 4 else key
