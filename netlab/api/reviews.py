"""Questions that clients ask: who am I, who is that, and who may what?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from netlab.api import bodies
from netlab.api.access import ACCESS, USER, Access
from netlab.api.call import document
from netlab.api.negotiation import negotiate
from netlab.api.paths import MethodNotAllowed
from netlab.api.tokens import Malformed
from netlab.errors import BadRequest
from netlab.objects import rbac
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.objects.rbac import Attributes, User
from netlab.objects.types import PolicyRule

LIMIT = 32 * 1024
"""Bytes of a review: a token is not half as long, and everybody who has one may ask."""

_EVERYTHING: tuple[PolicyRule, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)

Answer = Callable[[Access, User, Object], Object]


def _myself(_access: Access, user: User, _review: Object) -> Object:
    return {"userInfo": _info(user)}


def _may_i(access: Access, user: User, review: Object) -> Object:
    return _verdict(access, user, bodies.part(review, "spec"))


def _may_he(access: Access, _user: User, review: Object) -> Object:
    spec = bodies.part(review, "spec")
    groups = spec.get("groups") or []
    if not spec.get("user") and not groups:
        raise BadRequest(
            'spec.user: Invalid value: "": at least one of user or group must be specified'
        )
    return _verdict(access, User(str(spec.get("user") or ""), tuple(groups)), spec)


def _verdict(access: Access, user: User, spec: Object) -> Object:
    """Whether the user may do what is asked for; the reason, if there is anything to say."""
    verdict = access.authorizer.decide(user, _wanted(spec))
    return {"allowed": verdict.allowed} | ({"reason": verdict.reason} if verdict.reason else {})


def _wanted(spec: Object) -> Attributes:
    path, found = (spec.get(f"{which}Attributes") for which in ("nonResource", "resource"))
    if (path is None) == (found is None):
        raise BadRequest(
            "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        )
    if path is not None:
        return Attributes(_text(path, "verb"), path=_text(path, "path"))
    fields = ("verb", "group", "resource", "subresource", "namespace", "name")
    return Attributes(*(_text(found, field) for field in fields))


def _text(value: Any, field: str) -> str:
    if not isinstance(value, dict):
        raise BadRequest("attributes must be a mapping")
    return str(value.get(field) or "")


def _my_rules(access: Access, user: User, review: Object) -> Object:
    namespace = bodies.part(review, "spec").get("namespace")
    if not namespace:
        raise BadRequest("no namespace on request")
    if user.is_master:
        rules, problems = list(_EVERYTHING), list[str]()
    else:
        grants = list(rbac.granted(user, str(namespace), access.authorizer))
        rules = [grant.rule for grant in grants if grant.rule is not None]
        problems = [grant.lacking for grant in grants if grant.rule is None]
    status: Object = {
        "resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
        "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
        "incomplete": bool(problems),
    }
    return status | ({"evaluationError": ", ".join(problems)} if problems else {})


def _who_has(access: Access, _user: User, review: Object) -> Object:
    spec = bodies.part(review, "spec")
    token, audiences = spec.get("token"), spec.get("audiences") or []
    if not token or access.accounts is None:
        raise BadRequest("token is required for TokenReview in authentication")
    try:
        user, good = access.accounts.user(str(token), audiences)
    except Malformed as error:
        return {"user": {}, "error": f"[{error}]"}
    return {"authenticated": True, "user": _info(user), "audiences": good}


def _info(user: User) -> Object:
    known = {"username": user.name, "uid": user.uid, "groups": list(user.groups)}
    info = {field: value for field, value in known.items() if value}
    return info | ({"extra": dict(user.extra)} if user.extra else {})


_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"

KINDS: dict[Kind, Answer] = {
    Kind(kind, f"{kind.lower()}s", group, namespaced=namespaced): answer
    for kind, group, namespaced, answer in (
        ("SelfSubjectReview", _AUTHENTICATION, False, _myself),
        ("TokenReview", _AUTHENTICATION, False, _who_has),
        ("LocalSubjectAccessReview", _AUTHORIZATION, True, _may_he),
        ("SelfSubjectAccessReview", _AUTHORIZATION, False, _may_i),
        ("SelfSubjectRulesReview", _AUTHORIZATION, False, _my_rules),
        ("SubjectAccessReview", _AUTHORIZATION, False, _may_he),
    )
}

_BY_PATH: Mapping[str, Kind] = {kind.path(): kind for kind in KINDS}


async def answer(request: web.Request) -> web.Response | None:
    """The review in a request's body with its status; None when the path is no review's."""
    path, namespace = _without_namespace(request.path)
    kind = _BY_PATH.get(path)
    if kind is None or kind.namespaced != bool(namespace):
        return None
    if request.method != "POST":
        raise MethodNotAllowed
    form = negotiate(request.headers.get("Accept", ""), prints=False)
    review = await bodies.read_object(request, kind, LIMIT)
    if namespace:
        _agree(review, namespace)
    status = KINDS[kind](request.app[ACCESS], request[USER], review)
    return document({**review, "status": status}, form.media_type, 201)


def _without_namespace(path: str) -> tuple[str, str]:
    """`/apis/g/v1/namespaces/a/things` → (`/apis/g/v1/things`, `a`)."""
    parts = path.split("/")
    if len(parts) == 7 and parts[4] == "namespaces":
        return "/".join([*parts[:4], parts[6]]), parts[5]
    return path, ""


def _agree(review: Object, namespace: str) -> None:
    """A local review is about its own namespace."""
    wanted = bodies.part(review, "spec").get("resourceAttributes")
    if not isinstance(wanted, dict) or wanted.get("namespace") != namespace:
        raise BadRequest(
            f"spec.resourceAttributes.namespace: Invalid value: must match {namespace}"
        )
