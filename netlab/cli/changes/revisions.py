"""Which revisions a workload had, and what each of them was.

A Deployment's revision is a ReplicaSet; a StatefulSet's or DaemonSet's is a ControllerRevision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from netlab.cli.changes.rollouts import HINT, ROLLOUTS
from netlab.client.sync import Client
from netlab.controllers import history, rollout
from netlab.errors import NetlabError, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.kinds.workloads import REPLICA_SET
from netlab.objects.meta import Object

CAUSE = "kubernetes.io/change-cause"

Revision = Any
"""A ReplicaSet, or a ControllerRevision."""

Revisions = dict[int, Revision]
"""What keeps each revision, by its number, the oldest first."""


def of(client: Client, obj: Object, refusal: str = "no history viewer") -> Revisions:
    """The revisions of a workload; `UsageError` (`refusal` …) for a kind that has none."""
    kind = BY_KIND[obj["kind"]]
    rollout = ROLLOUTS.get(kind)
    if rollout is None:
        subject = f"{kind.kind}.{kind.group}".rstrip(".")
        raise UsageError(f'{refusal} has been implemented for "{subject}"', hint=HINT)
    kept_by = rollout.kept_by
    owned = client.list(kept_by.kind, meta.namespace(obj))
    named = {"apiVersion": kept_by.api_version, "kind": kept_by.kind}
    uid = meta.uid(obj)
    return by_number({**named, **one} for one in owned if meta.controller_uid(one) == uid)


def by_number(kept: Iterable[Revision]) -> Revisions:
    """ReplicaSets or ControllerRevisions by their numbers; one without a number is none."""
    numbered = {number: one for one in kept if (number := number_of(one))}
    return dict(sorted(numbered.items()))


def number_of(one: Revision) -> int:
    """The revision's number, 0 when it has none."""
    return rollout.revision(one) if _is_set(one) else history.number(one)


def _is_set(one: Revision) -> bool:
    return bool(one["kind"] == REPLICA_SET.kind)


def find(revisions: Revisions, number: int, refusal: str) -> Revision:
    """The revision of that number; `NetlabError` if there is none."""
    if number not in revisions:
        raise NetlabError(refusal, hint=f"there are: {', '.join(map(str, revisions)) or 'none'}")
    return revisions[number]


def template_of(one: Revision) -> dict[str, Any]:
    """A revision's template as its owner had it."""
    template = as_kept(one)
    if not _is_set(one):
        return template
    metadata = dict(template.get("metadata") or {})
    labels = metadata.get("labels") or {}
    own = {key: value for key, value in labels.items() if key != rollout.HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": own}}


def as_it_was(obj: Object, one: Revision) -> Any:
    """What kubectl gives out as a revision: the ReplicaSet, or the owner with the template."""
    if _is_set(one):
        return one
    return {**obj, "spec": {**meta.spec(obj), "template": template_of(one)}}


def as_kept(one: Revision) -> dict[str, Any]:
    """The template as the revision keeps it: a ReplicaSet's with the label for its hash."""
    return dict(one["spec"]["template"]) if _is_set(one) else {**history.template_of(one)}


def with_cause(one: Revision) -> dict[str, Any]:
    """The template as kept, in which a ReplicaSet's cause of change is an annotation."""
    template, cause = as_kept(one), meta.annotations(one).get(CAUSE)
    if cause and _is_set(one):
        own = dict(template.get("metadata") or {})
        own["annotations"] = {**(own.get("annotations") or {}), CAUSE: cause}
        template["metadata"] = own
    return template


def template_text(of: dict[str, Any]) -> str:
    """A pod template as `describe` shows it, in kubectl's form with tabs."""
    from netlab.view.describing.pods import template

    return "\n".join(template(of))
