"""The iptables mode as `modes` gives it; without an applier it needs nothing of the kernel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier, Backend
from netlab.proxy.iptables import chains
from netlab.proxy.iptables.book import IptablesBook as book
from netlab.proxy.iptables.compile import assemble, compile_services
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.parse import parse as parse_save
from netlab.proxy.iptables.render import render

if TYPE_CHECKING:
    from netlab.proxy.difference import Difference

__all__ = ["applier", "assemble", "book", "compile_services", "diff", "families", "parse", "render"]


def parse(text: str, _: Family, *, file: str) -> Ruleset:
    """iptables-save text, of whichever family: there the two are not to be told apart."""
    return parse_save(text, file=file, complete=True)


def families(text: str) -> list[Family]:
    """One: the save's first line says which program wrote it."""
    return ["ipv6"] if "ip6tables-save" in text[:100] else ["ipv4"]


def diff(wanted: Ruleset, found: Ruleset) -> list[Difference]:
    """What of kube-proxy's differs."""
    from netlab.proxy.iptables.diff import diff  # a controller compares nothing

    return diff(wanted, found)


def applier(
    backend: Backend,
    family: Family,
    netns: int | Path | None,
    *,
    owner: str = "",
    follows: frozenset[str] = frozenset(),
) -> AnyApplier:
    """iptables-restore in the variant asked for, or libiptc: of kube-proxy or an `owner`."""
    whose = chains.owner(owner, follows) if owner else chains.KUBE_PROXY
    if backend == "libiptc":
        from netlab.proxy.iptables.libiptc import LibiptcApplier  # takes 0.1 s to import

        return LibiptcApplier(family, netns, whose)
    from netlab.proxy.iptables.apply import RestoreApplier  # the kernel's side
    from netlab.proxy.iptables.read import host_variant

    variant = host_variant() if backend == "auto" else backend
    return RestoreApplier(variant, family, netns, whose)
