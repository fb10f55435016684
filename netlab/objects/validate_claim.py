"""What a claim of storage may say, in an object of its own or in a template.

Source: pkg/apis/core/validation, ValidatePersistentVolumeClaimSpec.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

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
    yield from access_modes(path, spec)
    requests = (spec.get("resources") or {}).get("requests") or {}
    where: Path = (*path, "resources", "requests", "storage")
    if requests.get("storage") is None:
        yield required((*path, "resources", Key("storage")))
    else:
        yield from positive(where, requests["storage"])
    yield from class_name(path, spec)
    mode = spec.get("volumeMode")
    if mode and mode not in VOLUME_MODES:
        yield not_supported((*path, "volumeMode"), mode, VOLUME_MODES)


def access_modes(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """Those of a claim or a volume."""
    modes = spec.get("accessModes") or []
    if not modes:
        yield required((*path, "accessModes"), "at least 1 access mode is required")
    for mode in modes:
        if mode not in _ACCESS_MODES:
            yield not_supported((*path, "accessModes"), mode, _ACCESS_MODES)
    if "ReadWriteOncePod" in modes and len(modes) > 1:
        detail = "may not use ReadWriteOncePod with other access modes"
        yield forbidden((*path, "accessModes"), detail)


def positive(path: Path, size: object) -> Iterator[FieldProblem]:
    """A quantity of bytes above 0."""
    found = list(fields.quantity(path, size))
    yield from found
    if not found and amount(size) <= 0:
        yield invalid(path, size, "must be greater than zero")


def class_name(path: Path, spec: Mapping) -> Iterator[FieldProblem]:
    """The class of a claim or a volume."""
    if spec.get("storageClassName"):
        yield from fields.dns_subdomain((*path, "storageClassName"), spec["storageClassName"])


def amount(text: object) -> Fraction:
    """A quantity as a number."""
    from netlab.objects import quantity  # its fractions are slow to import

    return quantity.parse(text)
