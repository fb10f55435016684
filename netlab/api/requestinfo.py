"""What a request asks for, as authorization knows it: from a method and a path. Pure.

As k8s.io/apiserver/pkg/endpoints/request/requestinfo.go does it: of any resource, be it served or
not, so that who may not ask learns nothing of what there is.
"""

from __future__ import annotations

from collections.abc import Mapping

from netlab.api.call import query_flag
from netlab.errors import BadRequest
from netlab.objects.rbac import Attributes

_VERBS = {
    "GET": "get",
    "HEAD": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_OF_NAMESPACES = ("status", "finalize")
_NAME = "metadata.name="


def attributes(method: str, path: str, query: Mapping[str, str]) -> Attributes:
    """What a request asks for; a path that is no resource's is asked for as such."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        return _resource(method, "", parts[2:], query)
    if parts[0] == "apis" and len(parts) > 3:
        return _resource(method, parts[1], parts[3:], query)
    return Attributes(method.lower(), path=path)


def _resource(method: str, group: str, parts: list[str], query: Mapping[str, str]) -> Attributes:
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _OF_NAMESPACES:
            parts = parts[2:]
    resource, name, subresource = (*parts, "", "")[:3]
    verb = _VERBS.get(method, "")
    if not name:
        verb = {"get": _reading(query), "delete": "deletecollection"}.get(verb, verb)
        if verb != "create":
            name = _selected(query.get("fieldSelector", ""))
    return Attributes(verb, group, resource, subresource, namespace, name)


def _reading(query: Mapping[str, str]) -> str:
    try:
        return "watch" if query_flag(query.get("watch", ""), "watch") else "list"
    except BadRequest:
        return "list"  # which will say so


def _selected(selector: str) -> str:
    """The one name that a field selector chooses, if it does."""
    terms = [term.strip().replace("==", "=") for term in selector.split(",")]
    return next((t.removeprefix(_NAME) for t in terms if t.startswith(_NAME)), "")
