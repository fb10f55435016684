"""Who asks: by the door that a request comes through, a certificate, a token, or nobody known."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from socket import AF_UNIX
from typing import Any

from aiohttp import web

from netlab.api.accounts import CREDENTIAL_ID, Accounts
from netlab.api.authorization import Authorizer
from netlab.api.tokens import Malformed
from netlab.errors import ApiError, BadRequest
from netlab.objects import rbac
from netlab.objects.rbac import ANONYMOUS, AUTHENTICATED, UNAUTHENTICATED, Attributes, User

log = logging.getLogger(__name__)

ADMIN = User("netlab-admin", (rbac.MASTERS, AUTHENTICATED))
"""As the client certificate names its holder; who may use the unix socket is the same."""

_USER, _GROUP, _UID, _EXTRA = (f"Impersonate-{what}" for what in ("User", "Group", "Uid", "Extra-"))


class Unauthorized(ApiError):
    """The credential is nobody's."""

    code, reason = 401, "Unauthorized"

    def __init__(self) -> None:
        super().__init__("Unauthorized")


def user_of(request: web.Request, accounts: Accounts) -> User:
    """Who asks; `Unauthorized` for a token that is not good."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == AF_UNIX:
        return ADMIN
    if certificate := transport.get_extra_info("peercert"):
        return _subject(certificate, transport.get_extra_info("ssl_object").getpeercert(True))
    kind, _, token = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        return ANONYMOUS
    try:
        user, _ = accounts.user(token.strip())
    except (Malformed, BadRequest) as error:
        log.debug("Unable to authenticate the request: %s", error)
        raise Unauthorized from None
    return user


def _subject(certificate: Mapping[str, Any], encoded: bytes) -> User:
    """The holder of a certificate of the lab's CA: CN is the name, every O a group, and which
    credential it was its fingerprint says."""
    named = [pair for part in certificate.get("subject", ()) for pair in part]
    name = next((value for field, value in named if field == "commonName"), "")
    groups = tuple(value for field, value in named if field == "organizationName")
    credential = f"X509SHA256={hashlib.sha256(encoded).hexdigest()}"
    return User(name, (*groups, AUTHENTICATED), extra={CREDENTIAL_ID: [credential]})


def impersonated(request: web.Request, user: User, authorizer: Authorizer) -> User:
    """Whom the user acts for, if he says so and may; `Forbidden` if he may not."""
    headers = request.headers
    extra: dict[str, list[str]] = {}
    for header, value in headers.items():
        if header.lower().startswith(_EXTRA.lower()):
            extra.setdefault(header[len(_EXTRA) :].lower(), []).append(value)
    name, groups = headers.get(_USER, ""), tuple(headers.getall(_GROUP, ()))
    uid = headers.get(_UID, "")
    if not name:
        if groups or uid or extra:
            raise BadRequest("requested to impersonate groups, a uid or extra without a user")
        return user
    _require_each(user, name, groups, uid, extra, authorizer)
    account = rbac.account_of(name)
    if account and not groups:
        groups = rbac.account_groups(account[0])
    if name == ANONYMOUS.name:
        return User(name, groups or (UNAUTHENTICATED,), uid, extra)
    if not {AUTHENTICATED, UNAUTHENTICATED} & set(groups):
        groups += (AUTHENTICATED,)
    return User(name, groups, uid, extra)


def _require_each(
    user: User,
    name: str,
    groups: tuple[str, ...],
    uid: str,
    extra: Mapping[str, list[str]],
    authorizer: Authorizer,
) -> None:
    account, of = rbac.account_of(name), "authentication.k8s.io"
    wanted = [
        Attributes("impersonate", "", "serviceaccounts", "", *account)
        if account
        else Attributes("impersonate", "", "users", name=name),
        *(Attributes("impersonate", "", "groups", name=group) for group in groups),
        *([Attributes("impersonate", of, "uids", name=uid)] if uid else []),
        *(
            Attributes("impersonate", of, "userextras", key, name=value)
            for key, values in extra.items()
            for value in values
        ),
    ]
    for each in wanted:
        authorizer.require(user, each)
