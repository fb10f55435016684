"""Since when a change of endpoints has been under way, as slices say it for kube-proxy's metrics.

As EndpointSlice and Endpoints controllers tell it: of what changed since they looked last, the
earliest. A pod changes when it becomes ready or ceases to be, a Service when it is created.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct, field

from netlab.objects import meta
from netlab.objects.types import Pod, Service

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


class _Seen(Struct):
    """Of a Service: when it was created, and by name its pods, each beside when it turned."""

    service: str = ""
    pods: dict[str, tuple[Pod, str]] = field(default_factory=dict)


class Triggers:
    """What was seen of each Service, by its key. Times are RFC 3339, in one form: they compare as
    texts."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def of(self, service: Service, pods: Iterable[Pod]) -> dict[str, str]:
        """The annotation of what is written now; none where nothing tells when it began."""
        key, created = meta.key(service), service["metadata"].get("creationTimestamp") or ""
        before, now = self._seen.get(key), _Seen(created)
        known = before.pods if before is not None else {}
        changed: list[str] = []
        for pod in pods:
            name = pod["metadata"]["name"]
            entry = known.get(name)
            # Nobody changes an informer's objects: the same one turned when it did.
            if entry is None or entry[0] is not pod:
                last, entry = entry[1] if entry else "", (pod, _turned(pod))
                if entry[1] > last:
                    changed.append(entry[1])
            now.pods[name] = entry
        self._seen[key] = now
        if before is None:
            since = created
        else:
            since = min(changed + [created] * (created > before.service), default="")
        return {ANNOTATION: since} if since else {}

    def forget(self, key: str) -> None:
        """There is no such Service."""
        self._seen.pop(key, None)


def _turned(pod: Pod) -> str:
    # Asked of a thousand pods at a time: no copy.
    for entry in meta.status(pod).get("conditions") or ():
        if entry["type"] == "Ready":
            return entry.get("lastTransitionTime") or ""
    return ""
