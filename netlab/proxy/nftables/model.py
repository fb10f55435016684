"""kube-proxy's nftables table: chains, sets and maps, in the spelling of `nft list table`.

Rules and elements are text; a Service is a few chains and an element in each map it is reached
through, so that a packet finds it by one look-up however many Services there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from msgspec import Struct, field

from netlab.proxy.addresses import Family

TABLE = "kube-proxy"

_K = TypeVar("_K", str, tuple[str, str])
_V = TypeVar("_V")

NFT_FAMILY: dict[Family, str] = {"ipv4": "ip", "ipv6": "ip6"}


def address(family: Family, name: str = TABLE) -> str:
    """A table as commands name it: `ip kube-proxy`."""
    return f"{NFT_FAMILY[family]} {name}"


class NftChain(NamedTuple):
    """One chain; `header` is its hook (`type nat hook … ;`) or its comment, or ""."""

    rules: tuple[str, ...] = ()
    header: str = ""


class NftSet(NamedTuple):
    """One set or map: `kind` says which, `header` are its lines before the elements."""

    kind: str
    header: tuple[str, ...]

    @property
    def dynamic(self) -> bool:
        """True when packets add to it: its elements are nobody's to compare."""
        return any(line.startswith("flags") and "dynamic" in line for line in self.header)


Element = tuple[str, str]
"""A set's name and the element's key."""


class NftTable(Struct):
    """kube-proxy's table in one family, or one of another `name`. Elements: (set, key) → what
    follows the key (`: drop`, `comment "…" : goto …`), "" in a plain set."""

    family: Family
    chains: dict[str, NftChain] = field(default_factory=dict)
    sets: dict[str, NftSet] = field(default_factory=dict)
    elements: dict[Element, str] = field(default_factory=dict)
    name: str = TABLE

    @property
    def address(self) -> str:
        """The table as commands name it."""
        return address(self.family, self.name)


class NftChange(Struct):
    """What to replace in a table: each name with what it was and what it is to be, None for
    nothing."""

    table: str
    chains: dict[str, tuple[NftChain | None, NftChain | None]] = field(default_factory=dict)
    sets: dict[str, tuple[NftSet | None, NftSet | None]] = field(default_factory=dict)
    elements: dict[Element, tuple[str | None, str | None]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chains or self.sets or self.elements)

    def __len__(self) -> int:
        return len(self.chains) + len(self.sets) + len(self.elements)

    def note(self, element: Element, old: str | None, new: str | None) -> None:
        """Record one element, unless nothing changes."""
        if old != new:
            self.elements[element] = (old, new)


def difference(old: NftTable, new: NftTable) -> NftChange:
    """What to change so that `old` becomes `new`."""
    return NftChange(
        new.address,
        changed(old.chains, new.chains),
        changed(old.sets, new.sets),
        changed(old.elements, new.elements),
    )


def changed(old: Mapping[_K, _V], new: Mapping[_K, _V]) -> dict[_K, tuple[_V | None, _V | None]]:
    """What differs, by its name and in the order of names: what it was and what it is to be."""
    names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
    return {name: (old.get(name), new.get(name)) for name in sorted(names)}
