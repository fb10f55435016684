"""Objects are plain JSON dictionaries in Kubernetes' own shape; these read their metadata."""

from typing import Any

Object = dict[str, Any]


def name(obj: Object) -> str:
    """`metadata.name`."""
    return str(obj["metadata"]["name"])


def namespace(obj: Object) -> str:
    """`metadata.namespace`, or "" for a cluster-scoped object."""
    return str(obj["metadata"].get("namespace") or "")


def key(obj: Object) -> str:
    """`namespace/name`, or the bare name of a cluster-scoped object: what controllers queue."""
    space = namespace(obj)
    return f"{space}/{name(obj)}" if space else name(obj)


def split_key(text: str) -> tuple[str, str]:
    """`ns/name` → (ns, name); a bare name has the namespace ""."""
    space, _, rest = text.rpartition("/")
    return space, rest


def uid(obj: Object) -> str:
    """`metadata.uid`, or "" before the object was created."""
    return str(obj["metadata"].get("uid") or "")


def labels(obj: Object) -> dict[str, str]:
    """`metadata.labels`, never None."""
    return obj["metadata"].get("labels") or {}


def annotations(obj: Object) -> dict[str, str]:
    """`metadata.annotations`, never None."""
    return obj["metadata"].get("annotations") or {}


def spec(obj: Object) -> dict[str, Any]:
    """`spec`, never None."""
    return obj.get("spec") or {}


def status(obj: Object) -> dict[str, Any]:
    """`status`, never None."""
    return obj.get("status") or {}


def is_terminating(obj: Object) -> bool:
    """True once deletion was asked for and the object still exists."""
    return bool(obj["metadata"].get("deletionTimestamp"))


def controller_of(obj: Object) -> dict[str, Any] | None:
    """The ownerReference with `controller: true`, if there is one."""
    for reference in obj["metadata"].get("ownerReferences") or []:
        if reference.get("controller"):
            return dict(reference)
    return None


def owner_reference(owner: Object) -> dict[str, Any]:
    """The controlling ownerReference that makes `owner` the controller of another object."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name(owner),
        "uid": uid(owner),
        "controller": True,
        "blockOwnerDeletion": True,
    }


def condition(obj: Object, type_: str) -> dict[str, Any] | None:
    """The entry of `status.conditions` of that type, if present."""
    for entry in status(obj).get("conditions") or []:
        if entry.get("type") == type_:
            return dict(entry)
    return None


def is_ready(obj: Object) -> bool:
    """True when the object's Ready condition is True (Pods and Nodes)."""
    for entry in status(obj).get("conditions") or ():  # asked of a thousand pods at a time: no copy
        if entry.get("type") == "Ready":
            return bool(entry.get("status") == "True")
    return False
