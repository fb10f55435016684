"""The rules of one node in one family, kept up to date Service by Service. Pure.

What a change costs grows with what changed: only the Services named are compiled again, and
the resulting change holds only what differs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from netlab.objects.types import EndpointSlice, Service
from netlab.proxy.compile import ServiceRules, no_collection
from netlab.proxy.node_view import NodeView
from netlab.proxy.object_cache import ObjectCache
from netlab.proxy.sharing import Compiled, place

_Service = TypeVar("_Service", bound=ServiceRules)
_Ruleset = TypeVar("_Ruleset")


class RuleChanges(Protocol):
    """What to change in the kernel, in a mode's own terms."""

    def note(self, place: tuple[str, str], old: Any, new: Any) -> None:
        """Record what stands at one place, unless nothing changes; None for nothing."""


_Changes = TypeVar("_Changes", bound=RuleChanges)

Pair = tuple[_Service | None, _Service | None]
"""A Service's rules before and after; None for no such Service."""


class RuleBook(ABC, Generic[_Service, _Ruleset, _Changes]):
    """Every Service's rules, in the order of the Services' keys.

    A mode says how a Service is compiled, and what becomes of the places to which several
    Services add: a chain that all share, an element that two of them want. `compiled` is shared
    with the books of other nodes.
    """

    _local_matters: ClassVar[bool]
    """As `sharing.place` says."""

    def __init__(
        self, node: NodeView, objects: ObjectCache, compiled: Compiled | None = None
    ) -> None:
        self.node = node
        self.objects = objects
        self._compiled = compiled or Compiled()
        self._common_view = node.common
        self._services: dict[str, _Service] = {}
        self._order: list[str] = []
        self._begun = False

    @abstractmethod
    def ruleset(self) -> _Ruleset:
        """Everything, for a full sync."""

    @abstractmethod
    def _compile(self, service: Service, slices: Iterable[EndpointSlice]) -> _Service:
        """The rules of one Service."""

    @abstractmethod
    def _changes(self, pairs: Iterable[Pair[_Service]]) -> _Changes:
        """What changes of that which belongs to these Services alone."""

    @abstractmethod
    def _take(self, pairs: Mapping[str, Pair[_Service]], changes: _Changes) -> None:
        """Have the Services' new rules in place of the old ones (`_replace`), and note what
        changes at places that they share with others."""

    def look_again(self, node: NodeView) -> None:
        """Compile everything anew, for a node that is no longer what it was."""
        self.node, self._begun = node, True
        self._common_view = node.common
        with no_collection():
            fresh = ((key, self._fresh(key)) for key in sorted(self.objects.keys()))
            self._services = {key: rules for key, rules in fresh if rules is not None}
        self._order = list(self._services)

    def __iter__(self) -> Iterator[_Service]:
        return (self._services[key] for key in self._order)

    def get(self, key: str) -> _Service | None:
        """The rules of one Service."""
        return self._services.get(key)

    def update(self, keys: Sequence[str]) -> tuple[_Changes, Mapping[str, _Service | None]]:
        """Compile these Services again. Returns what changes in the kernel, and the rules the
        Services had before. The first time, when nothing is in force yet, it compiles all."""
        if not self._begun:
            self.look_again(self.node)
            return self._changes(()), {}
        pairs = {key: (self.get(key), self._fresh(key)) for key in keys}
        changes = self._changes(pairs.values())
        self._take(pairs, changes)
        return changes, {key: old for key, (old, _) in pairs.items()}

    def _fresh(self, key: str) -> _Service | None:
        service = self.objects.service(key)
        if service is None:
            self._compiled.forget(key)
            return None
        slices = self.objects.slices(key)
        here = place(service, slices, self.node, local_matters=self._local_matters)
        return self._compiled.of(
            key,
            service,
            slices,
            (type(self), self._common_view, here),
            lambda: self._compile(service, slices),
        )

    def _replace(self, key: str, old: _Service | None, new: _Service | None) -> None:
        if new is not None:
            self._services[key] = new
            if old is None:
                insort(self._order, key)
        elif old is not None:
            del self._services[key]
            del self._order[bisect_left(self._order, key)]


AnyBook = RuleBook[Any, Any, Any]
