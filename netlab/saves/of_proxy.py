"""kube-proxy's rules out of one text, for whoever compares them with what they should be."""

from __future__ import annotations

from collections.abc import Sequence

from netlab.proxy.addresses import Family
from netlab.proxy.config import ModeName
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.parse import parse_with_lines
from netlab.proxy.nftables.fixed import REJECT_CHAIN, REJECT_COMMENT
from netlab.proxy.nftables.model import NftTable
from netlab.proxy.nftables.parse import parse
from netlab.saves import listing_json, misprints
from netlab.saves.save import Remark


def of_proxy(
    text: str, mode: ModeName, family: Family, *, file: str
) -> tuple[Ruleset | NftTable, Sequence[Remark]]:
    """Those of a mode and family, what was misprinted put right, and what is to be said of that;
    an empty table where nftables mode has none. Raises `InputError`."""
    if mode == "iptables":
        ruleset, lines = parse_with_lines(text, file=file)
        return ruleset, list(misprints.mend(ruleset, lines, file))
    if not text.lstrip().startswith("{"):
        return parse(text, family, file=file), ()
    tables = (listed.table for listed in listing_json.tables(text, file))
    own = (one for one in tables if one.family == family and one.name == NftTable(family).name)
    return _with_comment(next(own, NftTable(family))), ()


def _with_comment(table: NftTable) -> NftTable:
    """The only chain that has one: nft 1.0.6 leaves chains' comments out of JSON."""
    chain = table.chains.get(REJECT_CHAIN)
    if chain is not None and not chain.header:
        table.chains[REJECT_CHAIN] = chain._replace(header=REJECT_COMMENT)
    return table
