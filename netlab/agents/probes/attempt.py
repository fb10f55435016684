"""One attempt of a probe or hook over the network: from the node, as the kubelet does it.

The socket is made in the node's namespace and belongs to it from then on; everything after that
is ordinary asyncio. Messages are those of Go's net and net/http, which `describe` shows.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path

from msgspec import Struct

from netlab.agents.probes.probe import HttpGet, TcpSocket, request
from netlab.errors import NetlabError
from netlab.kernel.netns import entered
from netlab.objects.addresses import join_host_port
from netlab.objects.fields import parse_address
from netlab.serving.tls import trusting_all

_LINE_LIMIT = 64 * 1024


class ProbeOutcome(Struct, frozen=True):
    """What came of an attempt; `message` says why it was not good."""

    good: bool
    message: str = ""


GOOD = ProbeOutcome(True)


class _NoSuchHost(NetlabError):
    """Of a host that is no address."""


async def tcp(netns: Path, wanted: TcpSocket, timeout: float) -> ProbeOutcome:
    """Connect, and close again."""
    try:
        async with asyncio.timeout(timeout):
            opened = await _connected(netns, wanted.host, wanted.port)
    except TimeoutError:
        return ProbeOutcome(False, f"{_dial(wanted.host, wanted.port)}: i/o timeout")
    except (OSError, NetlabError) as error:
        return ProbeOutcome(False, _refusal(wanted.host, wanted.port, error))
    opened.close()
    return GOOD


async def http(netns: Path, wanted: HttpGet, timeout: float) -> ProbeOutcome:
    """Ask, and judge by the status."""
    try:
        async with asyncio.timeout(timeout):
            status = await _status(netns, wanted)
    except TimeoutError:
        return ProbeOutcome(
            False,
            f'Get "{wanted.url}": context deadline exceeded '
            "(Client.Timeout exceeded while awaiting headers)",
        )
    except (ValueError, EOFError):
        return ProbeOutcome(False, f'Get "{wanted.url}": malformed HTTP response')
    except (OSError, NetlabError) as error:
        return ProbeOutcome(
            False, f'Get "{wanted.url}": {_refusal(wanted.host, wanted.port, error)}'
        )
    if 200 <= status < 400:
        return GOOD
    return ProbeOutcome(False, f"HTTP probe failed with statuscode: {status}")


async def _status(netns: Path, wanted: HttpGet) -> int:
    opened = await _connected(netns, wanted.host, wanted.port)
    try:
        reader, writer = await asyncio.open_connection(
            sock=opened,
            limit=_LINE_LIMIT,
            ssl=trusting_all() if wanted.tls else None,
            server_hostname=wanted.host if wanted.tls else None,
        )
    except BaseException:
        opened.close()
        raise
    try:
        writer.write(request(wanted))
        line = await reader.readuntil(b"\n")
        return int(line.split(None, 2)[1])
    except IndexError as error:
        raise ValueError("no status line") from error
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _connected(netns: Path, host: str, port: int) -> socket.socket:
    """Only to an address: a name would be looked up on the machine's own network."""
    address = parse_address(host)
    if address is None:
        raise _NoSuchHost(f"dial tcp: lookup {host}: no such host")
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    with entered(netns):
        opened = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        await asyncio.get_running_loop().sock_connect(opened, (str(address), port))
    except BaseException:
        opened.close()
        raise
    return opened


def _dial(host: str, port: int) -> str:
    return f"dial tcp {join_host_port(host, port)}"


def _refusal(host: str, port: int, error: OSError | NetlabError) -> str:
    if isinstance(error, _NoSuchHost):
        return error.message
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else error.message
    return f"{_dial(host, port)}: connect: {reason[:1].lower()}{reason[1:]}"
