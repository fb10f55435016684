"""exec and attach: what they ask for, checked before the websocket opens."""

from __future__ import annotations

from aiohttp import web
from msgspec.structs import replace

from netlab.api import containers
from netlab.api.call import Call
from netlab.errors import BadRequest
from netlab.serving import channels
from netlab.serving.channels import StreamOptions


async def exec_(call: Call) -> web.StreamResponse:
    """Run a command in a container of the pod."""
    wanted = _wanted(call)
    argv = call.request.query.getall("command", [])
    if not argv:
        raise BadRequest("you must specify at least one command for the container")
    if any("\0" in word for word in argv):
        raise BadRequest("a command's words must not contain a NUL character")
    pod, at = containers.find(call)
    containers.refuse_completed(pod, "exec into")
    channels.refuse_other_protocols(call.request)
    kubelet = containers.kubelet_of(call, pod)
    process = await kubelet.exec(at, argv, stdin=wanted.stdin, tty=wanted.tty)
    return await channels.serve(call.request, process, wanted)


async def attach(call: Call) -> web.StreamResponse:
    """Join the main process of a container of the pod."""
    wanted = replace(_wanted(call), is_told=False)
    pod, at = containers.find(call)
    channels.refuse_other_protocols(call.request)
    kubelet = containers.kubelet_of(call, pod)
    process = await kubelet.attach(at, stdin=wanted.stdin, tty=wanted.tty)
    return await channels.serve(call.request, process, wanted)


def _wanted(call: Call) -> StreamOptions:
    tty = call.flag("tty")
    wanted = StreamOptions(
        stdin=call.flag("stdin"),
        stdout=call.flag("stdout"),
        stderr=call.flag("stderr") and not tty,  # a terminal has one output
        tty=tty,
    )
    if not (wanted.stdin or wanted.stdout or wanted.stderr):
        raise BadRequest("you must specify at least 1 of stdin, stdout, stderr")
    return wanted
