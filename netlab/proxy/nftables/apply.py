"""An nftables table, as kube-proxy's is, into a namespace, by `nft -f`.

The whole table is replaced in one transaction of the kernel's; a change names only the chains
and elements it touches. Other tables are nobody's business here: nothing needs carrying along.
"""

from __future__ import annotations

import re
from pathlib import Path

from netlab.errors import CommandFailed
from netlab.kernel.generation import rules_generation
from netlab.kernel.run import run
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import RestoreFailed
from netlab.proxy.nftables.model import (
    TABLE,
    NftChain,
    NftChange,
    NftTable,
    difference,
)
from netlab.proxy.nftables.owners import service_port
from netlab.proxy.nftables.parse import parse_table, parse_tables
from netlab.proxy.nftables.render import (
    is_hooked,
    is_large,
    render_change,
    render_parts,
    render_removal,
    render_replacement,
    render_rewriting,
)

_TIMEOUT = 300.0

# Above this many things to change, the whole table is quicker.
_FEW = 500


def read_tables(netns: int | Path | None, family: Family) -> list[NftTable]:
    """All tables that packets of that family meet, whosever they are, with the clients that
    affinity knows."""
    listed = run(["nft", "list", "ruleset"], netns=netns, timeout=_TIMEOUT)
    return parse_tables(listed.stdout, family, file="nft list ruleset")


class NftApplier:
    """nft -f: one owner's table, in one namespace and family. Blocking; one thread at a time."""

    def __init__(self, family: Family, netns: int | Path | None, owner: str = TABLE) -> None:
        self.family: Family = family
        self.netns = netns
        self._none = NftTable(family, name=owner)

    def read(self) -> NftTable:
        """The table as it is; an empty one when there is none."""
        argv = ["nft", "list", "table", *self._none.address.split()]
        listed = run(argv, netns=self.netns, timeout=_TIMEOUT, check=False)
        file, name = "nft list table", self._none.name
        return parse_table(listed.stdout, self.family, file=file, name=name) or self._none

    def replace(self, desired: NftTable) -> bool:
        """Make the table so. Idempotent; True when anything had to change.

        A few differences are changed one by one, which keeps the clients that affinity knows.
        """
        existing = self.read()
        self.update(existing, desired)
        return existing != desired

    def update(self, old: NftTable, new: NftTable) -> None:
        """A change where little differs, else the whole table."""
        if is_large(new) and not any(is_hooked(chain) for chain in old.chains.values()):
            for part in render_parts(new):
                self._run(part)
            return
        change = difference(old, new)
        if old.chains and len(change) <= _FEW and not _redefines(change):
            self.change(change)
        elif old.chains:
            self._run(render_rewriting(old, new))
        else:
            self._run(render_replacement(new))

    def clear(self) -> bool:
        """There is no such table."""
        existed = self.read() != self._none
        self._run(render_removal(self._none))
        return existed

    def change(self, change: NftChange) -> None:
        """Replace and delete single chains, sets and elements, in one transaction."""
        if change:
            self._run(render_change(change))

    def fingerprint(self) -> object:
        """nf_tables' generation."""
        return rules_generation(self.netns)

    def _run(self, script: str) -> None:
        try:
            run(["nft", "-f", "-"], input=script, netns=self.netns, timeout=_TIMEOUT)
        except CommandFailed as failed:
            raise _explained(failed, script) from None


def _redefines(change: NftChange) -> bool:
    """A set's type or a chain's hook cannot be changed in place."""
    return any(old and new for old, new in change.sets.values()) or any(
        _header(old) != _header(new) for old, new in change.chains.values()
    )


def _header(chain: NftChain | None) -> str:
    return chain.header if chain else ""


def _explained(failed: CommandFailed, script: str) -> RestoreFailed:
    """nft's first complaint with the line of the script it is about, and whose that is."""
    match = re.search(r"/dev/stdin:(\d+):\d+-\d+: Error: (.*)", failed.stderr)
    if not match:
        return RestoreFailed(f"nft: {failed.stderr.strip()}", "", None)
    lines = script.splitlines()
    number = int(match.group(1))
    line = lines[number - 1].strip() if number <= len(lines) else ""
    chain = next(
        (text for text in reversed(lines[:number]) if text.lstrip().startswith(("chain", "map"))),
        "",
    )
    service = service_port(line) or service_port(chain)
    return RestoreFailed(f"nft: {match.group(2)}", line, service)
