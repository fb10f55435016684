"""ResourceQuotas as `kubectl describe` shows them. Pure."""

from __future__ import annotations

from netlab.objects import meta, quantity
from netlab.objects.kinds.quota import RESOURCE_QUOTA
from netlab.objects.types import ResourceQuota
from netlab.view.describing.described import Description, Lines, Related

_SCOPES = {
    "Terminating": (
        "Matches all pods that have an active deadline. These pods have a limited lifespan on a "
        "node before being actively terminated by the system."
    ),
    "NotTerminating": (
        "Matches all pods that do not have an active deadline. These pods usually include long "
        "running pods whose container command is not expected to terminate."
    ),
    "BestEffort": (
        "Matches all pods that do not have resource requirements set. These pods have a best "
        "effort quality of service."
    ),
    "NotBestEffort": (
        "Matches all pods that have at least one resource requirement set. These pods have a "
        "burstable or guaranteed quality of service."
    ),
}


def resource_quota(obj: ResourceQuota, related: Related) -> Lines:
    """A ResourceQuota; kubectl shows no events with it."""
    del related
    yield f"Name:\t{meta.name(obj)}"
    yield f"Namespace:\t{meta.namespace(obj)}"
    yield from _scopes(obj, " * ")
    yield "Resource\tUsed\tHard"
    yield "--------\t----\t----"
    yield from (f"{name}\t{used}\t{hard}" for name, used, hard in _rows(obj))


def of_namespace(found: list[ResourceQuota]) -> Lines:
    """A namespace's, as its own description has them."""
    yield ""
    if not found:
        yield "No resource quota."
        return
    yield "Resource Quotas"
    for obj in sorted(found, key=meta.name):
        yield f"  Name:\t{meta.name(obj)}"
        yield from (f"  {line}" for line in _scopes(obj, "* "))
        yield "  Resource\tUsed\tHard"
        yield "  --------\t---\t---"
        yield from (f"  {name}\t{used}\t{hard}" for name, used, hard in _rows(obj))


def _scopes(obj: ResourceQuota, mark: str) -> Lines:
    scopes = sorted(meta.spec(obj).get("scopes") or [])
    if scopes:
        yield f"Scopes:\t{', '.join(scopes)}"
    yield from (f"{mark}{_SCOPES[name]}" for name in scopes if name in _SCOPES)


def _rows(obj: ResourceQuota) -> list[tuple[str, str, str]]:
    status = meta.status(obj)
    used, hard = status.get("used") or {}, status.get("hard") or {}
    return [
        (name, _alike(used.get(name, "0"), hard[name]), str(hard[name])) for name in sorted(hard)
    ]


def _alike(used: object, hard: object) -> str:
    """In powers of two where the limit is."""
    return quantity.canonical(quantity.parse(used), binary=str(hard).endswith("i"))


DESCRIPTIONS = {RESOURCE_QUOTA: Description(resource_quota)}
