"""The record that every kind has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from msgspec import Struct


class Kind(Struct, frozen=True, eq=False):
    """One resource of the Kubernetes API: its names, its group and version, its scope.

    Two records are two kinds, however alike they are.
    """

    kind: str
    plural: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    selectable: tuple[str, ...] = ()
    """What field selectors may ask for, besides name and namespace."""

    not_selectable: str = (
        '"{}" is not a known field selector: only "metadata.name", "metadata.namespace"'
    )
    """What an API server says of a field that they may not ask for."""

    first_status: Mapping[str, Any] | None = {}
    """The status that a new object has, whatever its client wrote; None: the one it wrote."""

    fixed_in_status: tuple[str, ...] = ()
    """What of its metadata cannot be changed together with its status."""

    counts_generation: bool = False
    """Whether metadata.generation counts the changes of what is desired."""

    selects_by_pairs: bool = False
    """Whether `spec.selector` is a mapping of labels, not a LabelSelector."""

    orphans: bool = False
    """Whether its dependents stay, where a deletion does not say what becomes of them."""

    pod_path: tuple[str, ...] | None = None
    """Where an object says what its pods are: () is the object itself, None nowhere."""

    collected: bool = True
    """Whether its objects may own or be owned."""

    opaque: tuple[str, ...] = ()
    """Fields that are kept byte for byte, null included."""

    in_files: bool = True
    """Whether somebody may write one into a file, rather than leave it to a controller."""

    answers_deletion: bool = False
    """Whether a deletion is answered with the object that there was, not with a Status."""

    deprecated: str = ""
    """The warning with which everything about it is answered."""

    schema: str = "schema.json"
    """The file, beside `objects/schema.py`, that has its structure."""

    @property
    def api_version(self) -> str:
        """`v1` for the core group, else `group/version`."""
        return _api_version(self.group, self.version)

    @property
    def makes_pods(self) -> bool:
        """Whether its objects have a template of pods."""
        return bool(self.pod_path)

    @property
    def singular(self) -> str:
        """The name in commands and in results: `service`."""
        return self.kind.lower()

    @property
    def resource(self) -> str:
        """`services` or `deployments.apps`: the resource as messages name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def typed(self, item: dict[str, Any]) -> dict[str, Any]:
        """An item of a list with its apiVersion and kind, which a real server leaves out there."""
        if "kind" in item:
            return item
        return {"apiVersion": self.api_version, "kind": self.kind, **item}

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, an object, or a subresource of it."""
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        return "/".join(parts + [part for part in (name, subresource) if part])


@cache
def _api_version(group: str, version: str) -> str:
    """One string for all objects of a kind."""
    return f"{group}/{version}" if group else version


ALL = ("all",)
"""The category of what `get all` lists."""
LABEL = "field label not supported: {}"
"""What is said of a field that most kinds of the core group do not offer for selection."""
TEMPLATE = ("spec", "template")
"""Where most of what makes pods has their template."""
