"""GET /log: a container's output, all of it, the end of it, or as it comes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from aiohttp import web

from netlab.api import containers
from netlab.api.call import Call
from netlab.client.kubelets import LogOptions
from netlab.errors import BadRequest
from netlab.objects.times import parse_time
from netlab.serving import chunks


async def log(call: Call) -> web.StreamResponse:
    """Stream the container's output; with `follow` until it ends or the client goes."""
    limit = _limit(call)
    return await chunks.answer(call.request, _open(call), limit)


def _open(call: Call) -> AsyncGenerator[bytes, None]:
    pod, at = containers.find(call)
    containers.refuse_waiting(pod, at.container)
    wanted = LogOptions(
        follow=call.flag("follow"),
        tail=call.number("tailLines"),
        since=_since(call),
        timestamps=call.flag("timestamps"),
        previous=call.flag("previous"),
    )
    return containers.kubelet_of(call, pod).logs(at, wanted)


def _limit(call: Call) -> int | None:
    limit = call.number("limitBytes")
    if limit == 0:
        raise BadRequest('PodLogOptions "" is invalid: limitBytes: Invalid value: 0: must be > 0')
    return limit


def _since(call: Call) -> float | None:
    seconds, moment = call.number("sinceSeconds"), call.query("sinceTime")
    if seconds is not None and moment:
        raise BadRequest("at most one of `sinceTime` or `sinceSeconds` may be specified")
    if seconds is not None:
        return call.backend.now() - seconds
    if not moment:
        return None
    parsed = parse_time(moment)
    if parsed is None:
        raise BadRequest(f'parsing time "{moment}": it is no RFC 3339 time')
    return parsed
