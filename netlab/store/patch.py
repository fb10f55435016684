"""Patches: each takes the object and returns another. (Apply patches are `managed_fields`'.)"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from netlab.errors import ApiError, BadRequest, Invalid
from netlab.objects import schema
from netlab.objects.meta import Object
from netlab.objects.numbers import whole
from netlab.store.strategic import merged

PatchType = Literal[
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/json-patch+json",
    "application/apply-patch+yaml",
]

APPLY: PatchType = "application/apply-patch+yaml"

MOST_OPERATIONS = 10_000
MOST_COPIED = 3 * 1024 * 1024
"""Bounds of a JSON patch, kube-apiserver's: a few copies of copies would fill any memory."""

_REFUSED = "the server rejected our request due to an error in our request"


def patched(obj: Object, patch: Any, content_type: str) -> Object:
    """The object after the patch, as a new one; `BadRequest` or `Invalid` if it cannot be."""
    if content_type == "application/json-patch+json":
        return _as_object(json_patched(obj, patch))
    if not isinstance(patch, Mapping):
        raise BadRequest("the patch must be a JSON object")
    if content_type == "application/merge-patch+json":
        return _as_object(merge_patched(obj, patch))
    root = schema.of(obj["apiVersion"], obj["kind"]) or schema.ANYTHING
    if content_type == "application/strategic-merge-patch+json":
        return _as_object(merged(obj, patch, root))
    raise ApiError(
        f"the body of the request was in an unknown format: {content_type}",
        code=415,
        reason="UnsupportedMediaType",
    )


def _as_object(value: Any) -> Object:
    if not isinstance(value, dict) or not isinstance(value.get("metadata"), dict):
        raise BadRequest("the patch leaves no object: metadata must stay a mapping")
    return value


def merge_patched(target: Any, patch: Any) -> Any:
    """RFC 7396: mappings merge, null removes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patched(result.get(key), value)
    return result


def json_patched(document: Any, operations: Any) -> Any:
    """RFC 6902: operations one after the other, all or none."""
    if not isinstance(operations, Sequence) or isinstance(operations, str):
        raise BadRequest("a JSON patch must be a list of operations")
    if len(operations) > MOST_OPERATIONS:
        raise ApiError(
            f"Request entity too large: The allowed maximum operations in a JSON patch is "
            f"{MOST_OPERATIONS}, got {len(operations)}",
            code=413,
            reason="RequestEntityTooLarge",
        )
    document, copied = copy.deepcopy(document), 0
    for operation in operations:
        try:
            copied += _copied(document, operation)
            if copied > MOST_COPIED:
                raise ValueError(f"copies of more than {MOST_COPIED} bytes")
            document = _operate(document, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise Invalid(_REFUSED, hint=f"{operation}: {error}") from None
    return document


def _copied(document: Any, operation: Mapping[str, Any]) -> int:
    """Bytes that an operation adds to a document without having brought them along."""
    if operation["op"] != "copy":
        return 0
    return len(json.dumps(_at(document, _pointer(operation["from"]))))


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    path = _pointer(operation["path"])
    match operation["op"]:
        case "add":
            return _added(document, path, schema.strip_nulls(operation["value"]))
        case "remove":
            return _removed(document, path)
        case "replace":
            _at(document, path)
            return _added(_removed(document, path), path, schema.strip_nulls(operation["value"]))
        case "copy":
            value = schema.strip_nulls(_at(document, _pointer(operation["from"])))
            return _added(document, path, value)
        case "move":
            origin = _pointer(operation["from"])
            if path[: len(origin)] == origin and path != origin:
                raise ValueError("a value cannot be moved into itself")
            value = _at(document, origin)
            return _added(_removed(document, origin), path, value)
        case "test":
            if not _equal(_at(document, path), operation["value"]):
                raise ValueError("the test failed")
            return document
    raise ValueError("unknown operation")


def _pointer(text: object) -> list[str]:
    """RFC 6901: `/a~1b/0` → ["a/b", "0"]."""
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise ValueError(f"{text!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _at(document: Any, path: Sequence[str]) -> Any:
    for part in path:
        document = (
            document[_index(document, part)] if isinstance(document, list) else document[part]
        )
    return document


def _index(items: list[Any], part: str) -> int:
    """A list's index; no sign, no leading zero."""
    index = whole(part)
    if index is None or str(index) != part or not 0 <= index < len(items):
        raise IndexError(f"there is no element {part}")
    return index


def _added(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    parent, last = _at(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        end = last in ("-", str(len(parent)))
        parent.insert(len(parent) if end else _index(parent, last), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise TypeError(f"/{'/'.join(path[:-1])} holds no fields")
    return document


def _removed(document: Any, path: Sequence[str]) -> Any:
    if not path:
        return None
    parent, last = _at(document, path[:-1]), path[-1]
    del parent[_index(parent, last) if isinstance(parent, list) else last]
    return document


def _equal(left: Any, right: Any) -> bool:
    """JSON equality: in Python 1 == True, in JSON not."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)
