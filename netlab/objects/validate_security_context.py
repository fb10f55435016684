"""What the `securityContext` of a pod or of a container may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from netlab.objects import fields
from netlab.objects.problems import FieldProblem, Path, duplicate, invalid, not_supported, required

Mapping = dict[str, Any]

_MAX_ID = 2**31 - 1
_SYSCTL_MAX = 253
_SEGMENT = "[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL = re.compile(rf"({_SEGMENT}[\./])*{_SEGMENT}")
_CHANGE_POLICIES = ("Always", "OnRootMismatch")
_PROC_MOUNTS = ("Default", "Unmasked")
_PROFILES = ("Localhost", "RuntimeDefault", "Unconfined")


def of_pod(path: Path, context: Mapping) -> Iterator[FieldProblem]:
    """`spec.securityContext`."""
    for field in ("fsGroup", "runAsUser", "runAsGroup"):
        yield from _identity((*path, field), context.get(field))
    for index, group in enumerate(context.get("supplementalGroups") or []):
        yield from _identity((*path, "supplementalGroups", index), group)
    yield from _seccomp((*path, "seccompProfile"), context.get("seccompProfile"))
    seen = set[Any]()
    for index, sysctl in enumerate(context.get("sysctls") or []):
        where = (*path, "sysctls", index, "name")
        yield from _sysctl(where, sysctl.get("name"))
        if sysctl.get("name") in seen:
            yield duplicate(where, sysctl["name"])
        seen.add(sysctl.get("name"))
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in _CHANGE_POLICIES:
        yield not_supported((*path, "fsGroupChangePolicy"), policy, _CHANGE_POLICIES)


def of_container(path: Path, context: Mapping) -> Iterator[FieldProblem]:
    """A container's own `securityContext`."""
    for field in ("runAsUser", "runAsGroup"):
        yield from _identity((*path, field), context.get(field))
    mount = context.get("procMount")
    if mount and mount not in _PROC_MOUNTS:
        yield not_supported((*path, "procMount"), mount, _PROC_MOUNTS)
    yield from _seccomp((*path, "seccompProfile"), context.get("seccompProfile"))
    if context.get("allowPrivilegeEscalation") is False:
        contrary = "cannot set `allowPrivilegeEscalation` to false and"
        if context.get("privileged"):
            yield invalid(path, context, f"{contrary} `privileged` to true")
        if "CAP_SYS_ADMIN" in ((context.get("capabilities") or {}).get("add") or []):
            yield invalid(path, context, f"{contrary} `capabilities.Add` CAP_SYS_ADMIN")


def _identity(path: Path, number: int | None) -> Iterator[FieldProblem]:
    """Below zero the kernel would take it for "as it is", which is root."""
    yield from fields.in_range(path, number, 0, _MAX_ID)


def _sysctl(path: Path, name: str | None) -> Iterator[FieldProblem]:
    if name == "":
        yield required(path)
    elif name is not None and (len(name) > _SYSCTL_MAX or not _SYSCTL.fullmatch(name)):
        detail = f"must have at most {_SYSCTL_MAX} characters and match regex ^{_SYSCTL.pattern}$"
        yield invalid(path, name, detail)


def _seccomp(path: Path, profile: Mapping | None) -> Iterator[FieldProblem]:
    if profile is None:
        return
    type_, local = profile.get("type"), profile.get("localhostProfile")
    if type_ == "":
        yield required((*path, "type"), "type is required when seccompProfile is set")
    elif type_ is not None and type_ not in _PROFILES:
        yield not_supported((*path, "type"), type_, _PROFILES)
    where: Path = (*path, "localhostProfile")
    if type_ == "Localhost" and not local:
        yield required(where, "must be set when seccomp type is Localhost")
    elif local and type_ != "Localhost":
        yield invalid(where, local, "can only be set when seccomp type is Localhost")
    elif local:
        yield from fields.relative_path(where, local)
