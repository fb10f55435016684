"""What a pod's volumes may be, and where its containers may have them.

Names and paths of both become paths of this machine, so nothing passes here that could lead out
of the directory it belongs in.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Iterator
from typing import Any

from netlab.objects import downward, fields, names, validate_claim
from netlab.objects.problems import (
    FieldProblem,
    Path,
    duplicate,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)

Mapping = dict[str, Any]

_MAX_VOLUMES, _MAX_MOUNTS, _MAX_SOURCES, _MAX_ITEMS = 256, 256, 256, 1000
_ONE_TYPE = "may not specify more than 1 volume type"
_HOST_PATH_TYPES = (
    "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate",
    "Socket",
)  # fmt: skip
_MEDIA = ("", "HugePages", "Memory")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_TOKEN_SECONDS = range(600, 2**32 + 1)
# Of these a container has its own, which show nothing of the machine that is not the pod's.
_KERNEL_TREES = ("/proc", "/sys")
_PLACE_RULE = f"must not be '/', nor {' or '.join(_KERNEL_TREES)} or below them"


def volumes(
    path: Path, found: list[Mapping], containers: Collection[str]
) -> Iterator[FieldProblem]:
    """`spec.volumes`; `containers` are the names that the downward API may refer to."""
    yield from fields.at_most(path, found, _MAX_VOLUMES)
    seen: set[str] = set()
    for index, volume in enumerate(found):
        where: Path = (*path, index)
        name = volume.get("name")
        if name == "":
            yield required((*where, "name"))
        elif name:
            yield from fields.dns_label((*where, "name"), name)
            if name in seen:
                yield duplicate((*where, "name"), name)
            seen.add(name)
        yield from _source(where, volume, containers)


def ephemeral_names(pod: str | None, spec: Mapping) -> Iterator[FieldProblem]:
    """The name of a pod's own claim has both names in it."""
    for index, volume in enumerate(spec.get("volumes") or []):
        name = f"{pod}-{volume.get('name')}"
        if pod and volume.get("ephemeral") and not names.is_dns_subdomain(name):
            detail = f'PVC name "{name}": {names.DNS_SUBDOMAIN_RULE}'
            yield invalid(("spec", "volumes", index, "name"), volume.get("name"), detail)


def _source(path: Path, volume: Mapping, containers: Collection[str]) -> Iterator[FieldProblem]:
    sources = [field for field in volume if field != "name"]
    if not sources:
        yield required(path, "must specify a volume type")
        return
    for other in sources[1:]:
        yield forbidden((*path, other), _ONE_TYPE)
    yield from _check((*path, sources[0]), volume[sources[0]], _SOURCES, containers)


_Rule = Callable[[Path, Mapping, Collection[str]], Iterator[FieldProblem]]


def _check(
    path: Path, source: Mapping, rules: dict[str, _Rule], containers: Collection[str]
) -> Iterator[FieldProblem]:
    rule = rules.get(str(path[-1]))
    if rule is not None:
        yield from rule(path, source, containers)


def _empty_dir(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    medium, limit = source.get("medium") or "", source.get("sizeLimit")
    if medium not in _MEDIA and not medium.startswith("HugePages-"):
        yield not_supported((*path, "medium"), medium, _MEDIA)
    if limit is not None:
        yield from fields.quantity((*path, "sizeLimit"), limit)
        if str(limit).startswith("-"):
            yield forbidden(
                (*path, "sizeLimit"), "SizeLimit field must be a valid resource quantity"
            )


def _host_path(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    if source.get("path") == "":
        yield required((*path, "path"))
    yield from fields.file_path((*path, "path"), source.get("path") or "")
    if (source.get("type") or "") not in _HOST_PATH_TYPES:
        yield not_supported((*path, "type"), source["type"], _HOST_PATH_TYPES)


def _claim(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    yield from fields.object_name((*path, "claimName"), source.get("claimName") or "")


def _ephemeral(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    """The claim that it stands for is the pod's; of its metadata nothing but notes is its own."""
    where: Path = (*path, "volumeClaimTemplate")
    template = source.get("volumeClaimTemplate")
    if not template:
        yield required(where)
        return
    metadata = template.get("metadata") or {}
    yield from fields.labels((*where, "metadata", "labels"), metadata.get("labels") or {})
    for field in metadata:
        if field not in ("annotations", "creationTimestamp", "labels"):
            yield forbidden((*where, "metadata"), "only annotations and labels are allowed")
            break
    yield from validate_claim.claim_spec((*where, "spec"), template.get("spec") or {})


def _secret(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    yield from fields.object_name((*path, "secretName"), source.get("secretName") or "")
    yield from _keys(path, source)


def _named(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    """A configMap, or a secret among the sources of a projected volume."""
    yield from fields.object_name((*path, "name"), source.get("name") or "")
    yield from _keys(path, source)


def _keys(path: Path, source: Mapping) -> Iterator[FieldProblem]:
    yield from fields.file_mode((*path, "defaultMode"), source.get("defaultMode"))
    yield from fields.at_most((*path, "items"), source.get("items") or [], _MAX_ITEMS)
    for index, item in enumerate(source.get("items") or []):
        where: Path = (*path, "items", index)
        if item.get("key") == "":
            yield required((*where, "key"))
        elif item.get("key") is not None:
            yield from fields.config_key((*where, "key"), item["key"])
        yield from _file((*where, "path"), item.get("path"))
        yield from fields.file_mode((*where, "mode"), item.get("mode"))


def _file(path: Path, text: str | None) -> Iterator[FieldProblem]:
    """Where in a volume a file is to appear."""
    if text is None:
        return  # the schema has said so
    if not text:
        yield required(path)
        return
    yield from fields.relative_path(path, text)
    if text.startswith("..") and not text.startswith("../"):
        yield invalid(path, text, "must not start with '..'")
    if posixpath.normpath(text) == ".":
        yield invalid(path, text, "must name a file")


def _downward(path: Path, source: Mapping, containers: Collection[str]) -> Iterator[FieldProblem]:
    yield from fields.file_mode((*path, "defaultMode"), source.get("defaultMode"))
    yield from fields.at_most((*path, "items"), source.get("items") or [], _MAX_ITEMS)
    for index, item in enumerate(source.get("items") or []):
        where: Path = (*path, "items", index)
        yield from _file((*where, "path"), item.get("path"))
        yield from fields.file_mode((*where, "mode"), item.get("mode"))
        yield from downward.file(where, item, containers)


def _projected(path: Path, source: Mapping, containers: Collection[str]) -> Iterator[FieldProblem]:
    yield from fields.file_mode((*path, "defaultMode"), source.get("defaultMode"))
    yield from fields.at_most((*path, "sources"), source.get("sources") or [], _MAX_SOURCES)
    for index, projection in enumerate(source.get("sources") or []):
        where: Path = (*path, "sources", index)
        kinds = list(projection)
        for other in kinds[1:]:
            yield forbidden((*where, other), _ONE_TYPE)
        if kinds:
            yield from _check((*where, kinds[0]), projection[kinds[0]], _PROJECTIONS, containers)


def _token(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    yield from _file((*path, "path"), source.get("path"))
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < _TOKEN_SECONDS.start:
        yield invalid(
            (*path, "expirationSeconds"),
            seconds,
            "may not specify a duration less than 10 minutes",
        )
    elif seconds is not None and seconds not in _TOKEN_SECONDS:
        yield invalid(
            (*path, "expirationSeconds"),
            seconds,
            "may not specify a duration larger than 2^32 seconds",
        )


def _bundle(path: Path, source: Mapping, _: Collection[str]) -> Iterator[FieldProblem]:
    yield from _file((*path, "path"), source.get("path"))


_SOURCES: dict[str, _Rule] = {
    "configMap": _named,
    "downwardAPI": _downward,
    "emptyDir": _empty_dir,
    "ephemeral": _ephemeral,
    "hostPath": _host_path,
    "persistentVolumeClaim": _claim,
    "projected": _projected,
    "secret": _secret,
}
_PROJECTIONS: dict[str, _Rule] = {
    "clusterTrustBundle": _bundle,
    "configMap": _named,
    "downwardAPI": _downward,
    "secret": _named,
    "serviceAccountToken": _token,
}


def mounts(path: Path, found: list[Mapping], known: Collection[str]) -> Iterator[FieldProblem]:
    """A container's `volumeMounts`; `known` are the names of the pod's volumes."""
    yield from fields.at_most(path, found, _MAX_MOUNTS)
    places: set[str] = set()
    for index, mount in enumerate(found):
        where: Path = (*path, index)
        name, place = mount.get("name"), mount.get("mountPath")
        if name == "":
            yield required((*where, "name"))
        if name is not None and name not in known:
            yield not_found((*where, "name"), name, "name a volume of spec.volumes")
        if place is not None:
            yield from _place((*where, "mountPath"), place)
            if place in places:
                yield invalid((*where, "mountPath"), place, "must be unique")
            places.add(place)
        yield from _part(where, mount)
        propagation = mount.get("mountPropagation")
        if propagation and propagation not in _PROPAGATIONS:
            yield not_supported((*where, "mountPropagation"), propagation, _PROPAGATIONS)


def _place(path: Path, text: str) -> Iterator[FieldProblem]:
    if not text:
        yield required(path)
        return
    if ":" in text:
        yield invalid(path, text, "must not contain ':'")
    yield from fields.file_path(path, text)
    plain = posixpath.normpath(f"/{text.lstrip('/')}")
    if plain == "/" or any(f"{plain}/".startswith(f"{tree}/") for tree in _KERNEL_TREES):
        yield invalid(path, text, _PLACE_RULE)


def _part(path: Path, mount: Mapping) -> Iterator[FieldProblem]:
    yield from fields.relative_path((*path, "subPath"), mount.get("subPath") or "")
    if pattern := mount.get("subPathExpr"):
        where: Path = (*path, "subPathExpr")
        if mount.get("subPath"):
            yield invalid(where, pattern, "subPathExpr and subPath are mutually exclusive")
        yield from fields.relative_path(where, pattern)
