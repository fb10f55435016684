"""Why what was waited for did not come true: the pods behind it that are not ready."""

from __future__ import annotations

from netlab import waiting
from netlab.cli import options
from netlab.client.sync import Client
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.types import Pod

SHOWN = 5


def whynot(client: Client, obj: Object) -> str:
    """A line for each pod that is not ready and is, or belongs to, the object; "" if none is."""
    try:
        pods = [obj] if obj["kind"] == "Pod" else _pods_of(client, obj)
        lines = waiting.reasons(client, [meta.key(pod) for pod in pods if not meta.is_ready(pod)])
    except NetlabError:  # it selects no pods, or nobody can be asked any more
        return ""
    more = [f"{len(lines) - SHOWN} more are not ready"] if len(lines) > SHOWN else []
    return "".join(f"\n  {line}" for line in lines[:SHOWN] + more)


def _pods_of(client: Client, owner: Object) -> list[Pod]:
    query = {"labelSelector": options.selector_of(owner)}
    return list(client.list("Pod", meta.namespace(owner), query=query))
