"""The HTTP server: from a request's path and method to the function that answers it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from netlab.api import (
    bodies,
    customkinds,
    discovery,
    execs,
    logs,
    metrics,
    openapi,
    paths,
    portforward,
    proxy,
    reads,
    reviews,
    subresources,
    swagger,
    watches,
    writes,
)
from netlab.api.access import ACCESS, Access, gate
from netlab.api.accounts import Accounts
from netlab.api.authorization import Authorizer
from netlab.api.call import Backend, Call
from netlab.api.encoding import Encoder
from netlab.api.negotiation import Form, media_types, negotiate
from netlab.api.paths import MethodNotAllowed, RequestInfo, no_such_path
from netlab.client.kubelets import Kubelets
from netlab.objects.kinds import KINDS
from netlab.serving import http
from netlab.serving.answers import plain_answer
from netlab.store.registry import Registry

BACKEND = web.AppKey("backend", Backend)
Verb = Callable[[Call], web.StreamResponse | Awaitable[web.StreamResponse]]

_COLLECTION: dict[str, Verb] = {
    "GET": reads.list_,
    "POST": writes.create,
    "DELETE": writes.delete_collection,
}
_OBJECT: dict[str, Verb] = {
    "GET": reads.get,
    "PUT": writes.update,
    "PATCH": writes.patch,
    "DELETE": writes.delete,
}
_SUBRESOURCE: dict[str, dict[str, Verb]] = {
    "status": {"GET": reads.get, "PUT": writes.update, "PATCH": writes.patch},
    "finalize": {"PUT": writes.update},
    "scale": {
        "GET": subresources.get_scale,
        "PUT": subresources.put_scale,
        "PATCH": subresources.patch_scale,
    },
    "binding": {"POST": subresources.bind},
    "token": {"POST": subresources.token},
    "eviction": {"POST": subresources.evict},
    "exec": {"GET": execs.exec_, "POST": execs.exec_},
    "attach": {"GET": execs.attach, "POST": execs.attach},
    "log": {"GET": logs.log},
    "portforward": {"GET": portforward.forward, "POST": portforward.forward},
    "proxy": dict.fromkeys(proxy.METHODS, proxy.proxy),
}


_STREAMS: frozenset[Verb] = frozenset(
    (watches.watch, logs.log, execs.exec_, execs.attach, portforward.forward, proxy.proxy)
)


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
    app = http.application(bodies.LIMIT)
    app[BACKEND] = Backend(registry, kubelets, Encoder(), now)
    app[ACCESS] = Access(Authorizer(registry), accounts)
    app.middlewares.append(gate)
    app.router.add_routes(list(extra))
    for path in ("/healthz", "/livez", "/readyz"):
        app.router.add_get(path, _ok, expect_handler=http.expected)
    for path in ("/version", "/version/"):
        app.router.add_get(path, _version, expect_handler=http.expected)
    app.router.add_get("/metrics", _metrics, expect_handler=http.expected)
    for path in (customkinds.PATH, customkinds.PATH + "/{name:.*}"):
        app.router.add_route("*", path, customkinds.answer, expect_handler=http.expected)
    app.router.add_get("/.well-known/openid-configuration", _issuer, expect_handler=http.expected)
    app.router.add_get("/openid/v1/jwks", _keys, expect_handler=http.expected)
    app.router.add_get("/openapi/v2", _swagger, expect_handler=http.expected)
    app.router.add_get("/openapi/v3", _openapi_index, expect_handler=http.expected)
    app.router.add_get("/openapi/v3/{path:.*}", _openapi, expect_handler=http.expected)
    every = "/{path:(?s:.*)}"  # with newlines, too
    app.router.add_route("*", every, _dispatch, expect_handler=http.expected)
    return app


async def _ok(_request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def _version(_request: web.Request) -> web.Response:
    return plain_answer(discovery.VERSION)


async def _metrics(request: web.Request) -> web.Response:
    store = request.app[BACKEND].registry.store
    stored = {one.resource: sum(1 for _ in store.each(one.kind)) for one in KINDS}
    return web.Response(text=metrics.exposition(stored), headers={"Content-Type": metrics.FORMAT})


async def _issuer(request: web.Request) -> web.Response:
    accounts = request.app[ACCESS].accounts
    return plain_answer(accounts.issuer_metadata() if accounts else {})


async def _keys(request: web.Request) -> web.Response:
    accounts = request.app[ACCESS].accounts
    return plain_answer(accounts.keys() if accounts else {"keys": []})


async def _swagger(request: web.Request) -> web.Response:
    if "protobuf" in request.headers.get("Accept", ""):
        body = swagger.as_protobuf()
        return web.Response(body=body, headers={"Content-Type": swagger.PROTOBUF})
    return web.Response(body=swagger.as_json(), content_type="application/json")


async def _openapi_index(_request: web.Request) -> web.Response:
    return plain_answer(openapi.index())


async def _openapi(request: web.Request) -> web.Response:
    """One group's document; kept by clients when they ask for the state that it has."""
    path = request.match_info["path"]
    body = openapi.document(path)
    if body is None:
        raise no_such_path()
    response = web.Response(body=body, content_type="application/json")
    if request.query.get("hash") == openapi.digest(path):
        response.headers["Cache-Control"] = "public, immutable, max-age=31536000"
    return response


async def _dispatch(request: web.Request) -> web.StreamResponse:
    found = _discovery(request) or await reviews.answer(request)
    if found is not None:
        return found
    target = paths.parse(request.path)
    form = _form(request, target)
    deprecated = target.kind.deprecated
    warnings = [deprecated] if deprecated else []
    call = Call(request.app[BACKEND], request, target, form, warnings)
    verb = _verb(call)
    answer = verb(call)
    if not inspect.isawaitable(answer):
        return answer
    return await (http.until_over(request, answer) if verb in _STREAMS else answer)


def _form(request: web.Request, target: RequestInfo) -> Form:
    """What is accepted of us; of what is proxied it is for others to say."""
    if target.subresource == "proxy":
        return Form()
    return negotiate(request.headers.get("Accept", ""), request.query.get("includeObject", ""))


def _verb(call: Call) -> Verb:
    """The function for a method on a target; 405 when the target has no such verb."""
    method, target = call.request.method, call.target
    if target.subresource:
        verbs = _SUBRESOURCE.get(target.subresource, {})
    elif method == "GET" and call.flag("watch"):
        return watches.watch
    else:
        verbs = _OBJECT if target.name else _COLLECTION
    if target.kind.namespaced and target.namespace is None and method != "GET":
        raise MethodNotAllowed
    if method not in verbs:
        raise MethodNotAllowed
    return verbs[method]


def _discovery(request: web.Request) -> web.Response | None:
    """The discovery document at a path; None when the path is not one of discovery's."""
    parts = request.path.strip("/").split("/")
    if parts[0] not in ("api", "apis") or len(parts) > 3:
        return None
    document = _root(request, core=parts[0] == "api") if len(parts) == 1 else _group(parts)
    if document is None:
        return None
    if request.method != "GET":
        raise MethodNotAllowed
    if isinstance(document, web.Response):
        return document
    return plain_answer(document)


def _root(request: web.Request, *, core: bool) -> discovery.Document | web.Response:
    """`/api` or `/apis`, aggregated when the client accepts that."""
    for _, parameters in media_types(request.headers.get("Accept", "")):
        version = parameters.get("v", "")
        wanted = parameters.get("as") == "APIGroupDiscoveryList"
        if wanted and version in ("v2", "v2beta1"):
            answer = plain_answer(discovery.aggregated(core=core, version=version))
            answer.headers["Content-Type"] = (
                f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
            )
            return answer
    return discovery.core_versions() if core else discovery.group_list()


def _group(parts: list[str]) -> discovery.Document | None:
    """`/apis/<group>`, `/api/v1` or `/apis/<group>/<version>`; NotFound when not served."""
    if parts[0] == "api":
        if len(parts) == 3:
            return None
        found = discovery.resource_list("", parts[1])
    elif len(parts) == 2:
        found = discovery.group_document(parts[1])
    else:
        found = discovery.resource_list(parts[1], parts[2])
    if found is None:
        raise no_such_path()
    return found
