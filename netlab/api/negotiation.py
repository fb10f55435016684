"""Which form of an answer the client accepts: object, metadata or printed Table. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from netlab.errors import ApiError

Shape = Literal["object", "table", "metadata"]
Include = Literal["Object", "Metadata", "None"]

_SHAPES: dict[str, Shape] = {
    "": "object",
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}
_JSON = frozenset({"application/json", "application/*", "*/*"})
_YAML = frozenset({"application/yaml", "text/yaml"})


class Form(Struct, frozen=True):
    """How an answer is written; `include` is what each Table row carries as its object."""

    shape: Shape = "object"
    include: Include = "Metadata"
    yaml: bool = False


class NotAcceptable(ApiError):
    """The client accepts nothing that this server can write."""

    code, reason = 406, "NotAcceptable"

    def __init__(self) -> None:
        super().__init__(
            "only the following media types are accepted: application/json, application/yaml, "
            "application/json;stream=watch"
        )


def media_types(header: str) -> list[tuple[str, dict[str, str]]]:
    """`a/b;x=y, c/d` → [("a/b", {"x": "y"}), ("c/d", {})], in the client's order."""
    found = []
    for entry in header.split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append((kind.lower(), {key: value for key, _, value in pairs}))
    return found


def negotiate(accept: str, include_object: str = "", *, prints: bool = True) -> Form:
    """The first form in an Accept header that this server can write; what is no object of the
    store it never `prints`."""
    for kind, parameters in media_types(accept or "application/json"):
        shape = _SHAPES.get(parameters.get("as", ""))
        if (
            shape is None
            or (shape != "object" and not prints)
            or (kind not in _JSON and kind not in _YAML)
        ):
            continue
        return Form(shape, _include(include_object), yaml=kind in _YAML)
    raise NotAcceptable


def _include(text: str) -> Include:
    if text == "Object":
        return "Object"
    return "None" if text == "None" else "Metadata"
