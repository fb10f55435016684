"""Images that the catalogue does not know, and that will hardly do what was meant: a warning each.

An unknown image answers on its containerPorts, which is what most want of it. Not so of a mistyped
`ngnix`, nor of one that names no port and no command: nothing happens in it. Pure.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from netlab.objects import meta
from netlab.objects.kinds import pod_of
from netlab.objects.meta import Object
from netlab.workload.catalogue import Catalogue, catalogue

_ALIKE = 0.8
"""How much of two names is the same, of 1, if one is taken for the other mistyped: `ngnix`."""


def warnings(obj: Object) -> list[str]:
    """The lines about a Pod, or about the template of what makes pods; none about other kinds."""
    spec = meta.spec(pod_of(obj))
    containers = (spec.get("initContainers") or []) + (spec.get("containers") or [])
    return [line for container in containers for line in _of(container, catalogue())]


def _of(container: Mapping[str, Any], images: Catalogue) -> Iterator[str]:
    reference = str(container.get("image") or "")
    if not reference or images.lacking(reference):  # the pod's Events will say so
        return
    if container.get("command") or "*" not in images.lookup(reference).match:
        return
    ports = ", ".join(str(port.get("containerPort")) for port in container.get("ports") or [])
    near = _nearest(images.image(reference).repository)
    if near or not ports:
        does = f"it answers on its containerPorts, {ports or 'of which it has none'}"
        meant = f"; did you mean {near}?" if near else ""
        yield f'image "{reference}" (container {container.get("name")}) is not known: {does}{meant}'


@functools.cache
def _names() -> tuple[str, ...]:
    """The repositories that the catalogue calls by their whole name."""
    every = [pattern for program in catalogue().programs for pattern in program.match]
    return tuple({one.partition(":")[0]: None for one in every if "*" not in one})


def _nearest(repository: str) -> str | None:
    import difflib  # slow to import, needed on mistakes only

    depth = repository.count("/")
    known = [name for name in _names() if name.count("/") == depth]
    return next(iter(difflib.get_close_matches(repository, known, n=1, cutoff=_ALIKE)), None)
