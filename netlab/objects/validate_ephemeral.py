"""Ephemeral containers, which `kubectl debug` adds to a pod that runs.

Source: pkg/apis/core/validation, validateEphemeralContainers, ValidatePodEphemeralContainersUpdate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from netlab.objects.problems import FieldProblem, Path, forbidden, not_found

Mapping = dict[str, Any]

_NOT_FOR_THEM = (
    "lifecycle", "livenessProbe", "ports", "readinessProbe", "resizePolicy", "resources",
    "restartPolicy", "startupProbe",
)  # fmt: skip


def containers(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """What is theirs alone, or is not theirs; the rest is said of them as of all containers."""
    every = [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]
    names = {one.get("name") for one in every}
    for index, one in enumerate(spec.get("ephemeralContainers") or []):
        for field in _NOT_FOR_THEM:
            if one.get(field):
                detail = "cannot be set for an Ephemeral Container"
                yield forbidden((*path, index, field), detail)
        for number, mount in enumerate(one.get("volumeMounts") or []):
            for field in ("subPath", "subPathExpr"):
                if mount.get(field):
                    where: Path = (*path, index, "volumeMounts", number, field)
                    yield forbidden(where, "cannot be set for an Ephemeral Container")
        target = one.get("targetContainerName")
        if target and target not in names:
            yield not_found((*path, index, "targetContainerName"), target)


def added(path: Path, new: Mapping, old: Mapping) -> Iterator[FieldProblem]:
    """They can be added to a pod, and not be changed or taken away."""
    now = {one.get("name"): one for one in new.get("ephemeralContainers") or []}
    for one in old.get("ephemeralContainers") or []:
        name = one.get("name")
        if name not in now:
            detail = f'existing ephemeral containers "{name}" may not be removed'
            yield forbidden(path, f"{detail}\n")
        elif now[name] != one:
            detail = f'existing ephemeral containers "{name}" may not be changed'
            yield forbidden(path, f"{detail}\n")
