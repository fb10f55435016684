"""A real nginx is told of new files again and again: once it has taken over, nobody hears of old
ones, whether it was busy with others, or had only just begun."""

from __future__ import annotations

import asyncio
import socket
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

import needs
import pytest

from netlab.ingress.program import NGINX
from netlab.ingress.render import STATUS_PORT
from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.workload.pod_program import RunningPodProgram

pytestmark = pytest.mark.root

PORT = 8080

PAGE = """
daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t;
    uwsgi_temp_path t; scgi_temp_path t;
    server {{
        listen 127.0.0.1:{status};
        listen 127.0.0.1:{port};
        return 200 "{text}";
    }}
}}
"""


def page(text: str) -> Mapping[str, str]:
    return {"nginx.conf": PAGE.format(status=STATUS_PORT, port=PORT, text=text)}


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    needs.program("nginx")
    place = tmp_path / "net"
    descriptor = netns.create(place)
    run(["ip", "link", "set", "lo", "up"], netns=place)
    try:
        yield place
    finally:
        netns.remove(place)
        del descriptor


@pytest.fixture
async def nginx(tmp_path: Path, place: Path) -> AsyncIterator[RunningPodProgram]:
    del place
    tmp_path.chmod(0o755)
    program = RunningPodProgram(NGINX, "p", ("127.0.0.1",), tmp_path / "own", uuid.uuid4().hex)
    try:
        yield program
    finally:
        await program.stop()


def ask(place: Path) -> str:
    with netns.entered(place), socket.create_connection(("127.0.0.1", PORT), 5) as sock:
        sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with sock.makefile("rb") as answer:
            return answer.read().rpartition(b"\r\n\r\n")[2].decode()


async def answers(place: Path) -> set[str]:
    return {await asyncio.to_thread(ask, place) for _ in range(10)}


async def test_what_it_is_told_when_it_has_only_just_begun(
    nginx: RunningPodProgram, place: Path
) -> None:
    for turn in range(5):
        await nginx.configure(page(f"before {turn}"), place)
        await nginx.start(place)
        await nginx.configure(page(f"after {turn}"))
        await nginx.reloaded()
        assert await answers(place) == {f"after {turn}"}
        await nginx.stop()


async def test_what_it_is_told_while_it_is_busy_with_something_else(
    nginx: RunningPodProgram, place: Path
) -> None:
    await nginx.configure(page("first"), place)
    await nginx.start(place)
    for turn in range(5):
        for number in range(4):
            await nginx.configure(page(f"{turn} {number}"))
            await asyncio.sleep(0.02 * number)
        await nginx.reloaded()
        assert await answers(place) == {f"{turn} 3"}


async def test_what_it_is_told_while_nobody_runs(nginx: RunningPodProgram, place: Path) -> None:
    await nginx.configure(page("first"), place)
    await nginx.reloaded()
    await nginx.start(place)
    assert await answers(place) == {"first"}
    assert not nginx.is_to_reload
