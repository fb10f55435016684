"""Examples:

    sudo netlab forward 30642:worker001
    sudo netlab forward 8080:master001:30642 8443:worker001:30643

Listens on 127.0.0.1 of this machine and passes on what comes to a node's port, from where the lab's
client stands: as if you sat outside of the cluster. Nothing of this machine is changed, and it ends
with Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import NetlabError, UsageError
from netlab.objects.addresses import join_host_port
from netlab.objects.lab import Lab

_FORM = "LOCAL:NODE[:PORT]"
_CONNECT_SECONDS = 10.0


class Forward(Struct, frozen=True):
    """One port of this machine, and where it leads to."""

    local: int
    node: str
    port: int
    address: str

    def __str__(self) -> str:
        there = join_host_port(self.address, self.port)
        return f"127.0.0.1:{self.local} -> {self.node} ({there})"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which ports, to where."""
    parser.add_argument(
        "forwards",
        metavar=_FORM,
        nargs="+",
        help="a port here (0: any) and a node's",
    )


def run(arguments: argparse.Namespace) -> int:
    """Forward until somebody ends it."""
    from netlab import inventory
    from netlab import lab as labs
    from netlab.kernel import paths
    from netlab.network import plan

    asked = [_parsed(text) for text in arguments.forwards]
    labs.need_root("forward")
    directory = inventory.running(arguments.lab)
    lab = inventory.read_machines(directory)
    forwards = [_placed(lab, *one) for one in asked]
    clients = lab.external.clients
    outside = plan.node_name(lab, clients[0].name) if clients else plan.internet_name(lab)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(forwards, paths.namespace(directory, outside)))
    return 0


def _parsed(text: str) -> tuple[int, str, int]:
    """`8080:worker001:30642` → its parts; `30642:worker001` has the same port twice."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not parts[1]:
        raise UsageError(f'"{text}" is not {_FORM}', hint="such as 30642:worker001")
    local, port = _port(parts[0], text), _port(parts[-1] if len(parts) == 3 else parts[0], text)
    if port == 0:
        raise UsageError(f'"{text}" does not say to which port', hint="such as 0:worker001:30642")
    return local, parts[1], port


def _port(word: str, text: str) -> int:
    if not (word.isascii() and word.isdigit() and int(word) < 65536):
        raise UsageError(f'"{text}": "{word}" is no port', hint=f"{_FORM}, ports up to 65535")
    return int(word)


def _placed(lab: Lab, local: int, name: str, port: int) -> Forward:
    node = lab.node(name)
    if node is None:
        known = ", ".join(each.name for each in lab.nodes)
        raise NetlabError(f'lab {lab.name} has no node "{name}"', hint=f"its nodes: {known}")
    return Forward(local, name, port, (node.external_ips + node.internal_ips)[0])


# -- at work -------------------------------------------------------------------------------


async def _serve(forwards: list[Forward], outside: Path) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    servers = [await _listening(forward, outside) for forward in forwards]
    await ended.wait()
    for server in servers:
        server.close()


async def _listening(forward: Forward, outside: Path) -> asyncio.Server:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _pass_on(forward, outside, reader, writer)

    try:
        server = await asyncio.start_server(connected, "127.0.0.1", forward.local)
    except OSError as error:
        raise NetlabError(
            f"cannot listen on 127.0.0.1:{forward.local}: {os.strerror(error.errno or 0)}",
            hint=f"another port: netlab forward 0:{forward.node}:{forward.port}",
        ) from None
    port: int = server.sockets[0].getsockname()[1]
    print(f"Forwarding from {replace(forward, local=port)}", flush=True)
    return server


async def _pass_on(
    forward: Forward, outside: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            theirs = await _connected(forward, outside)
    except (OSError, NetlabError) as error:  # a TimeoutError is an OSError
        code = error.errno if isinstance(error, OSError) else None
        sys.stderr.write(f"{forward}: {os.strerror(code) if code else error or 'no answer'}\n")
        writer.transport.abort()
        return
    their_reader, their_writer = await asyncio.open_connection(sock=theirs)
    try:
        await asyncio.gather(_copy(reader, their_writer), _copy(their_reader, writer))
    except OSError:  # one of the two has broken off
        writer.transport.abort()
        their_writer.transport.abort()
    finally:
        writer.close()
        their_writer.close()


async def _connected(forward: Forward, outside: Path) -> socket.socket:
    """A connection made in the lab: a socket is of the namespace that it was made in."""
    from netlab.kernel import netns

    family = socket.AF_INET6 if ":" in forward.address else socket.AF_INET
    with netns.entered(outside):
        sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, (forward.address, forward.port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What comes, to its end, which is passed on as well."""
    while chunk := await reader.read(65536):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
