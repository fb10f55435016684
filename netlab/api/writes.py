"""POST, PUT, PATCH and DELETE of objects and of their status."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web
from msgspec.structs import replace

from netlab.api import bodies, eventviews, fields, requestinfo
from netlab.api.access import ACCESS, USER
from netlab.api.call import Call, is_dry_run, query_number
from netlab.errors import BadRequest, Invalid, NotFound
from netlab.objects import (
    apiwarnings,
    elsewhere,
    podwarnings,
    sloppy,
    validate_admission,
)
from netlab.objects.kinds.access import GROUP
from netlab.objects.kinds.batch import JOB
from netlab.objects.meta import Object, is_terminating, uid
from netlab.serving.answers import to_json
from netlab.store.deletion import Propagation, is_over
from netlab.store.registry import PatchType
from netlab.workload import unknown

APPLY: PatchType = "application/apply-patch+yaml"
MERGE: PatchType = "application/merge-patch+json"
PATCHES: tuple[PatchType, ...] = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
PROPAGATIONS: tuple[Propagation, ...] = ("Background", "Foreground", "Orphan")


async def create(call: Call) -> web.Response:
    """A new object in a collection."""
    obj = await _body(call)
    made = _written(call, lambda dry: call.registry.create(obj, dry_run=dry))
    _warn(call, made, created=True)
    # In a flood of new objects what was answered would be kept for nobody.
    return call.answer(made, 201, stored=False)


async def update(call: Call) -> web.Response:
    """Replace an object, or the part of it that a subresource covers."""
    obj = await _body(call)
    before = _generation(call)

    def write(dry_run: bool) -> Object:
        return call.registry.update(
            obj,
            subresource=call.target.subresource,
            dry_run=dry_run,
            field_manager=call.field_manager,
        )

    now = _written(call, write)
    _warn(call, now, created=False, before=before)
    return call.answer(now, stored=not call.dry_run)


def _written(call: Call, write: Callable[[bool], Object]) -> Object:
    """Write, in earnest or not; a role or binding is tried before, and refused if it would give
    away more than its writer has."""
    user = call.request[USER]
    if not user.is_master and call.target.kind.group == GROUP:
        call.request.app[ACCESS].authorizer.check_grant(user, write(True), _present(call))
    return write(call.dry_run)


def _generation(call: Call) -> int | None:
    """Of what the path names, if it has a template of pods."""
    present = _present(call) if call.target.kind.makes_pods else None
    return None if present is None else present["metadata"].get("generation")


def _warn(call: Call, obj: Object, *, created: bool, before: int | None = None) -> None:
    """Of what a template asks for, or a pod when it is created, which settles it for good; and of
    webhooks, which nobody calls. Nothing is said again of a template whose generation is the one
    `before`."""
    if before is not None and before == obj["metadata"].get("generation"):
        return
    if call.target.subresource == "status":
        call.warnings += sloppy.of_status(obj)
    if not call.target.subresource and (created or call.target.kind.kind != "Pod"):
        call.warnings += apiwarnings.of_name(obj) if created else []
        call.warnings += apiwarnings.warnings(obj) + sloppy.warnings(obj)
        call.warnings += podwarnings.warnings(obj) + unknown.warnings(obj)
        call.warnings += validate_admission.warnings(obj)
        call.warnings += elsewhere.warnings(obj)


async def _body(call: Call) -> Object:
    """The object in the body, made to agree with the path, its fields checked."""
    obj = await bodies.read_object(call.request, call.target.kind)
    _agree_with_path(obj["metadata"], call)
    if eventviews.is_view(call.target.kind):
        obj = eventviews.inward(obj)
    body, media = await bodies.read(call.request), bodies.content_type(call.request)
    said = obj, call.query("fieldValidation"), body, media
    call.warnings += podwarnings.dropped(obj)
    in_yaml = "yaml" in media  # of which a megabyte takes seconds
    call.warnings += (
        await asyncio.to_thread(fields.check, *said) if in_yaml else fields.check(*said)
    )
    return obj


def _agree_with_path(metadata: dict[str, Any], call: Call) -> None:
    target = call.target
    if target.kind.namespaced:
        if (metadata.get("namespace") or target.namespace) != target.namespace:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        metadata["namespace"] = target.namespace
    if target.name and (metadata.get("name") or target.name) != target.name:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL "
            f"({target.name})"
        )
    if target.name:
        metadata["name"] = target.name


async def patch(call: Call) -> web.Response:
    """Change part of an object, or of its status, in any of the four ways."""
    kind, change = await read_patch(call)
    if eventviews.is_view(call.target.kind) and isinstance(change, dict):
        change = eventviews.inward(change)
    created, asked = False, call.query("fieldValidation")
    if kind != APPLY:
        body = await bodies.read(call.request)
        call.warnings += fields.check_patch(call.target.kind, change, asked, body)
    else:
        body = await bodies.read(call.request)
        call.warnings += await asyncio.to_thread(fields.check_applied, body, asked)
        _agree_with_path(bodies.as_kind(change, *_gvk(call))["metadata"], call)
        created = _present(call) is None
        if created:
            _require_creation(call)
    if isinstance(change, dict):
        call.warnings += podwarnings.dropped({**change, "kind": call.target.kind.kind})
    before = _generation(call)
    now = apply_patch(call, kind, change, call.target.subresource)
    _warn(call, now, created=created, before=before)
    return call.answer(now, 201 if created else 200, stored=not call.dry_run)


def _require_creation(call: Call) -> None:
    """Who applies what is not there makes it, and must be allowed to."""
    request = call.request
    wanted = requestinfo.attributes(request.method, request.path, request.query)
    request.app[ACCESS].authorizer.require(request[USER], replace(wanted, verb="create"))


def apply_patch(call: Call, kind: PatchType, change: Any, subresource: str) -> Object:
    """Patch the object that the path names, as far as the subresource reaches."""
    target, force = call.target, call.flag("force")
    _check_options(call, kind)

    def write(dry_run: bool) -> Object:
        return call.registry.patch(
            target.kind.kind,
            target.namespace or "",
            target.name,
            change,
            content_type=kind,
            subresource=subresource,
            dry_run=dry_run,
            field_manager=call.field_manager,
            force=force,
        )

    return _written(call, write)


def _check_options(call: Call, kind: PatchType) -> None:
    """An apply says who applies; nothing else can be forced."""
    if kind == APPLY and not call.query("fieldManager"):
        raise _bad_options("fieldManager: Required value: is required for apply patch")
    if kind != APPLY and call.query("force"):
        raise _bad_options("force: Forbidden: may not be specified for non-apply patch")


def _bad_options(problem: str) -> Invalid:
    return Invalid(f'PatchOptions.meta.k8s.io "" is invalid: {problem}')


def _present(call: Call) -> Object | None:
    """What the path names, if there is such an object."""
    target = call.target
    try:
        return call.registry.get(target.kind.kind, target.namespace or "", target.name)
    except NotFound:
        return None


async def read_patch(call: Call) -> tuple[PatchType, Any]:
    """(content type, the decoded patch)."""
    kind = _patch_type(bodies.content_type(call.request))
    media = "application/yaml" if kind == APPLY else "application/json"
    change = await bodies.decode(await bodies.read(call.request), media, call.target.kind.kind)
    if not isinstance(change, list if kind == "application/json-patch+json" else dict):
        raise BadRequest(f"cannot unmarshal {fields.json_type(change)} into a patch ({kind})")
    return kind, change


def _patch_type(media_type: str) -> PatchType:
    for known in PATCHES:
        if media_type == known:
            return known
    raise bodies.UnsupportedMediaType(PATCHES)


def _gvk(call: Call) -> tuple[str, str]:
    return call.target.kind.api_version, call.target.kind.kind


async def delete(call: Call) -> web.Response:
    """Delete one object; the answer is the object while it lingers, else a Status."""
    options = Deletion(await bodies.read_options(call.request), call)
    if call.target.kind is JOB and not options.says_what_becomes_of_dependents:
        call.warnings.append(_LEFT)
    obj = delete_object(call, options)
    lingers = is_terminating(obj) and not is_over(obj)
    if lingers or call.target.kind.answers_deletion:
        return call.answer(obj, stored=not options.dry_run)
    return call.answer_bytes(to_json(_deleted(call, obj)))


_LEFT = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background "
    "to remove them or set propagationPolicy=Orphan to suppress this warning"
)


def delete_object(call: Call, options: Deletion) -> Object:
    """Ask for the deletion of what the path names; its last state, or the one it lingers in."""
    return call.registry.delete(
        call.target.kind.kind,
        call.target.namespace or "",
        call.target.name,
        grace_period=options.grace_period,
        propagation=options.propagation,
        uid=options.uid,
        resource_version=options.resource_version,
        dry_run=options.dry_run,
    )


def _deleted(call: Call, obj: Object) -> dict[str, object]:
    details = {"name": call.target.name, "kind": call.target.kind.plural, "uid": uid(obj)}
    if call.target.kind.group:
        details["group"] = call.target.kind.group
    return success(details)


def success(details: dict[str, str] | None = None, code: int = 0) -> dict[str, object]:
    """The Status object of something that worked."""
    status: dict[str, object] = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
    status["status"] = "Success"
    if details:
        status["details"] = details
    if code:
        status["code"] = code
    return status


class Deletion:
    """How to delete, from the body's DeleteOptions and the query together."""

    def __init__(self, body: Object, call: Call) -> None:
        preconditions = body.get("preconditions") or {}
        dry_run = body.get("dryRun") or []
        if not isinstance(preconditions, dict) or not isinstance(dry_run, list):
            raise BadRequest("DeleteOptions: preconditions must be an object, dryRun an array")
        self.uid = str(preconditions.get("uid") or "")
        self.resource_version = str(preconditions.get("resourceVersion") or "")
        self.grace_period = _grace(body.get("gracePeriodSeconds"), call)
        said = body.get("propagationPolicy"), call.query("propagationPolicy")
        self.says_what_becomes_of_dependents = any(said) or "orphanDependents" in body
        self.propagation = _propagation(body, call)
        self.dry_run = call.dry_run or is_dry_run(dry_run)


def _grace(seconds: object, call: Call) -> int | None:
    if seconds is None:
        return query_number(call.query("gracePeriodSeconds"), "gracePeriodSeconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds < 0:
        raise BadRequest(
            f"DeleteOptions: gracePeriodSeconds: Invalid value: {seconds}: "
            "must be a whole number, 0 or more"
        )
    return seconds


def _propagation(body: Object, call: Call) -> Propagation:
    wanted = body.get("propagationPolicy") or call.query("propagationPolicy")
    if not wanted:
        orphans = body.get("orphanDependents", call.target.kind.orphans)
        return "Orphan" if orphans else "Background"
    for policy in PROPAGATIONS:
        if wanted == policy:
            return policy
    supported = ", ".join(f'"{policy}"' for policy in PROPAGATIONS)
    raise BadRequest(
        f'DeleteOptions: propagationPolicy: Unsupported value: "{wanted}": '
        f"supported values: {supported}"
    )


async def delete_collection(call: Call) -> web.Response:
    """Delete everything that the selectors match; the answer lists what was deleted."""
    options = Deletion(await bodies.read_options(call.request), call)
    kind = call.target.kind
    gone = call.registry.delete_collection(
        kind.kind,
        call.target.namespace,
        label_selector=call.query("labelSelector"),
        field_selector=call.field_selector,
        grace_period=options.grace_period,
        propagation=options.propagation,
        dry_run=options.dry_run,
    )
    return call.answer_bytes(
        to_json(
            {
                "kind": f"{kind.kind}List",
                "apiVersion": kind.api_version,
                "metadata": {"resourceVersion": gone.resource_version},
                "items": gone.items,
            }
        )
    )
