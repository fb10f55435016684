"""What a URL path asks for: kind, namespace, name, subresource. Pure."""

from __future__ import annotations

from msgspec import Struct

from netlab.api import eventviews
from netlab.errors import ApiError, NotFound
from netlab.objects import kinds
from netlab.objects.kinds import Kind

HEALTH = ("/healthz", "/livez", "/readyz")
"""Where the server says that it is well."""


class MethodNotAllowed(ApiError):
    """The resource exists, but not this verb on it."""

    code, reason = 405, "MethodNotAllowed"

    def __init__(self) -> None:
        super().__init__("the server does not allow this method on the requested resource")


class RequestInfo(Struct, frozen=True):
    """A collection (`name` is ""), an object, or a subresource of it.

    `namespace` is None for cluster-scoped kinds and for a collection across all namespaces. `rest`
    is what stands below `proxy`, without the slash before it.
    """

    kind: Kind
    namespace: str | None
    name: str
    subresource: str
    rest: str = ""


class NobodysPath(NotFound):
    """No API has such a path: what answers then is Go's mux, in plain text."""

    text = "404 page not found\n"


def no_such_path(path: str = "") -> NotFound:
    """The answer to a path or a kind that is not served, in the server's words."""
    kind = NobodysPath if path and not _is_an_apis(path) else NotFound
    return kind("the server could not find the requested resource")


def _is_an_apis(path: str) -> bool:
    """Whether it is below the core API, or a group that is served: these have answers of their own
    to what they have not."""
    from netlab.api import discovery  # which needs us, and is seldom asked

    root, _, rest = path.strip("/").partition("/")
    return root == "api" or (root == "apis" and discovery.is_served(rest.partition("/")[0]))


def parse(path: str) -> RequestInfo:
    """`/apis/apps/v1/namespaces/default/deployments/web/scale` → Target; `NotFound` if nothing."""
    group, version, rest = _group_version(path)
    namespace: str | None = None
    if len(rest) >= 3 and rest[0] == "namespaces" and _at_path(group, version, rest[2]):
        namespace, rest = rest[1], rest[2:]
    kind = _at_path(group, version, rest[0]) if rest else None
    below = ""
    if len(rest) > 2 and rest[2] == "proxy":
        rest, below = rest[:3], "/".join(rest[3:])
    if kind is None or len(rest) > 3 or "" in (namespace, *rest):
        raise no_such_path(path)
    if kind.namespaced != (namespace is not None) and (len(rest) > 1 or namespace is not None):
        raise no_such_path()
    name, subresource = (*rest[1:], "", "")[:2]
    if subresource and subresource not in kind.subresources:
        raise no_such_path()
    return RequestInfo(kind, namespace, name, subresource, below)


def _at_path(group: str, version: str, plural: str) -> Kind | None:
    if (group, version, plural) == ("events.k8s.io", "v1", "events"):
        return eventviews.KIND
    return kinds.at_path(group, version, plural)


def _group_version(path: str) -> tuple[str, str, list[str]]:
    parts = path.removesuffix("/").split("/")[1:]
    if len(parts) >= 3 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 4 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    raise no_such_path(path)
