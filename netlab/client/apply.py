"""`apply` as kubectl does it: what the user wrote last time, writes now, and what is live.

The patch is a strategic merge patch: lists of named things (ports, containers) are merged by
their key, so what the server filled in (an allocated nodePort) survives. What stood in the
last-applied annotation and is not in the file any more is removed.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Collection, Mapping
from typing import Any, Literal

from msgspec import Struct

from netlab.client.sync import Client
from netlab.errors import NotFound
from netlab.objects import meta, schema
from netlab.objects.kinds import BY_KIND, Kind
from netlab.objects.meta import Object
from netlab.objects.schema import ANYTHING, Schema
from netlab.store import strategic

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
STRATEGIC = "application/strategic-merge-patch+json"


Result = Literal["created", "configured", "unchanged"]


class Applied(Struct, frozen=True):
    """What applying one object came to; prints as kubectl's line.

    `warnings` are the server's, where somebody has gathered them. `kind`, `namespace` ("" of what
    has none) and `uid` say which object it is for ever.
    """

    resource: str
    name: str
    result: Result
    warnings: tuple[str, ...] = ()
    kind: str = ""
    namespace: str = ""
    uid: str = ""

    def __str__(self) -> str:
        return f"{self.resource}/{self.name} {self.result}"


def created(obj: Object) -> Applied:
    """What applying an object comes to that is not there yet."""
    kind = BY_KIND[obj["kind"]]
    return _applied(kind, _with_last_applied(obj, kind.namespaced), "created", "")


def _applied(kind: Kind, wanted: Object, result: Result, uid: str) -> Applied:
    resource = f"{kind.singular}.{kind.group}" if kind.group else kind.singular
    space = meta.namespace(wanted) if kind.namespaced else ""
    return Applied(resource, meta.name(wanted), result, (), kind.kind, space, uid)


def apply(client: Client, obj: Object, *, dry_run: bool = False) -> Applied:
    """Create `obj`, or change the live object to match it. Raises `ApiError`."""
    kind = BY_KIND[obj["kind"]]
    wanted = _with_last_applied(obj, kind.namespaced)
    name, namespace = meta.name(wanted), meta.namespace(wanted)

    def applied(result: Result, found: Object) -> Applied:
        return _applied(kind, wanted, result, meta.uid(found))

    query = {"dryRun": "All"} if dry_run else {}
    try:
        live = client.request("GET", kind.path(namespace, name))
    except NotFound:
        query["fieldValidation"] = "Strict"
        found = client.request("POST", kind.path(namespace), wanted, query=query)
        return created(obj) if dry_run else applied("created", found)
    patch = three_way(_last_applied(live), wanted, live)
    if not patch:
        return applied("unchanged", live)
    path = kind.path(namespace, name)
    client.request("PATCH", path, patch, query=query, content_type=STRATEGIC)
    return applied("configured", live)


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
        child = rule.child(name) or ANYTHING
        patch |= _field(name, last.get(name), value, live.get(name), child)
    return patch


def _field(name: str, last: Any, wanted: Any, live: Any, rule: Schema) -> dict[str, Any]:
    """What the patch says of one field, {} for nothing. A field that is not live is sent whole."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        change = _maps(last if isinstance(last, dict) else {}, wanted, live, rule)
        return {name: _retaining(change, wanted, rule)} if change else {}
    if isinstance(wanted, list) and isinstance(live, list) and "merge" in rule.strategies:
        before = last if isinstance(last, list) else []
        if not rule.merge_key:
            return _plain_list(name, before, wanted, live)
        elements = _lists(before, wanted, live, rule)
        order = [{rule.merge_key: item.get(rule.merge_key)} for item in wanted]
        if not elements or elements[0] == _REPLACE:
            return {name: elements} if elements else {}
        return {name: elements, f"$setElementOrder/{name}": order}
    return {} if wanted == live else {name: wanted}


def _retaining(change: dict[str, Any], wanted: Mapping[str, Any], rule: Schema) -> dict[str, Any]:
    """In a union (a strategy, a volume) what another choice had left behind goes."""
    return {**change, "$retainKeys": sorted(wanted)} if "retainKeys" in rule.strategies else change


def _plain_list(name: str, last: list[Any], wanted: list[Any], live: list[Any]) -> dict[str, Any]:
    """A list that is merged as a set, such as finalizers."""
    more = [item for item in wanted if item not in live]
    gone = [item for item in last if item not in wanted and item in live]
    patch = {
        **({name: more} if more else {}),
        **({f"$deleteFromPrimitiveList/{name}": gone} if gone else {}),
    }
    return {**patch, f"$setElementOrder/{name}": wanted} if patch else {}


_REPLACE = {"$patch": "replace"}


def _lists(
    last: list[Any], wanted: list[Any], live: list[Any], rule: Schema
) -> list[dict[str, Any]]:
    key, each = str(rule.merge_key), rule.elements or ANYTHING

    def by_identity(items: list[Any]) -> dict[tuple[Any, Any], Any]:
        # Ports 53/UDP and 53/TCP have one key: their protocol tells them apart.
        return {(item.get(key), item.get("protocol", "TCP")): item for item in items}

    current, before, kept = by_identity(live), by_identity(last), by_identity(wanted)
    patch: list[dict[str, Any]] = []
    for identity, item in kept.items():
        if identity not in current:
            patch.append(item)
        elif change := _maps(before.get(identity, {}), item, current[identity], each):
            patch.append({key: item.get(key), **_retaining(change, item, rule)})
    gone = [identity for identity in before if identity in current.keys() - kept.keys()]
    if not _is_unique({*current, *kept}) and (patch or gone):
        left = [current[identity] for identity in current if identity not in {*kept, *gone}]
        merging = (strategic.merged(current.get(one, {}), item, each) for one, item in kept.items())
        return [_REPLACE, *merging, *left]
    return patch + [{key: current[identity].get(key), "$patch": "delete"} for identity in gone]


def _is_unique(identities: Collection[tuple[Any, Any]]) -> bool:
    """Whether a server knows the elements by their merge keys, which is all that it looks at."""
    return len({key for key, _ in identities}) == len(identities)
