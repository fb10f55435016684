"""The HTTP server: from a request's path and method to the function that answers it.

Which is imported with the first request for it: most labs are never asked for most of them.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from netlab.api import bodies, paths
from netlab.api.access import ACCESS, Access, gate
from netlab.api.accounts import Accounts
from netlab.api.authorization import Authorizer
from netlab.api.call import BACKEND, Backend, Call, refused
from netlab.api.encoding import Encoder
from netlab.api.negotiation import Form, negotiate
from netlab.api.paths import MethodNotAllowed
from netlab.client.kubelets import Kubelets
from netlab.errors import BadRequest
from netlab.later import Later
from netlab.objects.times import duration
from netlab.serving import http
from netlab.store.registry import Registry

Verb = Callable[[Call], web.StreamResponse | Awaitable[web.StreamResponse]]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Ask = Callable[[web.Request], Awaitable[web.Response | None]]

_LIST = Later[Verb]("netlab.api.reads", "list_")
_GET = Later[Verb]("netlab.api.reads", "get")
_WATCH = Later[Verb]("netlab.api.watches", "watch")
_CREATE = Later[Verb]("netlab.api.writes", "create")
_UPDATE = Later[Verb]("netlab.api.writes", "update")
_PATCH = Later[Verb]("netlab.api.writes", "patch")
_DELETE = Later[Verb]("netlab.api.writes", "delete")
_DELETE_COLLECTION = Later[Verb]("netlab.api.writes", "delete_collection")
_EXEC = Later[Verb]("netlab.api.execs", "exec_")
_ATTACH = Later[Verb]("netlab.api.execs", "attach")
_LOG = Later[Verb]("netlab.api.logs", "log")
_FORWARD = Later[Verb]("netlab.api.portforward", "forward")
_PROXY = Later[Verb]("netlab.api.proxy", "proxy")

_COLLECTION = {"GET": _LIST, "POST": _CREATE, "DELETE": _DELETE_COLLECTION}
_OBJECT = {"GET": _GET, "PUT": _UPDATE, "PATCH": _PATCH, "DELETE": _DELETE}
_SUBRESOURCE: dict[str, dict[str, Later[Verb]]] = {
    "status": {"GET": _GET, "PUT": _UPDATE, "PATCH": _PATCH},
    "ephemeralcontainers": {"GET": _GET, "PUT": _UPDATE, "PATCH": _PATCH},
    "finalize": {"PUT": _UPDATE},
    "scale": {
        "GET": Later("netlab.api.subresources", "get_scale"),
        "PUT": Later("netlab.api.subresources", "put_scale"),
        "PATCH": Later("netlab.api.subresources", "patch_scale"),
    },
    "binding": {"POST": Later("netlab.api.subresources", "bind")},
    "token": {"POST": Later("netlab.api.subresources", "token")},
    "eviction": {"POST": Later("netlab.api.subresources", "evict")},
    "exec": {"GET": _EXEC, "POST": _EXEC},
    "attach": {"GET": _ATTACH, "POST": _ATTACH},
    "log": {"GET": _LOG},
    "portforward": {"GET": _FORWARD, "POST": _FORWARD},
    "proxy": dict.fromkeys(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"), _PROXY),
}

_CONNECTED = frozenset((_EXEC, _ATTACH, _FORWARD, _PROXY))
"""What is answered by others, who alone know in what form."""
_STREAMS = _CONNECTED | {_WATCH, _LOG}

_DOCUMENTS: dict[str, Later[Handler]] = {
    "/": Later("netlab.api.documents", "roots"),
    "/version": Later("netlab.api.documents", "version"),
    "/version/": Later("netlab.api.documents", "version"),
    "/metrics": Later("netlab.api.documents", "metrics"),
    "/.well-known/openid-configuration": Later("netlab.api.documents", "issuer"),
    "/openid/v1/jwks": Later("netlab.api.documents", "keys"),
    "/openapi/v2": Later("netlab.api.documents", "swagger"),
    "/openapi/v3": Later("netlab.api.documents", "openapi_index"),
    "/openapi/v3/{path:.*}": Later("netlab.api.documents", "openapi"),
}
_HEALTH = Later[Handler]("netlab.api.health", "answer")
_DISCOVERY = Later[Ask]("netlab.api.documents", "discovery")
_REVIEW = Later[Ask]("netlab.api.reviews", "answer")
_CUSTOM_KINDS = Later[Handler]("netlab.api.customkinds", "answer")
_CUSTOM_KINDS_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_COMPONENTS = Later[Handler]("netlab.api.components", "answer")
_COMPONENTS_PATH = "/api/v1/componentstatuses"
_REVIEWS = ("/apis/authentication.k8s.io/", "/apis/authorization.k8s.io/")


def build_app(
    registry: Registry,
    kubelets: Kubelets,
    extra: Iterable[web.RouteDef] = (),
    *,
    accounts: Accounts | None = None,
    now: Callable[[], float] = time.time,
) -> web.Application:
    """The application: the Kubernetes API over a registry, and `extra` routes beside it.

    What a node knows of its pods its kubelet is asked for. Without `accounts` whoever gets through
    the door is the administrator.

    `now` gives epoch seconds, for the ages in tables. To be run by `serving.http.serve_unix`.
    """
    app = http.application(bodies.LIMIT, refused)
    app[BACKEND] = Backend(registry, kubelets, Encoder(), now)
    app[ACCESS] = Access(Authorizer(registry), accounts)
    app.middlewares.append(gate)
    app.router.add_routes(list(extra))
    for path in paths.HEALTH:
        for each in (path, path + "/{check:.+}"):
            app.router.add_route("*", each, _answering(_HEALTH), expect_handler=http.expected)
    for path, document in _DOCUMENTS.items():
        app.router.add_get(path, _answering(document), expect_handler=http.expected)
    for path in (_CUSTOM_KINDS_PATH, _CUSTOM_KINDS_PATH + "/{name:.*}"):
        app.router.add_route("*", path, _answering(_CUSTOM_KINDS), expect_handler=http.expected)
    for path in (_COMPONENTS_PATH, _COMPONENTS_PATH + "/{name}"):
        app.router.add_route("*", path, _answering(_COMPONENTS), expect_handler=http.expected)
    every = "/{path:(?s:.*)}"  # with newlines, too
    app.router.add_route("*", every, _dispatch, expect_handler=http.expected)
    return app


def _answering(document: Later[Handler]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await document.get()(request)

    return handle


async def _dispatch(request: web.Request) -> web.StreamResponse:
    found = await _beside_kinds(request)
    if found is not None:
        return found
    target = paths.parse(request.path)
    deprecated = target.kind.deprecated
    warnings = [deprecated] if deprecated else []
    call = Call(request.app[BACKEND], request, target, Form(), warnings)
    verb = _verb(call)
    if verb not in _CONNECTED:
        call.form = _form(request, streams=verb is _WATCH)
    if verb not in _STREAMS:
        _check_timeout(request.query.get("timeout", ""))
    answer = verb.get()(call)
    if not inspect.isawaitable(answer):
        return answer
    return await (http.until_over(request, answer) if verb in _STREAMS else answer)


async def _beside_kinds(request: web.Request) -> web.Response | None:
    """The answer to who asks what there is, or who may what; None if he asks for a kind."""
    parts = request.path.strip("/").split("/")
    if (len(parts) <= 2 and parts[0] == "api") or (len(parts) <= 3 and parts[0] == "apis"):
        return await _DISCOVERY.get()(request)
    return await _REVIEW.get()(request) if request.path.startswith(_REVIEWS) else None


def _form(request: web.Request, *, streams: bool) -> Form:
    include = request.query.get("includeObject", "")
    return negotiate(request.headers.get("Accept", ""), include, streams=streams)


def _check_timeout(text: str) -> None:
    """Requests are answered at once; how long a client would wait has to be a duration still."""
    if text not in ("", "0") and (text.lstrip("-").isdecimal() or duration(text) is None):
        why = "missing unit in duration" if text.lstrip("-").isdecimal() else "invalid duration"
        raise BadRequest(f'invalid timeout specified in the request URL - time: {why} "{text}"')


def _verb(call: Call) -> Later[Verb]:
    """The function for a method on a target; 405 when the target has no such verb."""
    method, target = call.request.method, call.target
    if target.subresource:
        verbs = _SUBRESOURCE.get(target.subresource, {})
    elif method == "GET" and call.flag("watch"):
        return _WATCH
    else:
        verbs = _OBJECT if target.name else _COLLECTION
    if target.kind.namespaced and target.namespace is None and method != "GET":
        raise MethodNotAllowed
    if method not in verbs:
        raise MethodNotAllowed
    return verbs[method]
