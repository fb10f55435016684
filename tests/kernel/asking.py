"""HTTP from within the namespace of a lab's pods."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
from typing import Any
from urllib.parse import urlencode

from kernel.sandboxes import Lab

from netlab.kernel import netns


def connected(lab: Lab, port: int, kind: int = socket.SOCK_STREAM) -> socket.socket:
    with netns.entered(lab.netns):
        client = socket.socket(socket.AF_INET, kind)
    client.settimeout(5)
    client.connect(("127.0.0.1", port))
    return client


def connection(lab: Lab, port: int) -> http.client.HTTPConnection:
    client = http.client.HTTPConnection("127.0.0.1")
    client.sock = connected(lab, port)
    return client


async def get(
    lab: Lab, at: int, path: str, method: str = "GET", sent: bytes | None = None, **query: Any
) -> tuple[int, str, dict[str, str]]:
    """Status, body and headers."""
    target = path + ("?" + urlencode(query) if query else "")

    def ask() -> tuple[int, str, dict[str, str]]:
        with contextlib.closing(connection(lab, at)) as client:
            client.request(method, target, sent)
            with client.getresponse() as answer:
                return answer.status, answer.read().decode(), dict(answer.getheaders())

    return await asyncio.to_thread(ask)


async def raw(lab: Lab, port: int, data: bytes) -> bytes:
    """What comes in answer to some bytes, until the other side closes."""

    def ask() -> bytes:
        with connected(lab, port) as client:
            client.sendall(data)
            return b"".join(iter(lambda: client.recv(4096), b""))

    return await asyncio.to_thread(ask)
