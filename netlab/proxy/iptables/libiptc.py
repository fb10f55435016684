"""The applier without a program: python-iptables, which speaks to the legacy tables itself.

Its traps, and what is done about each: its tables are singletons bound to the namespace they
were opened in (refreshed after every entering), it is not thread-safe (one lock for the
process), merely opening a table creates it (so none is opened that is not going to be
written), and it leaves nothing undone by itself (nothing is committed before all is built).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from netlab.errors import EnvironmentLacks
from netlab.kernel import netns as namespaces
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import RestoreFailed
from netlab.proxy.iptables import option_tables, owners
from netlab.proxy.iptables.apply import ORDER, RestoreApplier
from netlab.proxy.iptables.chains import KUBE_PROXY, Place, RulesOwner, is_of_service
from netlab.proxy.iptables.foreign_rules import builtin_difference, difference, with_foreign_rules
from netlab.proxy.iptables.model import Ruleset, RulesetChange
from netlab.proxy.iptables.read import Variant
from netlab.proxy.iptables.rule import Condition, Rule, parse_rule

_LOCK = threading.Lock()

# libxtables keeps of each extension only what is of the family it was first used for.
_used_for: list[Family] = []


def _claim(family: Family) -> bool:
    """True when this process may use the library for that family: the first that asks."""
    with _LOCK:
        if not _used_for:
            _used_for.append(family)
        return _used_for[0] == family


def load() -> Any:
    """The library, imported when first used: it loads shared objects of the machine's.

    It is an extra, as it comes as source only. `EnvironmentLacks` where it is not installed.
    """
    try:
        import iptc
    except ModuleNotFoundError as error:
        raise EnvironmentLacks(
            "python-iptables, which libiptc is used through, is not installed",
            hint=f"apt-get install gcc python3-dev, then {sys.executable} -m pip install "
            "python-iptables; or choose auto instead of libiptc",
        ) from error
    except (ImportError, OSError) as error:
        raise EnvironmentLacks(
            f"python-iptables does not load: {error}",
            hint="apt-get install libxtables12 iptables, or choose auto instead of libiptc",
        ) from error
    option_tables.mend()
    return iptc


class LibiptcApplier:
    """libiptc through python-iptables; the legacy tables of one namespace and family.

    Reads by iptables-legacy-save, so what one of them wrote the other one checks. A process can
    use the library for one family only; the other goes into the same tables by
    iptables-legacy-restore.
    """

    def __init__(
        self, family: Family, netns: int | Path | None, owner: RulesOwner = KUBE_PROXY
    ) -> None:
        self.family: Family = family
        self.netns = netns
        self.variant: Variant = "legacy"
        self._owner = owner
        self._restore = RestoreApplier(self.variant, family, netns, owner)

    def read(self) -> Ruleset:
        """What the namespace has now."""
        return self._restore.read()

    def fingerprint(self) -> object:
        """The offsets of the tables' parts."""
        return self._restore.fingerprint()

    def replace(self, desired: Ruleset) -> bool:
        """Rewrite the chains that differ, and kube-proxy's jumps where they are not in place."""
        if not _claim(self.family):
            return self._restore.replace(desired)
        existing = self.read()
        wanted = with_foreign_rules(desired, existing, self._owner)
        builtin = builtin_difference(existing, wanted)
        change = difference(existing, wanted)
        if not change and not builtin:
            return False
        with self._tables() as tables:
            try:
                _change_chains(tables, change.whole(), self.family, builtin)
                _commit(tables)
            except RestoreFailed:
                self._restore.put_back(existing, ORDER)
                raise
        return True

    def update(self, old: Ruleset, new: Ruleset) -> None:
        """As iptables-restore does it: it is the same table."""
        self._restore.update(old, new)

    def clear(self) -> bool:
        """No chain of the owner's is left, nor a jump to one."""
        return self._restore.clear()

    def change(self, change: RulesetChange) -> None:
        """Rewrite and delete single chains; all tables are built before the first is committed."""
        if not change:
            return
        if not _claim(self.family):
            self._restore.change(change)
            return
        with self._tables({*change.tables()}) as tables:
            _change_chains(tables, change.whole(), self.family)
            try:
                _commit(tables)
            except RestoreFailed:
                self._restore.change(change.undone(tables))
                raise

    @contextmanager
    def _tables(self, names: set[str] | None = None) -> Iterator[dict[str, Any]]:
        """The tables, opened afresh in the namespace; closed without a trace afterwards."""
        iptc = load()
        kind = iptc.Table if self.family == "ipv4" else iptc.Table6
        opened = [name for name in ORDER if names is None or name in names]
        with _LOCK, namespaces.entered(self.netns):
            # Building a rule looks for its target in every table that is said to exist.
            kind.existing_table_names.update({name: name in opened for name in kind.ALL})
            tables = {name: kind(name, autocommit=False) for name in opened}
            for table in tables.values():
                table.refresh()
            try:
                yield tables
            finally:
                for table in tables.values():
                    table.close()


def _commit(tables: Mapping[str, Any]) -> None:
    for name, table in tables.items():
        with _refusals(f"*{name}"):
            table.commit()


def _change_chains(
    tables: Mapping[str, Any],
    changed: Mapping[Place, tuple[str, ...] | None],
    family: Family,
    builtin: Mapping[Place, tuple[str, ...]] = MappingProxyType({}),
) -> None:
    """Chains first, so that rules may jump to them; deletions last, when nothing jumps there."""
    for (table, chain), rules in changed.items():
        with _refusals(f"-N {chain}"):
            if not tables[table].is_chain(chain):
                tables[table].create_chain(chain)
            if rules is None:
                _chain(tables[table], chain).flush()
    for (table, chain), rules in (*changed.items(), *builtin.items()):
        if rules is not None:
            _rewrite(tables[table], chain, rules, family)
    for (table, chain), rules in changed.items():
        if rules is None:
            with _refusals(f"-X {chain}"):
                tables[table].delete_chain(chain)


def _chain(table: Any, name: str) -> Any:
    return load().Chain(table, name)


def _rewrite(table: Any, name: str, rules: tuple[str, ...], family: Family) -> None:
    chain = _chain(table, name)
    chain.flush()
    named = (port for rule in rules if (port := owners.service_port(rule)))
    service = next(named, None) if is_of_service(name) else None
    for text in rules:
        with _refusals(f"-A {name} {text}", owners.service_port(text) or service):
            chain.append_rule(build(parse_rule(text), family))


@contextmanager
def _refusals(line: str, service: str | None = None) -> Iterator[None]:
    """Whatever the library raises in here, as the refusal of that line."""
    try:
        yield
    except Exception as error:  # IPTCError, XTablesError, ValueError: what the C code hints at
        raise RestoreFailed(f"libiptc: {error}", line, service) from error


def build(rule: Rule, family: Family) -> Any:
    """A python-iptables rule of a parsed one."""
    iptc = load()
    built = iptc.Rule() if family == "ipv4" else iptc.Rule6()
    for condition in rule.conditions:
        if condition.module == "":
            _set_basic(built, condition)
    for module, conditions in _modules(rule):
        match = built.create_match(module)
        for condition in conditions:
            match.set_parameter(*_parameter(condition))
    target = built.create_target(rule.target, goto=rule.goto)
    for option in rule.options:
        target.set_parameter(*_parameter(option))
    return built


def _modules(rule: Rule) -> list[tuple[str, list[Condition]]]:
    """Each match with its conditions, in the order they stand."""
    found: dict[str, list[Condition]] = {module: [] for module in rule.modules}
    for condition in rule.conditions:
        if condition.module:
            found[condition.module].append(condition)
    return list(found.items())


_BASIC = {
    "-s": "src", "-d": "dst", "-i": "in_interface", "-o": "out_interface", "-p": "protocol",
}  # fmt: skip


def _set_basic(built: Any, condition: Condition) -> None:
    value = ("!" if condition.negated else "") + condition.values[0]
    setattr(built, _BASIC[condition.option], value)


def _parameter(condition: Condition) -> tuple[str, list[str] | str]:
    """A parameter's name and value as `set_parameter` wants them; negation goes in front."""
    name = condition.option.lstrip("-")
    if condition.negated:
        return name, ["!", *condition.values]
    return name, list(condition.values) or ""
