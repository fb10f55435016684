"""Whether the server is well, as kube-apiserver says it: `/healthz`, `/livez`, `/readyz`, and each
check below them.

What a lab can lose while it answers is its store, which stands where etcd does. The other checks
are of steps of the start that have been taken before anybody is answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from netlab.api.call import BACKEND
from netlab.api.paths import no_such_path
from netlab.store.store import Store

_HOOKS = tuple(
    f"poststarthook/{name}"
    for name in (
        "start-apiserver-admission-initializer",
        "generic-apiserver-start-informers",
        "priority-and-fairness-config-consumer",
        "priority-and-fairness-filter",
        "storage-object-count-tracker-hook",
        "start-apiextensions-informers",
        "start-apiextensions-controllers",
        "crd-informer-synced",
        "start-system-namespaces-controller",
        "start-cluster-authentication-info-controller",
        "start-kube-apiserver-identity-lease-controller",
        "start-kube-apiserver-identity-lease-garbage-collector",
        "start-legacy-token-tracking-controller",
        "start-service-ip-repair-controllers",
        "rbac/bootstrap-roles",
        "scheduling/bootstrap-system-priority-classes",
        "priority-and-fairness-config-producer",
        "bootstrap-controller",
        "start-kubernetes-service-cidr-controller",
        "aggregator-reload-proxy-client-cert",
        "start-kube-aggregator-informers",
        "apiservice-status-local-available-controller",
        "apiservice-status-remote-available-controller",
        "apiservice-registration-controller",
        "apiservice-discovery-controller",
        "kube-apiserver-autoregistration",
    )
)
_API_HOOKS = ("poststarthook/apiservice-openapi-controller",
              "poststarthook/apiservice-openapiv3-controller")  # fmt: skip
_FIRST, _LAST = ("ping", "log", "etcd"), (*_HOOKS, "autoregister-completion", *_API_HOOKS)
_STORED = frozenset({"etcd", "etcd-readiness"})

CHECKS = {
    "healthz": (*_FIRST, *_LAST),
    "livez": (*_FIRST, *_LAST),
    "readyz": (*_FIRST, "etcd-readiness", "informer-sync", *_LAST, "shutdown"),
}
"""What is checked at each place, in this order."""

PATHS = tuple(path for place, names in CHECKS.items()
              for path in (f"/{place}", *(f"/{place}/{name}" for name in names)))  # fmt: skip
"""Where the server says that it is well."""

_PLAIN = {"X-Content-Type-Options": "nosniff"}


async def answer(request: web.Request) -> web.Response:
    """`ok`; with `verbose`, and if one fails, a line for each check."""
    place, _, name = request.path[1:].partition("/")
    if name:
        return _one(request, place, name)
    lines, is_well = _told(request, CHECKS[place])
    if not is_well:
        text = f"{lines}{place} check failed\n"
        return web.Response(status=500, text=text, headers=_PLAIN)
    text = f"{lines}{place} check passed\n" if "verbose" in request.query else "ok"
    return web.Response(text=text, headers=_PLAIN)


def _one(request: web.Request, place: str, name: str) -> web.Response:
    if name not in CHECKS[place]:
        raise no_such_path(request.path)
    why = _failure(request, name)
    if not why:
        return web.Response(text="ok")
    text = f"internal server error: {name} failed: {why}\n"
    return web.Response(status=500, text=text, headers=_PLAIN)


def _told(request: web.Request, names: Iterable[str]) -> tuple[str, bool]:
    """A line for each check, and whether all have succeeded."""
    excluded = dict.fromkeys(request.query.getall("exclude", ()))
    lines, is_well = [], True
    for name in names:
        if name in excluded:
            del excluded[name]
            lines.append(f"[+]{name} excluded: ok\n")
        elif _failure(request, name):
            is_well = False
            lines.append(f"[-]{name} failed: reason withheld\n")
        else:
            lines.append(f"[+]{name} ok\n")
    if excluded:
        listed = ", ".join(f'"{name}"' for name in excluded)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {listed}\n")
    return "".join(lines), is_well


def _failure(request: web.Request, name: str) -> str:
    return unsaved(request.app[BACKEND].registry.store) if name in _STORED else ""


def unsaved(store: Store) -> str:
    """Why the last write could not be saved, if none can still."""
    return store.refusal() if store.refused else ""
