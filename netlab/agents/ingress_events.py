"""What an Ingress controller says of Ingresses, and of what they lead to, in Events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netlab.agents.ingress_rights import ControllerLog, Rights
from netlab.agents.podevents import Recorder
from netlab.client.informer import Informers
from netlab.ingress.model import IngressProblem
from netlab.objects import meta
from netlab.objects.types import AnyKind, Ingress


class IngressEvents:
    """What Ingresses are told, each thing once as long as they stay as they are."""

    def __init__(self, informers: Informers, recorder: Recorder) -> None:
        self._informers = informers
        self._recorder = recorder
        self._told: dict[str, set[Any]] = {}

    def tell(
        self,
        served: Iterable[Ingress],
        problems: Iterable[IngressProblem],
        may_tell: Callable[[AnyKind], bool] = lambda _: True,
        *,
        tells_of_syncs: bool = True,
    ) -> None:
        """Say to those that are served that they are, unless it `tells_of_syncs` no more, and what
        is wrong to whom it concerns, as far as who says it may."""
        for ingress in served if tells_of_syncs else ():
            if self._is_new(ingress, "Sync") and may_tell(ingress):
                self._recorder.normal(ingress, "Sync", "Scheduled for sync")
        for problem in problems:
            found: AnyKind | None = self._informers[problem.kind].get(problem.about)
            if found is not None and self._is_new(found, problem) and may_tell(found):
                self._recorder.warning(found, problem.reason, problem.message)

    def _is_new(self, obj: AnyKind, what: object) -> bool:
        said = repr(sorted(meta.annotations(obj).items()))
        version = (meta.uid(obj), obj["metadata"].get("generation"), said)
        told = self._told.setdefault(f"{obj['kind']} {meta.key(obj)}", set())
        if told and not any(known[:3] == version for known in told):
            told.clear()
        if (*version, what) in told:
            return False
        told.add((*version, what))
        return True


def may_tell(rights: Rights, said: ControllerLog, obj: AnyKind) -> bool:
    """Whether a controller may write Events where `obj` is; its log says so where it may not."""
    space = meta.namespace(obj)
    refused = rights.without_events(space)
    said.tell(f"events of {space}", [refused])
    return not refused
