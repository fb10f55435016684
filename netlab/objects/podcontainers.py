"""The containers of a pod, of all kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from netlab.objects import meta
from netlab.objects.types import Container, EphemeralContainer, Pod


def every_container(pod: Pod) -> Iterator[Container]:
    """Their entries in the pod's spec, init containers first, ephemeral ones last."""
    spec = meta.spec(pod)
    yield from spec.get("initContainers") or ()
    yield from spec.get("containers") or ()
    for each in spec.get("ephemeralContainers") or ():
        yield cast(Container, each)


def target_of(container: Container) -> str:
    """Whose processes an ephemeral container is to see; "" for its own."""
    return cast(EphemeralContainer, container).get("targetContainerName") or ""
