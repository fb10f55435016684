"""All rules of nftables that packets of a family meet; `nft_steps` makes steps of each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from netlab.prove.diagram import Place
from netlab.prove.nft_steps import Reader
from netlab.prove.space import Space
from netlab.prove.steps import Action, Choose, Hooked, Rules, Step, Translate
from netlab.proxy.nftables.model import NftTable
from netlab.simulation.nft_match import Sets
from netlab.simulation.nftables import base_chains

_LINK = re.compile(r"(?:iif|oif|iifname|oifname) (?:[=!]= )?(\{[^}]*\}|\S+)")
_NAMED = re.compile(r'"([^"]+)"')


def links(tables: Sequence[NftTable]) -> set[str]:
    """The links that their rules and the elements of their sets name."""
    found: set[str] = set()
    for table in tables:
        for chain in table.chains.values():
            for text in chain.rules:
                for named in _LINK.findall(text) if "if" in text else ():
                    found.update(_NAMED.findall(named))
        sets = {name for name, one in table.sets.items() if "ifname" in " ".join(one.header)}
        for name, key in table.elements if sets else ():
            if name in sets:
                found.update(_NAMED.findall(key))
    return found


_GOES = re.compile(r"(?:jump|goto) ([^\s,}]+)")
_LOOKED_UP = re.compile(r"vmap @(\S+)")


def _to(value: str) -> str:
    """The chain that an element leads to."""
    return value.rpartition(" ")[2]


def _translations(actions: Iterable[Action]) -> Iterator[tuple[int | None, int | None]]:
    for action in actions:
        if isinstance(action, Translate):
            yield action.reach()
        elif isinstance(action, Choose):
            yield from _translations(one for _, one in action.ways)


class NftablesRules(Rules):
    """Those of all tables that packets of a family meet."""

    def __init__(self, tables: Sequence[NftTable], space: Space) -> None:
        self.tables, self.space = tables, space
        self._by_name = {table.name: table for table in tables}
        self._sets = {table.name: Sets(table) for table in tables}
        super().__init__()
        self.hooks = {
            hook: [
                (
                    base.order[0],
                    Hooked(base.table.name, base.name, base.is_nat, base.policy == "drop", self),
                )
                for base in chains
            ]
            for hook, chains in base_chains(tables).items()
        }

    def names(self) -> Iterator[tuple[str, str]]:
        """See `Rules`."""
        for table in self.tables:
            for chain in table.chains:
                yield table.name, chain

    def differing(self, other: Rules) -> set[tuple[str, str]]:
        """See `Rules`."""
        assert isinstance(other, NftablesRules)
        mine, theirs = self.elements(), other.elements()
        odd = {key for key in {*mine, *theirs} if mine.get(key) != theirs.get(key)}
        keys = dict.fromkeys((*self.names(), *other.names()))
        return {key for key in keys if self._asks(key, odd) or self.texts(key) != other.texts(key)}

    def elements(self) -> dict[tuple[str, str], dict[str, str]]:
        """The elements of each set, by its table and name."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for table in self.tables:
            for (name, key), value in table.elements.items():
                found.setdefault((table.name, name), {})[key] = value
        return found

    def _asks(self, key: tuple[str, str], sets: set[tuple[str, str]]) -> bool:
        """Whether a chain looks something up in one of these."""
        return any(
            f"@{name}" in text
            for text in self.texts(key) or ()
            for table, name in sets
            if table == key[0]
        )

    def texts(self, key: tuple[str, str]) -> tuple[str, ...] | None:
        """See `Rules`."""
        table = self._by_name.get(key[0])
        chain = table.chains.get(key[1]) if table is not None else None
        return chain.rules if chain is not None else None

    def leads(self) -> Iterator[tuple[tuple[str, str], str]]:
        """See `Rules`."""
        values = {
            key: {_to(one) for one in known.values()} for key, known in self.elements().items()
        }
        for table in self.tables:
            for name, chain in table.chains.items():
                for text in chain.rules:
                    named = _GOES.findall(text)
                    looked = (values.get((table.name, one), ()) for one in _LOOKED_UP.findall(text))
                    for target in {*named, *(one for each in looked for one in each)}:
                        if target in table.chains:
                            yield (table.name, name), target

    def translations(self) -> Iterator[tuple[int | None, int | None]]:
        """See `Rules`."""
        for table, name in self.names():
            if any(
                "dnat" in text or "redirect" in text for text in self.texts((table, name)) or ()
            ):
                for step in self.chain(table, name) or ():
                    yield from _translations(step.actions)

    def text(self, place: Place) -> str:
        """See `Rules`."""
        chain = self._by_name[place.table].chains[place.chain]
        return chain.rules[place.number - 1] if place.number else chain.header

    def steps(self, table: str, texts: Sequence[str]) -> list[Step]:
        """See `Rules`."""
        reader = Reader(self._sets[table], self.space)
        return [step for number, text in enumerate(texts, 1) for step in reader.steps(number, text)]
