"""What is made of each pod, kept while that stays as it is.

A Service of a thousand pods is looked at anew whenever one of them changes; what is made of the
others is what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from netlab.objects import meta
from netlab.objects.types import Pod, Service

T = TypeVar("T")


class PerPod(Generic[T]):
    """By Service, and what for: what was made of its pods. Nobody changes an informer's objects, so
    one that is the same object has the same content."""

    def __init__(self) -> None:
        self._made: dict[str, dict[str, tuple[object, dict[str, tuple[Pod, T]]]]] = {}

    def of(
        self,
        service: Service,
        pods: Iterable[Pod],
        make: Callable[[Pod], T],
        *,
        what: str = "",
        beside: object = None,
    ) -> list[T]:
        """What `make` makes of these pods of a Service, in their order.

        It goes by the pod, the Service, and what is `beside`; `what` tells several from each other.
        """
        of_service = self._made.setdefault(meta.key(service), {})
        basis = meta.uid(service), service["metadata"].get("resourceVersion"), beside
        last_basis, known = of_service.get(what, (None, {}))
        if last_basis != basis:
            known = {}
        made: dict[str, tuple[Pod, T]] = {}
        for pod in pods:
            name = pod["metadata"]["name"]
            before = known.get(name)
            made[name] = before if before and before[0] is pod else (pod, make(pod))
        of_service[what] = basis, made
        return [one for _, one in made.values()]

    def forget(self, key: str) -> None:
        """There is no such Service."""
        self._made.pop(key, None)
