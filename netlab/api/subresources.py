"""The parts of objects with a path of their own: scale, binding, eviction, token."""

from __future__ import annotations

from aiohttp import web

from netlab.api import bodies
from netlab.api.access import ACCESS
from netlab.api.call import Call, document
from netlab.api.paths import MethodNotAllowed
from netlab.api.writes import (
    MERGE,
    Deletion,
    apply_patch,
    delete_object,
    read_patch,
    success,
)
from netlab.objects.meta import Object, spec, status
from netlab.objects.selectors import format_label_selector, label_selector

_SCALE = ("autoscaling/v1", "Scale")


def scale_of(obj: Object) -> Object:
    """The Scale of a workload."""
    copied = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    metadata = {key: obj["metadata"][key] for key in copied if key in obj["metadata"]}
    selector = label_selector(obj)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": spec(obj).get("replicas", 1)},
        "status": {
            "replicas": status(obj).get("replicas") or 0,
            "selector": format_label_selector(selector) if selector else "",
        },
    }


def get_scale(call: Call) -> web.Response:
    """How many replicas are wanted, and how many there are."""
    target = call.target
    obj = call.registry.get(target.kind.kind, target.namespace or "", target.name)
    return call.answer(scale_of(obj), stored=False)


async def put_scale(call: Call) -> web.Response:
    """Set the number of replicas; a resourceVersion in the Scale must be current."""
    scale = bodies.as_kind(await bodies.read_value(call.request, "Scale"), *_SCALE)
    version = scale["metadata"].get("resourceVersion")
    change = {
        "metadata": {"resourceVersion": version} if version else {},
        "spec": {"replicas": bodies.part(scale, "spec").get("replicas", 0)},
    }
    return call.answer(scale_of(apply_patch(call, MERGE, change, "scale")), stored=False)


async def patch_scale(call: Call) -> web.Response:
    """Patch the Scale: the one field that may change lies at the same path in the workload."""
    kind, change = await read_patch(call)
    return call.answer(scale_of(apply_patch(call, kind, change, "scale")), stored=False)


async def bind(call: Call) -> web.Response:
    """Bind a pod to a node, as schedulers do."""
    value = bodies.as_kind(await bodies.read_value(call.request, "Binding"), "v1", "Binding")
    change: Object = {"spec": {"nodeName": bodies.part(value, "target").get("name")}}
    if value["metadata"].get("uid"):
        change["metadata"] = {"uid": value["metadata"]["uid"]}
    apply_patch(call, MERGE, change, "binding")
    return document(success(code=201), call.form.media_type, 201)


async def token(call: Call) -> web.Response:
    """Issue a token of a ServiceAccount."""
    accounts = call.request.app[ACCESS].accounts
    if accounts is None:
        raise MethodNotAllowed
    value = await bodies.read_value(call.request, "TokenRequest")
    request = bodies.as_kind(value, "authentication.k8s.io/v1", "TokenRequest")
    issued = accounts.issue(call.target.namespace or "", call.target.name, request)
    return document(issued, call.form.media_type, 201)


async def evict(call: Call) -> web.Response:
    """Delete a pod the polite way. No disruption budgets are served, so it never has to wait."""
    value = await bodies.read_value(call.request, "Eviction")
    eviction = bodies.as_kind(value, "policy/v1", "Eviction")
    delete_object(call, Deletion(bodies.part(eviction, "deleteOptions"), call))
    return document(success(code=201), call.form.media_type, 201)
