"""What get, list and watch mean. Objects handed out belong to the store: copy before changing."""

from __future__ import annotations

import builtins

from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.numbers import whole
from netlab.objects.selectors import matcher, parse_fields
from netlab.objects.watch import Event, ObjectList
from netlab.store import failures
from netlab.store.admission import kind_named
from netlab.store.log import FellBehind
from netlab.store.store import Store
from netlab.store.watch import Watch, bookmark


class Reader:
    """Reads a store as an API server's clients do."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def get(self, kind: str, namespace: str, name: str) -> Object:
        """One object; `NotFound` if there is none."""
        return self.current(kind_named(kind), namespace, name)

    def list(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        at: int | None = None,
    ) -> ObjectList:
        """All objects of a kind, in one namespace or (None) in all, by namespace and name.

        With `at`, as they were at that revision; `Expired` if that is not known any more.
        """
        of = kind_named(kind)
        if at is not None and at != self.store.revision:
            space = namespace if of.namespaced else None
            matches = matcher(of.kind, label_selector, field_selector)
            items = [obj for obj in self._past(of, space, at) if matches is None or matches(obj)]
            return ObjectList(items, str(at))
        items = self.selected(of, namespace, label_selector, field_selector)
        return ObjectList(items, str(self.store.revision))

    def _past(self, kind: Kind, namespace: str | None, revision: int) -> builtins.list[Object]:
        try:
            return self.store.list_at(kind.kind, namespace, revision)
        except FellBehind:
            raise failures.expired_list() from None

    def selected(
        self, kind: Kind, namespace: str | None, label_selector: str, field_selector: str
    ) -> builtins.list[Object]:
        """The objects that the selectors select, as `list` has them."""
        space = namespace if kind.namespaced else None
        matches = matcher(kind.kind, label_selector, field_selector)
        name = parse_fields(field_selector, kind.kind).name
        if name is not None and (space is not None or not kind.namespaced):
            found = self.store.get(kind.kind, space or "", name)
            return [found] if found and (matches is None or matches(found)) else []
        return self.store.list(kind.kind, space, matches)

    def watch(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        resource_version: str = "",
        label_selector: str = "",
        field_selector: str = "",
        bookmarks: bool = False,
        send_initial_events: bool = False,
    ) -> Watch:
        """Every change after `resource_version`; "" or "0" begins with what there is, as ADDED.

        A revision that is too old makes the first event an ERROR (410). `send_initial_events`
        begins with what there is, too, and marks its end by a BOOKMARK.
        """
        of = kind_named(kind)
        revision = _revision(resource_version)
        initial: builtins.list[Event] = []
        position: int | None = self.store.log(kind).end()
        if send_initial_events or not revision:
            items = self.selected(of, namespace, label_selector, field_selector)
            initial = [Event("ADDED", obj) for obj in items]
            if send_initial_events:
                initial.append(bookmark(of, self.store.revision, initial_events_end=True))
        else:
            position = self._position(kind, revision)
        return Watch(
            self.store,
            of,
            position=position,
            namespace=namespace if of.namespaced else None,
            matcher=matcher(kind, label_selector, field_selector),
            initial=initial,
            bookmarks=bookmarks,
        )

    def _position(self, kind: str, revision: int) -> int | None:
        try:
            return self.store.position_after(kind, revision)
        except FellBehind:
            return None

    def current(self, kind: Kind, namespace: str, name: str) -> Object:
        """One object as it is now; `NotFound` if there is none."""
        found = self.store.get(kind.kind, namespace if kind.namespaced else "", name)
        if found is None:
            raise failures.not_found(kind, name)
        return found


def _revision(text: str) -> int:
    number = whole(text or "0")
    if number is None or number < 0:
        raise failures.bad_revision(text)
    return number
