"""CustomResourceDefinitions: there are none, and none can be made.

Clients look for them: kubectl, for a kind that it does not know, whether the file itself defines
it. An empty list lets it go on with the rest of the file.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from netlab.api.call import document, query_flag, query_number
from netlab.api.negotiation import negotiate
from netlab.api.paths import MethodNotAllowed
from netlab.errors import ApiError, NotFound
from netlab.objects.kinds import Kind
from netlab.serving import http

KIND = Kind(
    "CustomResourceDefinition",
    "customresourcedefinitions",
    "apiextensions.k8s.io",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
)


class Refused(ApiError):
    """A kind of somebody's own."""

    code, reason = 403, "Forbidden"

    def __init__(self, name: str) -> None:
        named = f'{KIND.resource} "{name}" is' if name else f"{KIND.resource} is"
        super().__init__(
            f"{named} forbidden: a lab has the kinds of Kubernetes' network and workloads, and "
            "cannot be taught others",
            details={"name": name, "group": KIND.group, "kind": KIND.plural},
        )


async def answer(request: web.Request) -> web.StreamResponse:
    """A request for the collection, or for one of them."""
    name = request.match_info.get("name", "").partition("/")[0]
    if request.method == "GET" and not name:
        return await _list(request)
    if request.method in ("POST", "PUT", "PATCH"):
        raise Refused(name or await _name(request))
    if request.method in ("GET", "DELETE") and name:
        raise NotFound(
            f'{KIND.resource} "{name}" not found',
            details={"name": name, "group": KIND.group, "kind": KIND.plural},
        )
    if request.method == "DELETE":
        return document(_nothing())
    raise MethodNotAllowed


async def _name(request: web.Request) -> str:
    """What a JSON body would be called."""
    try:
        return str((await request.json())["metadata"]["name"])
    except (ValueError, KeyError, TypeError):
        return ""


async def _list(request: web.Request) -> web.StreamResponse:
    if query_flag(request.query.get("watch", ""), "watch"):
        return await http.until_over(request, _watch(request))
    form = negotiate(request.headers.get("Accept", ""))
    if form.shape == "object":
        return document(_nothing(), form.media_type)
    if form.shape == "metadata":
        nothing = _nothing("PartialObjectMetadataList", form.api_version)
        return document(nothing, form.media_type)
    names = {"Name": "name", "Created At": "date"}
    columns = [
        {"name": each, "type": "string", "format": "name" if form == "name" else "",
         "description": "", "priority": 0}
        for each, form in names.items()
    ]  # fmt: skip
    head = {"kind": "Table", "apiVersion": form.api_version, "metadata": _VERSION}
    return document({**head, "columnDefinitions": columns, "rows": []}, form.media_type)


_VERSION = {"resourceVersion": "1"}


def _nothing(
    kind: str = f"{KIND.kind}List", api_version: str = KIND.api_version
) -> dict[str, object]:
    return {"kind": kind, "apiVersion": api_version, "metadata": _VERSION, "items": []}


async def _watch(request: web.Request) -> web.StreamResponse:
    """Says nothing, until the client or its time is over."""
    negotiate(request.headers.get("Accept", ""), streams=True)
    seconds = query_number(request.query.get("timeoutSeconds", ""), "timeoutSeconds")
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    await asyncio.sleep(seconds or 3600)
    return response
