"""Which Services a node's rules name, where, and with which ClusterIPs. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

from netlab.proxy.iptables import owners as iptables_owners
from netlab.proxy.names import service_of
from netlab.proxy.nftables import owners as nftables_owners
from netlab.proxy.nftables.model import TABLE
from netlab.saves.save import SavedRules

_TO = re.compile(r"-d (\S+)/(?:32|128) .*cluster IP\"")
_PLACES = (("nat", "KUBE-SERVICES"), ("nat", "KUBE-NODEPORTS"), ("filter", "KUBE-SERVICES"))
_MAPS = ("service-ips", "service-nodeports", "no-endpoint-services")


class Named(Struct):
    """A Service that rules name: the first of them, and its ClusterIPs as they have them."""

    file: str
    line: int
    addresses: set[str]


def services(rules: SavedRules) -> Mapping[str, Named]:
    """By `namespace/name`, in the order of the rules."""
    found: dict[str, Named] = {}
    for key, file, line, address in (*_in_iptables(rules), *_in_nftables(rules)):
        named = found.setdefault(key, Named(file, line, set()))
        if address:
            named.addresses.add(address)
    return found


_Found = tuple[str, str, int, str]


def _in_iptables(rules: SavedRules) -> Iterator[_Found]:
    for place in _PLACES:
        chain, written = rules.ruleset.chain(*place), rules.written.get(place)
        for number, text in enumerate(chain.rules if chain is not None else (), 1):
            port = iptables_owners.service_port(text)
            if port is not None and written is not None:
                found = _TO.search(text)
                address = found[1] if found else ""
                yield service_of(port), written.file, written.line(number), address


def _in_nftables(rules: SavedRules) -> Iterator[_Found]:
    for table in rules.tables:
        for (of, element), value in table.elements.items() if table.name == TABLE else ():
            port = nftables_owners.service_port(value) if of in _MAPS else None
            if port is None:
                continue
            written = rules.written.get((table.name, value.rpartition("goto ")[2]))
            file, line = (written.file, written.line(1)) if written is not None else ("", 0)
            # Other addresses lead to other chains of the Service.
            own = of == "service-ips" and not re.search(r"goto (?:external|firewall)-", value)
            yield service_of(port), file, line, element.partition(" . ")[0] if own else ""
