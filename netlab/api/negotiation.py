"""Which form of an answer the client accepts: its media type; object, metadata or printed Table.

As kube-apiserver chooses. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

from msgspec import Struct

from netlab.errors import ApiError

Shape = Literal["object", "table", "metadata"]
Include = Literal["Object", "Metadata", "None"]

JSON, YAML = "application/json", "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
WRITTEN = (JSON, YAML)
"""What objects are written in, by default the first; in protobuf for who accepts nothing else."""
ACCEPTED = (*WRITTEN, PROTOBUF)
STREAMED = (JSON,)
"""What the events of a watch are written in."""

META = "meta.k8s.io/v1"
_SHAPES: dict[str, Shape] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata",
}


class Conversion(NamedTuple):
    """What an answer is to be made of what it is about."""

    group: str = ""
    version: str = ""
    kind: str = ""

    @property
    def api_version(self) -> str:
        """Of the answer."""
        return f"{self.group}/{self.version}"


_PRINTED = frozenset(
    Conversion("meta.k8s.io", version, kind) for version in ("v1", "v1beta1") for kind in _SHAPES
)


class Form(Struct, frozen=True):
    """How an answer is written; `include` is what each Table row carries as its object, and
    `api_version` that of a Table or of metadata alone."""

    shape: Shape = "object"
    include: Include = "Metadata"
    media_type: str = JSON
    api_version: str = META


class NotAcceptable(ApiError):
    """The client accepts nothing that this server can write."""

    code, reason = 406, "NotAcceptable"

    def __init__(self, accepted: Sequence[str]) -> None:
        super().__init__(f"only the following media types are accepted: {', '.join(accepted)}")


class Clause(NamedTuple):
    """A media type, or a range of them, that a client accepts: how gladly, by what parameters."""

    kind: str
    quality: float
    parameters: Mapping[str, str]

    def covers(self, media_type: str) -> bool:
        """Whether it stands for that one."""
        return self.kind in (media_type, f"{media_type.partition('/')[0]}/*", "*/*")


def media_types(header: str) -> list[tuple[str, dict[str, str]]]:
    """`a/b;x=y, c/d` → [("a/b", {"x": "y"}), ("c/d", {})], in the order given."""
    found = []
    for entry in header.split(","):
        kind, *parameters = (part.strip() for part in entry.split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        found.append((kind.lower(), {key.strip(): value.strip() for key, _, value in pairs}))
    return found


def preferences(accept: str) -> list[Clause]:
    """What an Accept header says, the dearest first: by `q`, ranges after what is whole, and else
    in the client's order."""
    clauses = []
    for kind, parameters in media_types(accept):
        quality = _quality(parameters.pop("q", "1"))
        if kind == "*" or kind.count("/") == 1:
            clauses.append(Clause("*/*" if kind == "*" else kind, quality, parameters))
    return sorted(clauses, key=lambda one: (-one.quality, one.kind == "*/*", "*" in one.kind))


def _quality(text: str) -> float:
    """0 for what is no number, as Go's parser has it."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The dearest of some media types, whatever their parameters; None if none is accepted."""
    clauses = preferences(accept or "*/*")
    return next((each for one in clauses for each in offered if one.covers(each)), None)


@lru_cache(maxsize=64)  # a client says the same each time
def negotiate(
    accept: str, include_object: str = "", *, prints: bool = True, streams: bool = False
) -> Form:
    """The dearest form of an Accept header that this server can write, as events if it `streams`;
    what is no object of the store it never `prints`."""
    found = _dearest(accept, _PRINTED if prints else ())
    if found is None or (streams and found[0] not in STREAMED):
        if _takes_protobuf(accept):
            return Form("object", _include(include_object), PROTOBUF)
        told = (*STREAMED, PROTOBUF)
        raise NotAcceptable([f"{each};stream=watch" for each in told] if streams else ACCEPTED)
    media_type, wanted = found
    include = _include(include_object)
    if wanted is None:
        return Form("object", include, media_type)
    return Form(_SHAPES[wanted.kind], include, media_type, wanted.api_version)


def negotiate_discovery(
    accept: str, aggregations: Collection[Conversion]
) -> tuple[str, Conversion | None]:
    """The media type of a discovery document, and which of `aggregations` it is to be, if any."""
    found = _dearest(accept, aggregations)
    if found is None and _takes_protobuf(accept):
        return PROTOBUF, None
    if found is None:
        raise NotAcceptable(ACCEPTED)
    return found


def negotiate_status(accept: str) -> str:
    """The media type of a failure. What is wrong is said in any case, even to who reads nothing
    that this server writes; a Table of it there is not."""
    found = _dearest(accept, ())
    if found is not None:
        return found[0]
    return PROTOBUF if _takes_protobuf(accept) else JSON


def _takes_protobuf(accept: str) -> bool:
    """Whether it is accepted, and that not for something else than the object."""
    return any(
        clause.kind == PROTOBUF and _conversion(clause.parameters) is None
        for clause in preferences(accept)
        if clause.parameters.get("stream", "") in ("", "watch")
    )


def _dearest(
    accept: str, conversions: Collection[Conversion]
) -> tuple[str, Conversion | None] | None:
    for clause in preferences(accept or "*/*"):
        wanted = _conversion(clause.parameters)
        for media_type in filter(clause.covers, WRITTEN):
            if not _is_possible(media_type, clause.parameters):
                continue
            if wanted is None or wanted in conversions:
                return media_type, wanted
    return None


def _is_possible(media_type: str, parameters: Mapping[str, str]) -> bool:
    """Whether it can be streamed, if that is asked for, and the server's version is known."""
    stream = parameters.get("stream", "")
    if stream and (stream != "watch" or media_type not in STREAMED):
        return False
    return parameters.get("sv", "") in ("", "v1")


def _conversion(parameters: Mapping[str, str]) -> Conversion | None:
    """None if it is nothing else than what it is about."""
    if not any(name in parameters for name in ("as", "g", "v")):
        return None
    return Conversion(*(parameters.get(name, "") for name in ("g", "v", "as")))


def _include(text: str) -> Include:
    if text == "Object":
        return "Object"
    return "None" if text == "None" else "Metadata"
