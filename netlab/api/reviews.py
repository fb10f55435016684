"""Questions that clients ask about themselves: who am I, and may I?

Whoever got through the door is the lab's administrator, so the answer is always yes.
"""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from netlab.api import bodies
from netlab.api.paths import MethodNotAllowed
from netlab.objects.kinds import Kind
from netlab.objects.meta import Object
from netlab.serving.answers import plain_answer

USER = {
    "username": "netlab-admin",
    "groups": ["system:masters", "system:authenticated"],
}
"""As the client certificate names them."""

_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


def _access(_review: Object) -> Object:
    return {"allowed": True, "reason": "the lab's certificate is its administrator's"}


def _rules(_review: Object) -> Object:
    return {
        "resourceRules": [_EVERYTHING],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        "incomplete": False,
    }


def _self(_review: Object) -> Object:
    return {"userInfo": USER}


KINDS: dict[Kind, Callable[[Object], Object]] = {
    Kind(kind, plural, group, namespaced=False): answer
    for kind, plural, group, answer in (
        ("SelfSubjectReview", "selfsubjectreviews", "authentication.k8s.io", _self),
        ("SelfSubjectAccessReview", "selfsubjectaccessreviews", "authorization.k8s.io", _access),
        ("SelfSubjectRulesReview", "selfsubjectrulesreviews", "authorization.k8s.io", _rules),
    )
}

_BY_PATH = {kind.path(): kind for kind in KINDS}


async def answer(request: web.Request) -> web.Response | None:
    """The review in a request's body with its status; None when the path is no review's."""
    kind = _BY_PATH.get(request.path)
    if kind is None:
        return None
    if request.method != "POST":
        raise MethodNotAllowed
    review = await bodies.read_object(request, kind)
    return plain_answer({**review, "status": KINDS[kind](review)}, 201)
