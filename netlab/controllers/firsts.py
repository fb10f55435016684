"""Controllers of what many labs have nothing of: each begins with the first object of its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from netlab.controllers.controller import Controller, ControllerContext, Keys, WatchedKind
from netlab.later import Later
from netlab.objects.types import AnyKind, Pod


class OnceThere(Struct, frozen=True):
    """A controller that is imported and begins once there is an object of `kind`, or a pod that the
    `finalizer` keeps. All that it watches is watched by others as well."""

    kind: str
    made: Later[type[Controller]]
    finalizer: str = ""


class Firsts(Controller):
    """Has those begin whose time has come; its keys are their kinds."""

    name = "controller-manager"
    workers = 1

    def __init__(
        self,
        context: ControllerContext,
        awaited: Iterable[OnceThere],
        start: Callable[[type[Controller]], None],
    ) -> None:
        super().__init__(context)
        self._awaited = list(awaited)
        self._start = start

    def watches(self) -> Sequence[WatchedKind]:
        """The kinds of those that are awaited; and pods, which outlive what they were made for."""
        kinds = dict.fromkeys(one.kind for one in self._awaited)
        return (
            *(WatchedKind(kind, self._keys_of(kind)) for kind in kinds),
            *([WatchedKind("Pod", self._pod_keys)] if kinds else []),
        )

    def _keys_of(self, kind: str) -> Keys:
        def keys(_old: AnyKind | None, new: AnyKind | None) -> Iterable[str]:
            awaited = new is not None and any(one.kind == kind for one in self._awaited)
            return (kind,) if awaited else ()

        return keys

    def _pod_keys(self, _old: Pod | None, new: Pod | None) -> Iterable[str]:
        held = (new["metadata"].get("finalizers") or ()) if new is not None else ()
        return [one.kind for one in self._awaited if one.finalizer and one.finalizer in held]

    async def reconcile(self, key: str) -> float | None:
        """Have the kind's controllers begin."""
        for one in [one for one in self._awaited if one.kind == key]:
            self._start(one.made.get())
            self._awaited.remove(one)
        return None
