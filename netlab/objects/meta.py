"""Objects are plain JSON dictionaries in Kubernetes' own shape; these read their metadata.

Of what kind an object is says its type (`netlab.objects.types`), wherever one kind is meant.
"""

from collections.abc import Mapping
from sys import intern
from typing import Any, TypeVar, overload

from netlab.objects.types import HasConditions, HasSpec, HasStatus, OwnerReference

T = TypeVar("T")

Object = dict[str, Any]
"""An object of any kind, at the edges: as somebody wrote it, as it is stored and sent."""

AnyObject = Mapping[str, Any]
"""An object of any kind to be read, be its kind known or not."""


def name(obj: AnyObject) -> str:
    """`metadata.name`."""
    return str(obj["metadata"]["name"])


def namespace(obj: AnyObject) -> str:
    """`metadata.namespace`, or "" for a cluster-scoped object."""
    return str(obj["metadata"].get("namespace") or "")


def key(obj: AnyObject) -> str:
    """`namespace/name`, or the bare name of a cluster-scoped object: what controllers queue. Ten
    have each: of many objects' keys one string is enough."""
    space = namespace(obj)
    return intern(f"{space}/{name(obj)}" if space else name(obj))


def split_key(text: str) -> tuple[str, str]:
    """`ns/name` → (ns, name); a bare name has the namespace ""."""
    space, _, rest = text.rpartition("/")
    return space, rest


def uid(obj: AnyObject) -> str:
    """`metadata.uid`, or "" before the object was created."""
    return str(obj["metadata"].get("uid") or "")


def labels(obj: AnyObject) -> dict[str, str]:
    """`metadata.labels`, never None."""
    return obj["metadata"].get("labels") or {}


def annotations(obj: AnyObject) -> dict[str, str]:
    """`metadata.annotations`, never None."""
    return obj["metadata"].get("annotations") or {}


@overload
def spec(obj: HasSpec[T]) -> T: ...
@overload
def spec(obj: Object) -> dict[str, Any]: ...
def spec(obj: Any) -> Any:
    """`spec`, never None."""
    return obj.get("spec") or {}


@overload
def status(obj: HasStatus[T]) -> T: ...
@overload
def status(obj: Object) -> dict[str, Any]: ...
def status(obj: Any) -> Any:
    """`status`, never None."""
    return obj.get("status") or {}


def by_creation(obj: AnyObject) -> tuple[str, str]:
    """To sort by: the oldest first, and those of one second by their names."""
    return obj["metadata"].get("creationTimestamp") or "", key(obj)


def is_terminating(obj: AnyObject) -> bool:
    """True once deletion was asked for and the object still exists."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: AnyObject) -> OwnerReference | None:
    """The ownerReference with `controller: true`, if there is one."""
    references: list[OwnerReference] = obj["metadata"].get("ownerReferences") or []
    return next((reference for reference in references if reference.get("controller")), None)


def controller_uid(obj: AnyObject) -> str:
    """The uid of the owner that controls the object, "" for an object without one."""
    owner = controller_of(obj)
    return owner["uid"] if owner else ""


def owner_reference(owner: AnyObject) -> OwnerReference:
    """The controlling ownerReference that makes `owner` the controller of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


@overload
def condition(obj: HasStatus[HasConditions[T]], type_: str) -> T | None: ...
@overload
def condition(obj: AnyObject, type_: str) -> dict[str, Any] | None: ...
def condition(obj: Any, type_: str) -> Any:
    """The entry of `status.conditions` of that type, if present."""
    for entry in status(obj).get("conditions") or []:
        if entry.get("type") == type_:
            return dict(entry)
    return None


def is_ready(obj: AnyObject) -> bool:
    """True when the object's Ready condition is True (Pods and Nodes)."""
    # Asked of a thousand pods at a time: no copy.
    for entry in (obj.get("status") or {}).get("conditions") or ():
        if entry.get("type") == "Ready":
            return bool(entry.get("status") == "True")
    return False
