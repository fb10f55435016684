"""The gate of the API: every request has a user, and is allowed or refused, before all else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web
from msgspec import Struct

from netlab.api import authentication, requestinfo
from netlab.api.accounts import Accounts
from netlab.api.authentication import ADMIN
from netlab.api.authorization import Authorizer
from netlab.api.guests import Guests
from netlab.objects.rbac import User

USER = web.RequestKey("user", User)
"""Who asks: whom he acts for, if he does."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(Struct):
    """Who comes in and what he may; without `accounts` all who come are the administrator.

    `guests` are those from inside the lab, once these are let in.
    """

    authorizer: Authorizer
    accounts: Accounts | None = None
    guests: Guests | None = None


ACCESS = web.AppKey("access", Access)


@web.middleware
async def gate(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let pass what is allowed; 401 and 403 else."""
    access = request.app[ACCESS]
    if access.guests is None:
        return await _admitted(request, access, handler)
    async with access.guests.attended(request):
        return await _admitted(request, access, handler)


async def _admitted(request: web.Request, access: Access, handler: Handler) -> web.StreamResponse:
    user = authentication.user_of(request, access.accounts) if access.accounts else ADMIN
    if access.guests is not None:
        access.guests.identify(request, user)
    user = authentication.impersonated(request, user, access.authorizer)
    request[USER] = user
    if not user.is_master:
        wanted = requestinfo.attributes(request.method, request.path, request.query)
        access.authorizer.require(user, wanted)
    return await handler(request)
