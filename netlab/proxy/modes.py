"""kube-proxy's modes by their names: all that is to be had of one, for those that take either.

A mode's modules are imported when it is asked for, and no other's.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.addresses import Family
from netlab.proxy.appliers import AnyApplier, Backend
from netlab.proxy.book import AnyBook
from netlab.proxy.config import ModeName
from netlab.proxy.node_view import NodeView
from netlab.proxy.object_cache import ObjectCache
from netlab.proxy.sharing import Compiled

if TYPE_CHECKING:
    from netlab.proxy.difference import Difference


class Mode(Protocol):
    """A mode is a module of these functions (`iptables.mode`, `nftables.mode`).

    What it takes and gives as rules is its own: a `Ruleset`, an `NftTable`.
    """

    def compile_services(
        self, services: Iterable[Service], slices: Iterable[EndpointSlice], node: NodeView
    ) -> list[Any]:
        """The rules of each Service, `ServiceRules` of the mode's own, in the order of keys."""

    def assemble(self, services: Iterable[Any], node: NodeView) -> Any:
        """All rules of a node, of those of its Services."""

    def book(
        self, node: NodeView, objects: ObjectCache, compiled: Compiled | None = None
    ) -> AnyBook:
        """What keeps a node's rules as objects change; those of Services are `compiled` once for
        all books that share them."""

    def render(self, rules: Any) -> str:
        """The rules as the mode's own tool prints them."""

    def parse(self, text: str, family: Family, *, file: str) -> Any:
        """What the tool printed as rules; InputError, naming `file`, for other text."""

    def families(self, text: str) -> list[Family]:
        """The families that such a text tells of; of an empty one, those it would by default."""

    def diff(self, wanted: Any, found: Any) -> list[Difference]:
        """What differs in `found` from what is `wanted`."""

    def applier(
        self,
        backend: Backend,
        family: Family,
        netns: int | Path | None,
        *,
        owner: str = "",
        follows: frozenset[str] = frozenset(),
    ) -> AnyApplier:
        """What writes the rules of one family into a namespace: kube-proxy's, or another owner's,
        who is told by his name: the one of his table, or what the names of his chains begin with.
        Of these, `follows` are the built-in chains where he comes after kube-proxy.
        """


def of(name: ModeName) -> Mode:
    """The mode of that name."""
    if name == "nftables":
        from netlab.proxy.nftables import mode as nftables

        return nftables
    from netlab.proxy.iptables import mode as iptables

    return iptables


def require_libiptc() -> None:
    """Raise `EnvironmentLacks` where a lab cannot have its tables written by libiptc."""
    from netlab.proxy.iptables import libiptc

    libiptc.load()
