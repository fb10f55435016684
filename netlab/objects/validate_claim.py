"""What a claim of storage may say, in an object of its own or in a template.

Source: pkg/apis/core/validation, ValidatePersistentVolumeClaimSpec.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from netlab.objects import fields
from netlab.objects.problems import (
    FieldProblem,
    Key,
    Path,
    forbidden,
    invalid,
    not_supported,
    required,
)

if TYPE_CHECKING:
    from fractions import Fraction

Mapping = dict[str, Any]

_ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


def claim_spec(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """A claim's spec at `path`."""
    if not spec.get("accessModes"):
        yield required((*path, "accessModes"), "at least 1 access mode is required")
    if spec.get("selector") is not None:
        from netlab.objects.validate_template import label_selector  # which imports this

        yield from label_selector((*path, "selector"), spec["selector"])
    yield from access_modes(path, spec)
    yield from _size(path, (spec.get("resources") or {}).get("requests") or {})
    yield from class_name(path, spec)
    mode = spec.get("volumeMode")
    if mode and mode not in VOLUME_MODES:
        yield not_supported((*path, "volumeMode"), mode, VOLUME_MODES)
    yield from _sources(path, spec)
    yield from class_name(path, spec, "volumeAttributesClassName")


def _size(path: Path, requests: Mapping) -> Iterator[FieldProblem]:
    where: Path = (*path, "resources", Key("storage"))
    if requests.get("storage") is None:
        yield required(where)
        return
    for problem in positive(where, requests["storage"]):
        yield replace(problem, written=(*path, "resources", "requests", "storage"))


def _sources(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """What a claim's volume is filled from, by the field of old and the one of today."""
    old, new = spec.get("dataSource"), spec.get("dataSourceRef")
    for field, source in (("dataSource", old), ("dataSourceRef", new)):
        if source is not None:
            yield from _source((*path, field), source)
    if new is not None and new.get("namespace"):
        yield from fields.dns_label((*path, "dataSourceRef", "namespace"), new["namespace"])
        if old is not None:
            words = "may not be specified when dataSourceRef.namespace is specified"
            yield invalid(path, {}, words)
    elif None not in (old, new) and old != new:
        yield invalid(path, {}, "must match dataSourceRef")


def _source(path: Path, source: Mapping) -> Iterator[FieldProblem]:
    kind, group = source.get("kind") or "", source.get("apiGroup") or ""
    for field in ("name", "kind"):
        if not source.get(field):
            yield required((*path, field))
    if group:
        yield from fields.dns_subdomain((*path, "apiGroup"), group)
    elif kind != "PersistentVolumeClaim":
        words = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        yield invalid(path, kind, words)


def access_modes(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """Those that a claim or a volume names."""
    modes = spec.get("accessModes") or []
    for mode in modes:
        if mode not in _ACCESS_MODES:
            yield not_supported((*path, "accessModes"), mode, _ACCESS_MODES)
    others = [mode for mode in _ACCESS_MODES[:-1] if mode in modes]
    if "ReadWriteOncePod" in modes and others:
        detail = "may not use ReadWriteOncePod with other access modes"
        yield forbidden((*path, "accessModes"), detail)


def positive(path: Path, size: object) -> Iterator[FieldProblem]:
    """A quantity of bytes above 0."""
    found = list(fields.quantity(path, size))
    yield from found
    if not found and amount(size) <= 0:
        yield invalid(path, size, "must be greater than zero")


def class_name(
    path: Path, spec: Mapping, field: str = "storageClassName"
) -> Iterator[FieldProblem]:
    """A class of a claim or a volume."""
    if spec.get(field):
        yield from fields.dns_subdomain((*path, field), spec[field])


def amount(text: object) -> Fraction:
    """A quantity as a number."""
    from netlab.objects import quantity  # its fractions are slow to import

    return quantity.parse(text)
