"""ServiceAccounts as users: their tokens are issued, and believed as long as what they stand on."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from netlab.api.tokens import Claims, Malformed, TokenKey
from netlab.errors import BadRequest, Conflict, Invalid, NotFound
from netlab.objects import meta, rbac
from netlab.objects.meta import AnyObject, Object
from netlab.objects.rbac import User
from netlab.objects.times import timestamp
from netlab.store.registry import Registry

LASTS = 3600
"""Seconds for which a token is good, if nobody says for how long."""

_SHORTEST, _LONGEST = 600, 1 << 32
_OWN = "kubernetes.io"
_EXTRA = "authentication.kubernetes.io"
CREDENTIAL_ID = f"{_EXTRA}/credential-id"
"""What tells of one who asks by which of his credentials he is known."""


class Accounts:
    """Issues and checks tokens; `domain` is the cluster's, `clock` gives epoch seconds."""

    def __init__(
        self, registry: Registry, key: TokenKey, domain: str, clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._key = key
        self._clock = clock
        self.issuer = f"https://kubernetes.default.svc.{domain}"

    # -- issuing ---------------------------------------------------------------------------

    def issue(self, namespace: str, name: str, request: Object) -> Object:
        """The TokenRequest with the token that it asks for."""
        account = self._registry.get("ServiceAccount", namespace, name)
        spec = _mapping(request, "spec")
        seconds = _lifetime(name, spec.get("expirationSeconds"))
        audiences = _texts(spec, "audiences") or [self.issuer]
        now = int(self._clock())
        bound = self._bound(account, _mapping(spec, "boundObjectRef"))
        claims: Claims = {
            "aud": audiences,
            "exp": now + seconds,
            "iat": now,
            "iss": self.issuer,
            "jti": str(uuid.uuid4()),
            _OWN: {"namespace": namespace, **bound, "serviceaccount": _reference(account)},
            "nbf": now,
            "sub": rbac.account_name(namespace, name),
        }
        status = {"token": self._key.sign(claims), "expirationTimestamp": timestamp(now + seconds)}
        asked = {**spec, "audiences": audiences, "expirationSeconds": seconds}
        metadata = {"name": name, "namespace": namespace, "creationTimestamp": timestamp(now)}
        return {**request, "metadata": metadata, "spec": asked, "status": status}

    def _bound(self, account: AnyObject, reference: Object) -> Claims:
        """What the token is bound to, as its claims have it."""
        if not reference:
            return {}
        kind, name = str(reference.get("kind")), str(reference.get("name"))
        if kind not in ("Pod", "Secret", "Node"):
            raise BadRequest(f"cannot bind token to object of kind {kind!r}")
        space = "" if kind == "Node" else meta.namespace(account)
        found = self._registry.get(kind, space, name)
        wanted = reference.get("uid")
        if wanted and wanted != meta.uid(found):
            raise Conflict(
                f'Operation cannot be fulfilled on {kind} "{name}": the UID in the bound object '
                f"reference ({wanted}) does not match the UID in record. The object might have "
                "been deleted and then recreated"
            )
        claims = {kind.lower(): _reference(found)}
        if kind != "Pod":
            return claims
        if meta.spec(found).get("serviceAccountName", "default") != meta.name(account):
            raise BadRequest(
                f'cannot bind token for serviceaccount "{meta.name(account)}" to pod running with '
                "different serviceaccount name."
            )
        node = self._registry.store.get("Node", "", str(meta.spec(found).get("nodeName")))
        return claims | ({"node": _reference(node)} if node else {})

    # -- believing -------------------------------------------------------------------------

    def user(self, token: str, audiences: Sequence[str] = ()) -> tuple[User, list[str]]:
        """Who has a token, and for which of the audiences (none: this API) it is good.

        `Malformed` says why nobody is believed to have it.
        """
        claims = self._key.read(token)
        good = [one for one in audiences or [self.issuer] if one in _texts(claims, "aud")]
        now = self._clock()
        if claims.get("iss") != self.issuer or not good:
            raise Malformed("token audiences or issuer are invalid for this server")
        if not _number(claims, "nbf") <= now < _number(claims, "exp"):
            raise Malformed("service account token has expired")
        return self._holder(claims), good

    def _holder(self, claims: Claims) -> User:
        own = _mapping(claims, _OWN)
        space = str(own.get("namespace"))
        account = self._still_there("ServiceAccount", space, _mapping(own, "serviceaccount"))
        extra = {CREDENTIAL_ID: [f"JTI={claims.get('jti')}"]}
        for kind, scope in (("Pod", space), ("Secret", space), ("Node", "")):
            if reference := _mapping(own, kind.lower()):
                found = self._still_there(kind, scope, reference)
                extra[f"{_EXTRA}/{kind.lower()}-name"] = [meta.name(found)]
                extra[f"{_EXTRA}/{kind.lower()}-uid"] = [meta.uid(found)]
        name = rbac.account_name(space, meta.name(account))
        return User(name, rbac.account_groups(space), meta.uid(account), extra)

    def _still_there(self, kind: str, namespace: str, reference: Claims) -> AnyObject:
        name = str(reference.get("name"))
        try:
            found = self._registry.get(kind, namespace, name)
        except NotFound:
            raise Malformed("service account token has been invalidated") from None
        if meta.uid(found) != reference.get("uid"):
            raise Malformed("service account token has been invalidated")
        return found

    # -- discovery -------------------------------------------------------------------------

    def issuer_metadata(self) -> Object:
        """What others need to check tokens themselves (OpenID Connect Discovery)."""
        return {
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        }

    def keys(self) -> Object:
        """The public key, in a set of one."""
        return {"keys": [self._key.public()]}


def _lifetime(name: str, wanted: Any) -> int:
    if wanted is None:
        return LASTS
    problem = ""
    if not isinstance(wanted, int) or wanted < _SHORTEST:
        problem = "may not specify a duration less than 10 minutes"
    elif wanted > _LONGEST:
        problem = "may not specify a duration larger than 2^32 seconds"
    if problem:
        raise Invalid(
            f'TokenRequest.authentication.k8s.io "{name}" is invalid: spec.expirationSeconds: '
            f"Invalid value: {wanted}: {problem}"
        )
    return int(wanted)


def _reference(obj: AnyObject) -> Claims:
    return {"name": meta.name(obj), "uid": meta.uid(obj)}


def _mapping(value: Object, field: str) -> Object:
    found = value.get(field) or {}
    if not isinstance(found, dict):
        raise BadRequest(f"{field} must be a mapping")
    return found


def _texts(value: Object, field: str) -> list[str]:
    found = value.get(field) or []
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadRequest(f"{field} must be a list of strings")
    return found


def _number(claims: Claims, field: str) -> float:
    found = claims.get(field)
    if not isinstance(found, int | float):
        raise Malformed("invalid bearer token")
    return found
