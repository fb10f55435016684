"""`apply` as kubectl does it: what the user wrote last time, writes now, and what is live.

The patch is a strategic merge patch: lists of named things (ports, containers) are merged by
their key, so what the server filled in (an allocated nodePort) survives. What stood in the
last-applied annotation and is not in the file any more is removed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from netlab.client.sync import Client
from netlab.errors import NotFound
from netlab.objects import meta, schema
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.objects.schema import ANYTHING, Schema

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Applied:
    """What applying one object came to; prints as kubectl's line."""

    resource: str
    name: str
    result: Literal["created", "configured", "unchanged"]

    def __str__(self) -> str:
        return f"{self.resource}/{self.name} {self.result}"


def apply(client: Client, obj: Object, *, dry_run: bool = False) -> Applied:
    """Create `obj`, or change the live object to match it. Raises `ApiError`."""
    kind = BY_KIND[obj["kind"]]
    wanted = _with_last_applied(obj, kind.namespaced)
    name, namespace = meta.name(wanted), meta.namespace(wanted)
    resource = f"{kind.singular}.{kind.group}" if kind.group else kind.singular
    query = {"dryRun": "All"} if dry_run else {}
    try:
        live = client.request("GET", kind.path(namespace, name))
    except NotFound:
        query["fieldValidation"] = "Strict"
        client.request("POST", kind.path(namespace), wanted, query=query)
        return Applied(resource, name, "created")
    patch = three_way(_last_applied(live), wanted, live)
    if not patch:
        return Applied(resource, name, "unchanged")
    path = kind.path(namespace, name)
    client.request("PATCH", path, patch, query=query, content_type=STRATEGIC)
    return Applied(resource, name, "configured")


def three_way(last: Object, wanted: Object, live: Object) -> dict[str, Any]:
    """The strategic merge patch that turns `live` into `wanted`; {} when nothing is to be done."""
    structure = schema.of(str(wanted["apiVersion"]), str(wanted["kind"]))
    return _maps(last, wanted, live, structure or ANYTHING)


def _with_last_applied(obj: Object, namespaced: bool) -> Object:
    wanted = copy.deepcopy(obj)
    if namespaced:
        wanted["metadata"].setdefault("namespace", "default")
    (wanted["metadata"].get("annotations") or {}).pop(LAST_APPLIED, None)
    text = json.dumps(wanted, separators=(",", ":"), sort_keys=True) + "\n"
    annotations = wanted["metadata"].get("annotations") or {}
    wanted["metadata"]["annotations"] = {**annotations, LAST_APPLIED: text}
    return wanted


def _last_applied(live: Object) -> Object:
    text = meta.annotations(live).get(LAST_APPLIED)
    try:
        last = json.loads(text) if text else {}
    except ValueError:
        return {}
    return last if isinstance(last, dict) else {}


def _maps(
    last: Mapping[str, Any], wanted: Mapping[str, Any], live: Mapping[str, Any], rule: Schema
) -> dict[str, Any]:
    patch: dict[str, Any] = {name: None for name in last if name not in wanted and name in live}
    for name, value in wanted.items():
        change = _value(last.get(name), value, live.get(name), rule.child(name) or ANYTHING)
        if change is not _SAME:
            patch[name] = change
    return patch


_SAME = object()


def _value(last: Any, wanted: Any, live: Any, rule: Schema) -> Any:
    """The patch of one field, or `_SAME`. A field that is not live is sent whole."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return _maps(last if isinstance(last, dict) else {}, wanted, live, rule) or _SAME
    if (
        isinstance(wanted, list)
        and isinstance(live, list)
        and "merge" in rule.strategies
        and rule.merge_key
    ):
        return _lists(last if isinstance(last, list) else [], wanted, live, rule) or _SAME
    return _SAME if wanted == live else wanted


def _lists(
    last: list[Any], wanted: list[Any], live: list[Any], rule: Schema
) -> list[dict[str, Any]]:
    key, each = str(rule.merge_key), rule.elements or ANYTHING
    by_key = {item.get(key): item for item in live}
    before = {item.get(key): item for item in last}
    patch: list[dict[str, Any]] = []
    for item in wanted:
        current = by_key.get(item.get(key))
        if current is None:
            patch.append(item)
        elif change := _maps(before.get(item.get(key), {}), item, current, each):
            patch.append({key: item.get(key), **change})
    kept = {item.get(key) for item in wanted}
    gone = [name for name in before if name not in kept and name in by_key]
    return patch + [{key: name, "$patch": "delete"} for name in gone]
