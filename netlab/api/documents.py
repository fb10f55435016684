"""What the API says of itself: its version, its kinds, their structure, who signs its tokens."""

from __future__ import annotations

from aiohttp import web

from netlab import exposition
from netlab.api import discovery as kinds
from netlab.api import health
from netlab.api import metrics as numbers
from netlab.api import openapi as structures
from netlab.api import swagger as definitions
from netlab.api.access import ACCESS
from netlab.api.call import BACKEND, document
from netlab.api.negotiation import JSON, Conversion, choose, negotiate_discovery
from netlab.api.paths import MethodNotAllowed, no_such_path
from netlab.objects.kinds import KINDS
from netlab.serving.answers import plain_answer

_BESIDE = (
    "/.well-known/openid-configuration", "/openapi/v2", "/openapi/v3", "/openid/v1/jwks",
    "/version",
)  # fmt: skip
_AGGREGATIONS = tuple(
    Conversion("apidiscovery.k8s.io", version, "APIGroupDiscoveryList")
    for version in ("v2", "v2beta1")
)


async def roots(_request: web.Request) -> web.Response:
    """What may be asked for."""
    return plain_answer({"paths": kinds.roots([*health.PATHS, *_BESIDE])})


async def version(_request: web.Request) -> web.Response:
    """Of Kubernetes."""
    return plain_answer(kinds.VERSION)


async def issuer(request: web.Request) -> web.Response:
    """Who issues tokens."""
    accounts = request.app[ACCESS].accounts
    return plain_answer(accounts.issuer_metadata() if accounts else {})


async def keys(request: web.Request) -> web.Response:
    """What tokens are signed with."""
    accounts = request.app[ACCESS].accounts
    return plain_answer(accounts.keys() if accounts else {"keys": []})


async def metrics(request: web.Request) -> web.Response:
    """What Prometheus may know: how many objects are stored."""
    store = request.app[BACKEND].registry.store
    stored = {one.resource: sum(1 for _ in store.each(one.kind)) for one in KINDS}
    return web.Response(text=numbers.metrics(stored), headers={"Content-Type": exposition.FORMAT})


async def swagger(request: web.Request) -> web.Response:
    """The structure of all kinds, in OpenAPI's second version."""
    offered = (JSON, definitions.PROTOBUF, definitions.PROTOBUF_ASKED)
    chosen = choose(request.headers.get("Accept", ""), offered)
    if chosen is None:
        return web.Response(status=406)
    if chosen != JSON:
        body = definitions.as_protobuf()
        return web.Response(body=body, headers={"Content-Type": definitions.PROTOBUF})
    return web.Response(body=definitions.as_json(), content_type=JSON)


async def openapi_index(_request: web.Request) -> web.Response:
    """Which groups have a document."""
    return plain_answer(structures.index())


async def openapi(request: web.Request) -> web.Response:
    """One group's document; kept by clients when they ask for the state that it has."""
    path = request.match_info["path"]
    body = structures.document(path)
    if body is None:
        raise no_such_path()
    if choose(request.headers.get("Accept", ""), (JSON,)) is None:
        return web.Response(status=406)
    response = web.Response(body=body, content_type=JSON)
    if request.query.get("hash") == structures.digest(path):
        response.headers["Cache-Control"] = "public, immutable, max-age=31536000"
    return response


async def discovery(request: web.Request) -> web.Response:
    """The kinds at `/api`, `/apis`, of a group or of one of its versions."""
    parts = request.path.strip("/").split("/")
    at_root, core = len(parts) == 1, parts[0] == "api"
    accept = request.headers.get("Accept", "")
    of_group = None if at_root else _group(parts)
    media_type, wanted = negotiate_discovery(accept, _AGGREGATIONS if at_root else ())
    found = of_group or _root(wanted, core=core)
    if request.method != "GET":
        raise MethodNotAllowed
    answer = document(found, media_type)
    if wanted is not None:
        how = f";g={wanted.group};v={wanted.version};as={wanted.kind}"
        answer.headers["Content-Type"] = media_type + how
    return answer


def _root(wanted: Conversion | None, *, core: bool) -> kinds.Document:
    """`/api` or `/apis`, aggregated when the client wants that."""
    if wanted is not None:
        return kinds.aggregated(core=core, version=wanted.version)
    return kinds.core_versions() if core else kinds.group_list()


def _group(parts: list[str]) -> kinds.Document:
    """`/api/v1`, `/apis/<group>` or `/apis/<group>/<version>`; NotFound when not served."""
    if parts[0] == "api":
        found = kinds.resource_list("", parts[1])
    elif len(parts) == 2:
        found = kinds.group_document(parts[1])
    else:
        found = kinds.resource_list(parts[1], parts[2])
    if found is None:
        raise no_such_path("/".join(parts))
    return found
