"""How many packets a node's rules have refused, by Service.

kube-proxy's iptables mode counts what it rejects for want of endpoints; its nftables mode, by
`nft_refusals`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from netlab.objects.lab import Lab
from netlab.proxy.addresses import Family
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.read import Variant, host_variant, read

_REFUSES = re.compile(r'--comment "(?P<port>[A-Za-z0-9./:-]+) has no endpoints" .*-j REJECT\b')


def refusals(lab: Lab, netns: Path) -> Counter[str]:
    """By `namespace/name:port`, since the rules are there; of Services that have endpoints again,
    nothing is left."""
    written = host_variant() if lab.iptables == "auto" else lab.iptables
    variant: Variant = "nft" if written == "nft" else "legacy"
    found = Counter[str]()
    for family in lab.ip_families:
        found += counted(read(netns, variant, version(family), table="filter"))
    return found


def version(family: str) -> Family:
    """`ipv4` of a Service's `IPv4`."""
    return "ipv4" if family == "IPv4" else "ipv6"


def more(before: Counter[str], now: Counter[str]) -> Counter[str]:
    """How many came between; a rule that has counted fewer is another one, which began at 0."""
    return Counter(
        {
            name: number - before[name] if number >= before[name] else number
            for name, number in now.items()
        }
    )


def counted(ruleset: Ruleset) -> Counter[str]:
    """The counters of rules that refuse, by the name in their comment."""
    found = Counter[str]()
    for table in ruleset.tables.values():
        ours = (each for each in table.chains.values() if each.name.startswith("KUBE-"))
        for chain in ours:
            for rule, (packets, _) in zip(chain.rules, chain.counters, strict=False):
                if match := _REFUSES.search(rule):
                    found[match["port"]] += packets
    return found
