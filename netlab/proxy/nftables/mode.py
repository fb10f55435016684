"""The nftables mode as `modes` gives it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier, Backend
from netlab.proxy.nftables.book import NftBook as book
from netlab.proxy.nftables.compile import assemble, compile_services
from netlab.proxy.nftables.model import TABLE, NftTable
from netlab.proxy.nftables.parse import parse
from netlab.proxy.nftables.render import render

if TYPE_CHECKING:
    from netlab.proxy.difference import Difference

__all__ = ["applier", "assemble", "book", "compile_services", "diff", "families", "parse", "render"]


def families(_: str) -> list[Family]:
    """Both: a listing of the ruleset has a table for each."""
    return ["ipv4", "ipv6"]


def diff(wanted: NftTable, found: NftTable) -> list[Difference]:
    """What of the table differs."""
    from netlab.proxy.nftables.diff import diff  # a controller compares nothing

    return diff(wanted, found)


def applier(
    _: Backend,
    family: Family,
    netns: int | Path | None,
    *,
    owner: str = "",
    follows: frozenset[str] = frozenset(),
) -> AnyApplier:
    """`nft -f`; the backend is iptables' affair. An owner's table has his name."""
    from netlab.proxy.nftables.apply import NftApplier  # the kernel's side

    del follows  # a table has a priority
    return NftApplier(family, netns, owner or TABLE)
