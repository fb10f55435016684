"""Any pod of a set that labels describe, as one end of a trace. Pure."""

from __future__ import annotations

from netlab.errors import BadRequest, UsageError
from netlab.objects import meta
from netlab.objects.selectors import parse
from netlab.pathcheck.world import World


def any_of(labels: str, world: World, namespace: str) -> str:
    """The name of the first running pod of a namespace with those labels, one that is ready if
    there is any; `UsageError` if there is none."""
    try:
        wanted = parse(labels)
    except BadRequest as error:
        raise UsageError(
            f"{labels} is no selector: {error.message}", hint="app=web,tier!=db"
        ) from None
    pods = [
        pod
        for key, pod in sorted(world.pods.items())
        if meta.namespace(pod) == namespace and wanted.matches(meta.labels(pod))
    ]
    running = [pod for pod in pods if meta.key(pod) in world.places]
    if not running:
        found = "runs" if pods else "is there"
        text = f"no pod with {labels} {found} in namespace {namespace}"
        raise UsageError(text, hint=f"netlab get pods -n {namespace} --show-labels")
    return meta.name(next((pod for pod in running if meta.is_ready(pod)), running[0]))


def is_selector(word: str) -> bool:
    """Whether a word behind `pod/` describes labels; no pod's name has such characters."""
    return any(each in word for each in "=!, (")
