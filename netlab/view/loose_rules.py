"""Rules that name a Service, whether anything leads to them or not. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlab.proxy.iptables.model import Chains
from netlab.proxy.nftables.model import NftTable


def naming(key: str, found: Chains | NftTable) -> Iterator[str]:
    """The rules that name a Service, or stand in a chain that does."""
    names = re.compile(rf"(?<![\w.-]){re.escape(key)}(?![\w.-])")
    is_its = re.compile(rf"-[A-Z0-9]{{8}}-{re.escape(key)}/")  # as nftables mode calls chains
    for table in getattr(found, "tables", {"": found}).values():
        for chain, content in table.chains.items():
            for number, text in enumerate(content.rules, 1):
                if names.search(text) or is_its.search(chain):
                    yield f"{table.name} {chain} rule {number}: {text}"
