"""The parts of objects with a path of their own: scale, binding, eviction, token."""

from __future__ import annotations

from typing import Any

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
from netlab.errors import BadRequest
from netlab.objects.meta import Object, spec, status, uid
from netlab.objects.selectors import format_label_selector, label_selector
from netlab.objects.times import timestamp
from netlab.objects.types import PodCondition

_SCALE = ("autoscaling/v1", "Scale")

EVICTED: PodCondition = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


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
    """Delete a pod the polite way, and have its status say whose doing that is: a Job may count
    such an end for no failure. No disruption budgets are served, so it never has to wait."""
    value = await bodies.read_value(call.request, "Eviction")
    eviction = bodies.as_kind(value, "policy/v1", "Eviction")
    if eviction["metadata"].get("name") != call.target.name:
        raise BadRequest("name in URL does not match name in Eviction object")
    options = Deletion(bodies.part(eviction, "deleteOptions"), call)
    if not options.dry_run and _mark_evicted(call, options):
        options.resource_version = ""  # it had that one
    delete_object(call, options)
    return document(success(code=201), call.form.media_type, 201)


def _mark_evicted(call: Call, options: Deletion) -> bool:
    """Whether it is the pod that is meant; if not, who deletes refuses with the right words."""
    space, name = call.target.namespace or "", call.target.name
    pod: Any = call.registry.get("Pod", space, name)
    if options.uid not in ("", uid(pod)):
        return False
    if options.resource_version not in ("", pod["metadata"]["resourceVersion"]):
        return False
    evicted: PodCondition = {**EVICTED, "lastTransitionTime": timestamp(call.backend.now())}
    others = [one for one in status(pod).get("conditions") or [] if one["type"] != evicted["type"]]
    change = {"status": {"conditions": [*others, evicted]}}
    call.registry.patch("Pod", space, name, change, subresource="status")
    return True
