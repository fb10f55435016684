"""ComponentStatuses: what of the control plane is well, which is asked as it is read.

They are stored nowhere, and deprecated. Source: pkg/registry/core/componentstatus/rest.go.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from netlab.api.call import BACKEND, add_warnings, document, query_flag
from netlab.api.health import unsaved
from netlab.api.negotiation import Form, negotiate
from netlab.api.paths import MethodNotAllowed
from netlab.errors import NotFound
from netlab.objects import selectors
from netlab.objects.kinds import Kind

KIND = Kind(
    "ComponentStatus",
    "componentstatuses",
    namespaced=False,
    short_names=("cs",),
    deprecated="v1 ComponentStatus is deprecated in v1.19+",
)
VERBS = ("get", "list")

_STORE = "etcd-0"
_NAMES = ("scheduler", "controller-manager", _STORE)
_COLUMNS = {
    "Name": ("name", "Name must be unique within a namespace."),
    "Status": ("", "Status of the component conditions"),
    "Message": ("", "Message of the component conditions"),
    "Error": ("", "Error of the component conditions"),
}

Object = dict[str, Any]


async def answer(request: web.Request) -> web.Response:
    """A request for all of them, or for one."""
    name = request.match_info.get("name", "")
    if request.method != "GET" or query_flag(request.query.get("watch", ""), "watch"):
        raise MethodNotAllowed
    form = negotiate(request.headers.get("Accept", ""), request.query.get("includeObject", ""))
    response = document(_one(request, name, form) if name else _all(request, form), form.media_type)
    add_warnings(response, [KIND.deprecated])
    return response


def _one(request: web.Request, name: str, form: Form) -> Object:
    if name not in _NAMES:
        raise NotFound(
            f'{KIND.resource} "{name}" not found', details={"name": name, "kind": KIND.plural}
        )
    found = _component(request, name)
    if form.shape == "table":
        return _table([found], form)
    return _metadata(found, form) if form.shape == "metadata" else {**_typed(KIND.kind), **found}


def _all(request: web.Request, form: Form) -> Object:
    found = [one for name in _NAMES if _selected(request, one := _component(request, name))]
    if form.shape == "table":
        return _table(found, form)
    if form.shape == "metadata":
        head = {"kind": "PartialObjectMetadataList", "apiVersion": form.api_version}
        found = [_metadata(one, form) for one in found]
    else:
        head = _typed(f"{KIND.kind}List")
    return {**head, "metadata": {}, "items": found}


def _typed(kind: str) -> Object:
    return {"kind": kind, "apiVersion": KIND.api_version}


def _selected(request: web.Request, component: Object) -> bool:
    """Whether one of no labels is asked for."""
    labels = selectors.parse(request.query.get("labelSelector", ""))
    fields = selectors.parse_fields(request.query.get("fieldSelector", ""), KIND.kind)
    return labels.matches({}) and fields.matches(component)


def _component(request: web.Request, name: str) -> Object:
    """Only the store can fail while there is somebody to answer."""
    why = unsaved(request.app[BACKEND].registry.store) if name == _STORE else ""
    said = {"status": "False", "message": why} if why else {"status": "True", "message": "ok"}
    metadata = {"name": name, "creationTimestamp": None}
    return {"metadata": metadata, "conditions": [{"type": "Healthy", **said}]}


def _metadata(component: Object, form: Form) -> Object:
    head = {"kind": "PartialObjectMetadata", "apiVersion": form.api_version}
    return {**head, "metadata": component["metadata"]}


def _table(found: list[Object], form: Form) -> Object:
    columns = [
        {"name": title, "type": "string", "format": form_, "description": text, "priority": 0}
        for title, (form_, text) in _COLUMNS.items()
    ]
    head = {"kind": "Table", "apiVersion": form.api_version, "metadata": {}}
    return {**head, "columnDefinitions": columns, "rows": [_row(one, form) for one in found]}


def _row(component: Object, form: Form) -> Object:
    said = component["conditions"][0]
    word = "Healthy" if said["status"] == "True" else "Unhealthy"
    row: Object = {"cells": [component["metadata"]["name"], word, said["message"], ""]}
    if form.include == "Object":
        row["object"] = {**_typed(KIND.kind), **component}
    elif form.include == "Metadata":
        row["object"] = _metadata(component, form)
    return row
