"""The rules of the Kubernetes API over the store: what create, update, patch and delete mean; what
get, list and watch mean is in `reading`.

Everything here is synchronous and runs on the event loop's thread. Objects handed out belong
to the store: copy before changing them. Objects handed in are copied.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import AlreadyExists, BadRequest, NotSaved
from netlab.objects import meta
from netlab.objects.kinds import Kind
from netlab.objects.lab import NodeLifecycle
from netlab.objects.meta import AnyObject, Object
from netlab.objects.times import timestamp
from netlab.objects.watch import ObjectList
from netlab.store import (
    admission,
    binding,
    default_class,
    deletion,
    failures,
    identity,
    managed_fields,
    preparation,
    priority,
    quota,
    service_accounts,
    tolerations,
)
from netlab.store.admission import kind_named, kind_of
from netlab.store.allocate import Claim, ServiceAllocator, ServiceRanges, holding
from netlab.store.deletion import Propagation
from netlab.store.held_addresses import HeldAddresses
from netlab.store.managed_fields import Managers
from netlab.store.patch import APPLY, PatchType, patched
from netlab.store.reading import Reader
from netlab.store.retention import EventRetention
from netlab.store.store import Store

__all__ = ["PatchType", "Propagation", "Registry"]

# How often a generateName is tried again with another ending when the name is taken.
NAME_ATTEMPTS = 8


_LEFT_BY = {"status": ("spec",), "binding": ("status",)}
"""What of an object a change through a subresource leaves as it is, by far the most of it."""


class _Change(Struct, frozen=True):
    """How something is changed: through which subresource, by whom, in earnest or not.

    `managers` are an apply's own; after any other change they follow from what it changed. What it
    leaves has been found `is_sound` in its structure.
    """

    subresource: str = ""
    dry_run: bool = False
    manager: str = ""
    managers: Managers | None = None
    is_sound: bool = False

    @property
    def by(self) -> str:
        """Whose change it is; the lab's own components do not say."""
        return self.manager or "netlab"


class Registry(Reader):
    """The storage side of an API server; Services have addresses in `ranges`, and pods bear the
    loss of their node as `node_lifecycle` says. `clock` gives seconds since 1970."""

    def __init__(
        self,
        store: Store,
        ranges: ServiceRanges,
        *,
        node_lifecycle: NodeLifecycle | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(store)
        self._clock = clock
        self._node_lifecycle = node_lifecycle
        self._services = ServiceAllocator(ranges.service_cidrs, ranges.ip_families, store=store)
        self._addresses = HeldAddresses(store, self._now)
        for service in store.each("Service"):
            self._services.adopt(service)
        self._addresses.repair()
        self._events = EventRetention(store, clock)

    # Creating

    def create(self, obj: AnyObject, *, dry_run: bool = False) -> Object:
        """Create; returns the object as stored: named, defaulted, with its addresses."""
        kind = kind_of(obj)
        for _ in range(NAME_ATTEMPTS - 1):
            try:
                return self._create(kind, obj, dry_run)
            except AlreadyExists:
                if obj["metadata"].get("name"):
                    raise
        return self._create(kind, obj, dry_run)

    def _create(
        self, kind: Kind, obj: AnyObject, dry_run: bool, managers: Managers | None = None
    ) -> Object:
        new, is_sound = admission.decoded(kind, obj)
        preparation.prepare_create(kind, new, self._now())
        if managers:
            new["metadata"]["managedFields"] = managers
        self._default(kind, new, None)
        if kind.kind == "Ingress":
            default_class.fill(new, self.store.each("IngressClass"))
        self._require_namespace(kind, new)
        admission.check(kind, new, None, is_sound=is_sound)
        self._admit(kind, new)
        claim = self._claim(kind, new, None)
        charged = self._charged(kind, new, None)
        present = self.store.get(kind.kind, meta.namespace(new), meta.name(new))
        if present is not None:
            raise failures.already_exists(kind, present)
        if dry_run:
            return new
        if kind.kind == "Event":
            self._events.sweep()
        preparation.share(kind, new)
        return self._write(new, "", claim, charged)

    def _admit(self, kind: Kind, new: Object) -> None:
        if kind.kind == "Pod":
            service_accounts.admit(new, self.store.get)
            priority.admit(new, self.store.each("PriorityClass"))
        elif kind.kind == "PriorityClass":
            priority.check_default(new, self.store.each("PriorityClass"))

    def _default(self, kind: Kind, new: Object, old: Object | None) -> None:
        admission.default(new, old)
        if kind.kind == "Pod" and self._node_lifecycle is not None:
            tolerations.fill(new, self._node_lifecycle)

    def _require_namespace(self, kind: Kind, obj: Object) -> None:
        if not kind.namespaced:
            return
        name = meta.namespace(obj)
        namespace = self.current(kind_named("Namespace"), "", name)
        if meta.is_terminating(namespace):
            raise failures.namespace_terminating(kind, obj["metadata"].get("name") or "", name)

    # Changing

    def update(
        self,
        obj: AnyObject,
        *,
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
    ) -> Object:
        """Replace an object, or what the subresource covers of it (status, scale, …).

        `Conflict` unless metadata.resourceVersion is the current one, or absent. Nothing is
        written when nothing changes.
        """
        kind = kind_of(obj)
        new, is_sound = admission.decoded(kind, obj)
        space, name = meta.namespace(new) or "default", str(new["metadata"].get("name"))
        old = self.current(kind, space, name)
        change = _Change(subresource, dry_run, field_manager, is_sound=is_sound)
        return self._update(kind, new, old, change)

    def _update(self, kind: Kind, new: Object, old: Object, change: _Change) -> Object:
        subresource = change.subresource
        if subresource not in ("", "finalize", *kind.subresources):
            raise failures.unknown_kind()
        identity.check_version(kind, new, old)
        said = managed_fields.take(new)
        preparation.prepare_update(kind, new, old, subresource)
        if subresource == "binding":
            binding.bind(new, old, self._now())
        elif subresource == "status":
            admission.check_status(kind, new, old)
        else:
            self._default(kind, new, old)
            admission.check(kind, new, old, subresource, is_sound=change.is_sound)
            if kind.kind == "PriorityClass":
                priority.check_default(new, self.store.each("PriorityClass"))
        claim = self._claim(kind, new, old)
        charged = [] if subresource else self._charged(kind, new, old)
        if change.managers is None:
            new = managed_fields.updated(new, old, said, change.by, subresource, self._now())
        elif change.managers:
            new["metadata"]["managedFields"] = change.managers
        if new == old:
            return old
        preparation.count_generation(kind, new, old, subresource)
        if change.dry_run:
            return new
        return self._write_or_end(new, old, claim, charged)

    def patch(
        self,
        kind: str,
        namespace: str,
        name: str,
        patch: Any,
        *,
        content_type: PatchType = "application/merge-patch+json",
        subresource: str = "",
        dry_run: bool = False,
        field_manager: str = "",
        force: bool = False,
    ) -> Object:
        """Change part of an object; an apply patch creates it where there is none.

        `field_manager` is whose change it is, as metadata.managedFields will say. `force` is for
        apply patches: take over what other managers own.
        """
        of = kind_named(kind)
        space = namespace if of.namespaced else ""
        change = _Change(subresource, dry_run, field_manager)
        if content_type == APPLY:
            return self._apply(of, space, name, patch, change, force)
        old = self.current(of, space, name)
        stored = {field: old[field] for field in _LEFT_BY.get(subresource, ()) if field in old}
        new, is_sound = admission.decoded(of, patched(old, patch, content_type), stored)
        identity.check_same(of, new, old)
        return self._update(of, new, old, replace(change, is_sound=is_sound))

    def bind(self, namespace: str, name: str, node: str, *, uid: str = "") -> Object:
        """Put a pod on a node, as a patch of its `binding` does; `Conflict` if it is another one's
        uid, or on a node already. What stays as it is of the pod is neither looked at nor copied.
        """
        kind = kind_named("Pod")
        old = self.current(kind, namespace, name)
        new, now = binding.bound(old, node), self._now()
        if uid:
            new["metadata"]["uid"] = uid
        identity.check_version(kind, new, old)
        binding.bind(new, old, now)
        said = managed_fields.take(new)
        by = _Change().by
        return self._write(
            managed_fields.updated(new, old, said, by, "binding", now),
            old["metadata"]["resourceVersion"],
            None,
        )

    def _apply(
        self, kind: Kind, namespace: str, name: str, config: Any, change: _Change, force: bool
    ) -> Object:
        old = self.store.get(kind.kind, namespace, name)
        if old is None and change.subresource:
            raise failures.not_found(kind, name)
        if not isinstance(config, Mapping):
            raise BadRequest("the applied configuration must be a mapping")
        live = old or _unborn(kind, namespace, name)
        managed_fields.check(config, live)
        said, _ = admission.decoded(kind, {**_type_of(live), **config}, zeros=True)
        identity.check_same(kind, {**said, "metadata": live["metadata"] | said["metadata"]}, live)
        new = copy.deepcopy(
            managed_fields.applied(
                live, said, change.by, change.subresource, self._now(), force=force
            )
        )
        managers = managed_fields.take(new)
        admission.omit_zeros(new)
        if old is None:
            return self._create(kind, new, change.dry_run, managers)
        return self._update(kind, new, old, replace(change, managers=managers))

    # Deleting

    def delete(
        self,
        kind: str,
        namespace: str,
        name: str,
        *,
        grace_period: int | None = None,
        propagation: Propagation = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> Object:
        """Ask for deletion; returns the object's last state, or its state while it lingers.

        It lingers (with a deletionTimestamp) for a running pod's grace, and as long as there
        are finalizers.
        """
        of = kind_named(kind)
        old = self.current(of, namespace, name)
        if uid and uid != meta.uid(old):
            raise failures.wrong_uid(of, name, uid, meta.uid(old))
        version = old["metadata"]["resourceVersion"]
        if resource_version and resource_version != version:
            raise failures.wrong_version(of, name, resource_version, version)
        if name in deletion.IMMORTAL.get(kind, ()):
            raise failures.immortal(of, name)
        new = deletion.begin(old, grace=grace_period, propagation=propagation, now=self._clock())
        if dry_run or new == old:
            return new
        return self._write_or_end(new, old, None)

    def delete_collection(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period: int | None = None,
        propagation: Propagation = "Background",
        dry_run: bool = False,
    ) -> ObjectList:
        """Delete all that the selectors select; returns their last states."""
        chosen = self.selected(kind_named(kind), namespace, label_selector, field_selector)
        gone = [
            self.delete(
                kind,
                meta.namespace(obj),
                meta.name(obj),
                grace_period=grace_period,
                propagation=propagation,
                dry_run=dry_run,
            )
            for obj in chosen
        ]
        return ObjectList(gone, str(self.store.revision))

    # Writing

    def _claim(self, kind: Kind, new: Object, old: Object | None) -> Claim | None:
        """A Service's addresses and ports, filled in; `Invalid` when they cannot be had."""
        if kind.kind != "Service":
            return None
        claim, problems = self._services.claim(new, old)
        admission.refuse(kind, new, problems)
        return claim

    def _charged(self, kind: Kind, new: Object, old: Object | None) -> list[Object]:
        """Its namespace's quotas, as they are with it; a 403 where they do not let it be."""
        known = self.store.list("ResourceQuota", meta.namespace(new)) if kind.namespaced else []
        return quota.charged(kind, new, old, known, self._clock()) if known else []

    def _write(
        self, new: Object, expected: str, claim: Claim | None, charged: Iterable[Object] = ()
    ) -> Object:
        stored = self._write_claimed(new, expected, claim)
        for one in charged:
            with contextlib.suppress(NotSaved):  # their controller counts anew
                self.store.write(one, expected=one["metadata"]["resourceVersion"])
        return stored

    def _write_claimed(self, new: Object, expected: str, claim: Claim | None) -> Object:
        if claim is None:
            return self.store.write(new, expected=expected)
        with self._addresses.taken(claim, new):
            stored = self.store.write(new, expected=expected)
        self._services.commit(claim)
        self._addresses.let_go(claim.before.addresses - claim.after.addresses, new)
        return stored

    def _write_or_end(
        self, new: Object, old: Object, claim: Claim | None, charged: Iterable[Object] = ()
    ) -> Object:
        """Store the new state, or remove the object when that was what it waited for."""
        expected = old["metadata"]["resourceVersion"]
        if not deletion.is_over(new):
            return self._write(new, expected, claim, charged)
        last = self.store.remove(_without_deletion(new, old), expected=expected)
        if new["kind"] == "Service":
            self._services.release(old)
            self._addresses.let_go(holding(old).addresses, old)
        return last

    def _now(self) -> str:
        return timestamp(self._clock())


def _without_deletion(new: Object, old: Object) -> Object:
    """The last state of an object that never lingered: as it was, without a deletionTimestamp."""
    return new if meta.is_terminating(old) else old


def _type_of(obj: Object) -> Object:
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"]}


def _unborn(kind: Kind, namespace: str, name: str) -> Object:
    """What an object is before it is created by applying a configuration."""
    metadata = {"name": name, "namespace": namespace} if namespace else {"name": name}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata}
