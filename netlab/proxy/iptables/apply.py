"""Rulesets → the kernel, by iptables-restore.

A whole ruleset is restored without --noflush, since with it the time grows with the square of
the new chains; what others put into the tables is read first and written back along with it.
A change is restored with --noflush and names only the chains it touches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from netlab.errors import CommandFailed
from netlab.kernel.generation import rules_generation
from netlab.kernel.run import run
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import RestoreFailed
from netlab.proxy.iptables import owners
from netlab.proxy.iptables.chains import FILTER, KUBE_PROXY, MANGLE, NAT, RulesOwner
from netlab.proxy.iptables.foreign_rules import builtin_difference, difference, with_foreign_rules
from netlab.proxy.iptables.model import Chain, Ruleset, RulesetChange, Table
from netlab.proxy.iptables.read import Variant, legacy_layout, program, read
from netlab.proxy.iptables.render import render, render_change, render_restore

# nat first: nearly all that can fail is there, and each table is committed on its own.
ORDER = (NAT, FILTER, MANGLE)

# Above this many chains to change, whole tables are quicker.
_FEW = 500

_TIMEOUT = 300.0


class RestoreApplier:
    """iptables-restore and its family, in the nft or the legacy variant: the rules of one owner in
    nat, filter and mangle."""

    def __init__(
        self,
        variant: Variant,
        family: Family,
        netns: int | Path | None,
        owner: RulesOwner = KUBE_PROXY,
    ) -> None:
        self.variant: Variant = variant
        self.family: Family = family
        self.netns = netns
        self._owner = owner

    def read(self) -> Ruleset:
        """What the namespace has now."""
        return read(self.netns, self.variant, self.family)

    def replace(self, desired: Ruleset) -> bool:
        """Nothing when all is so already, a change when a few chains differ, else one restore
        of whole tables; if a later table fails, the earlier ones are put back."""
        existing = self.read()
        wanted = _in_order(with_foreign_rules(desired, existing, self._owner))
        if not builtin_difference(existing, wanted):
            change = difference(existing, wanted)
            if len(change.after) <= _FEW:
                self.change(change)
                return bool(change)
        text = render_restore(wanted)
        try:
            self._restore(text)
        except _RestoreRefused as refused:
            self.put_back(existing, _committed(text, refused.number))
            raise _explained(refused, text, desired.tables.get(NAT)) from None
        return True

    def update(self, old: Ruleset, new: Ruleset) -> None:
        """A change of single chains, unless jumps to them come or go."""
        if old.tables.keys() != new.tables.keys() or builtin_difference(old, new):
            self.replace(new)
        else:
            self.change(difference(old, new))

    def clear(self) -> bool:
        """No chain of the owner's is left, nor a jump to one."""
        return self.replace(Ruleset())

    def change(self, change: RulesetChange) -> None:
        """One restore with --noflush; if a later table fails, the earlier ones are put back."""
        text = render_change(change, ORDER)
        if not text:
            return
        try:
            self._restore(text, "--noflush")
        except _RestoreRefused as refused:
            back = render_change(change.undone(_committed(text, refused.number)), ORDER)
            if back:
                self._restore(back, "--noflush")
            raise _explained(refused, text, _nat_chains(change)) from None

    def fingerprint(self) -> object:
        """nf_tables' generation; for legacy tables the offsets of their parts."""
        if self.variant == "nft":
            return rules_generation(self.netns)
        return legacy_layout(self.netns, self.family, ORDER)

    def put_back(self, existing: Ruleset, tables: Iterable[str]) -> None:
        """Write these tables as they were read before."""
        # A table that did not exist before is emptied: no rules is what it had.
        old = {name: existing.tables[name] for name in tables if name in existing.tables}
        empty = "".join(f"*{name}\nCOMMIT\n" for name in tables if name not in existing.tables)
        if old or empty:
            self._restore((render(Ruleset(old)) if old else "") + empty)

    def _restore(self, text: str, *flags: str) -> None:
        argv = [program(self.family, self.variant, "restore"), "-w", "5", "--counters", *flags]
        try:
            run(argv, input=text, netns=self.netns, timeout=_TIMEOUT)
        except CommandFailed as failed:
            raise _RestoreRefused(failed) from None


def _in_order(ruleset: Ruleset) -> Ruleset:
    return Ruleset({name: ruleset.tables[name] for name in ORDER if name in ruleset.tables})


class _RestoreRefused(Exception):
    """iptables-restore's own words, and the line number in them (0 when there is none)."""

    def __init__(self, failed: CommandFailed) -> None:
        super().__init__(failed.stderr)
        number = re.search(r"line:? (\d+)", failed.stderr)
        self.number = int(number.group(1)) if number else 0
        self.words = _words(failed.stderr)


def _words(stderr: str) -> str:
    """The message without the program's name, its advice and its line number."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("Try `", "Error occurred"))]
    return re.sub(r"^\S+ v[\d.]+ \(\w+\):\s*", "", " ".join(kept)).strip()


def _committed(text: str, failing: int) -> list[str]:
    """The tables whose COMMIT came before the failing line; none when nobody knows the line."""
    done = []
    table = ""
    for line in text.splitlines()[: max(failing - 1, 0)]:
        if line.startswith("*"):
            table = line[1:]
        elif line == "COMMIT":
            done.append(table)
    return done


def _explained(refused: _RestoreRefused, text: str, nat: Table | None) -> RestoreFailed:
    """The refusal with the rule and the Service it is about."""
    lines = text.splitlines()
    line = lines[refused.number - 1] if 0 < refused.number <= len(lines) else ""
    if line == "COMMIT":
        line = _mentioned(refused.words, lines)
    match = re.match(r"(?:\[\d+:\d+\] )?(?:-[ADIX] |:)(\S+)(?: \d+)?(?: (.*))?", line)
    service = owners.owner(nat, match.group(1), match.group(2) or "") if match else None
    return RestoreFailed(f"iptables-restore: {refused.words}", line, service)


def _nat_chains(change: RulesetChange) -> Table:
    """The chains of the nat table that a change writes, to tell whose a rule is."""
    written = {name: rules or () for (table, name), rules in change.after.items() if table == NAT}
    return Table(NAT, {name: Chain(name, rules) for name, rules in written.items()})


def _mentioned(words: str, lines: list[str]) -> str:
    """Where a whole table was refused: the rule that uses the name the refusal quotes."""
    quoted = re.search(r"[`'\"]([^`'\"]+)['\"]", words)
    if not quoted:
        return ""
    return next((line for line in lines if line.endswith(f" {quoted.group(1)}")), "")
