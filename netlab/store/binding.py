"""Binding a pod to a node: once, by the scheduler."""

from __future__ import annotations

from netlab.errors import BadRequest
from netlab.objects import fields, meta
from netlab.objects.kinds import BY_KIND
from netlab.objects.meta import Object
from netlab.store import failures


def bound(pod: Object, node: str) -> Object:
    """The pod with the node's name in it, sharing all that binding leaves as it is."""
    return {
        **pod,
        "metadata": dict(pod["metadata"]),
        "spec": {**meta.spec(pod), "nodeName": node},
        "status": dict(meta.status(pod)),
    }


def bind(new: Object, old: Object, now: str) -> None:
    """Finish, in place, an update that sets nodeName; `Conflict` if the pod is on a node already.

    The pod's PodScheduled condition is true from now on.
    """
    name, current = meta.name(old), meta.spec(old).get("nodeName")
    wanted = meta.spec(new).get("nodeName")
    if not wanted:
        raise BadRequest("Binding cannot be read: target.name must name a node")
    problems = list(fields.dns_subdomain(("target", "name"), wanted))
    if problems:
        raise failures.invalid(BY_KIND["Pod"], name, problems)
    if current:
        raise _conflict(name, f'is already assigned to node "{current}"')
    if meta.is_terminating(old):
        raise _conflict(name, "is being deleted, cannot be assigned to a host")
    condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
    status = new.setdefault("status", {})
    others = [one for one in status.get("conditions") or [] if one["type"] != "PodScheduled"]
    status["conditions"] = [*others, condition]
    status.pop("nominatedNodeName", None)


def _conflict(name: str, why: str) -> Exception:
    return failures.conflict(BY_KIND["Pod"], name, f"pod {name} {why}")
