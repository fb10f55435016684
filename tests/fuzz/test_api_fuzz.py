"""Whatever clients send, the HTTP server answers as kube-apiserver would, and goes on.

An ordinary run takes some 15 seconds. NETLAB_FUZZ=40 tries forty times as many examples:

    NETLAB_FUZZ=40 pytest tests/fuzz/test_api_fuzz.py
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from fuzz import wire
from fuzz.api_conversations import conversations
from fuzz.api_requests import Request, requests
from fuzz.nonsense import BODIES, LAB
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.api.conftest import Lab, running_lab
from yarl import URL

from netlab.api import protobuf
from netlab.objects import schema
from netlab.objects.kinds import KINDS
from netlab.objects.validation import validate
from netlab.serving.http import STREAMING

TIMES = int(os.environ.get("NETLAB_FUZZ", "1"))
LONG = 10.0
"""Seconds that no answer may take, on a machine however busy."""

REASONS = {
    400: {"BadRequest"},
    403: {"Forbidden"},
    404: {"NotFound"},
    405: {"MethodNotAllowed"},
    406: {"NotAcceptable"},
    409: {"AlreadyExists", "Conflict"},
    410: {"Expired", "Gone"},
    413: {"RequestEntityTooLarge"},
    415: {"UnsupportedMediaType"},
    422: {"Invalid"},
    500: {""},
    503: {"ServiceUnavailable"},  # what is proxied leads nowhere
}
"""What kube-apiserver says with each code (metav1.StatusReason)."""


def bounded(examples: int) -> settings:
    return settings(
        max_examples=examples * TIMES,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


@pytest.fixture
def played(tmp_path: Path) -> Callable[[Callable[[Lab], Awaitable[None]]], None]:
    """Plays a story with a server; afterwards nothing of it may be left, nor be wrong."""

    def play(story: Callable[[Lab], Awaitable[None]]) -> None:
        before = _descriptors()
        with _complaints() as complaints:
            asyncio.run(_whole(tmp_path, story))
        assert not complaints, "\n".join(complaints)
        assert _descriptors() == before

    return play


async def _whole(directory: Path, story: Callable[[Lab], Awaitable[None]]) -> None:
    async with running_lab(directory, LAB) as lab:
        _populate(lab)
        await story(lab)
        await _is_well(lab)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, left


def _populate(lab: Lab) -> None:
    """One object of every kind, and the pod runs."""
    for body in BODIES:
        lab.registry.create(body)
    running = {"spec": {"nodeName": "node1"}, "status": {"phase": "Running"}}
    for subresource in ("binding", "status"):
        lab.registry.patch("Pod", "default", "web", running, subresource=subresource)
    lab.streams.lines = [(1.0, "one"), (2.0, "two")]


async def _is_well(lab: Lab) -> None:
    """It still answers, forgets who has gone, and has stored nothing unsound."""
    async with asyncio.timeout(LONG):
        assert (await lab.ask("GET", "/api/v1/namespaces")).code == 200
        while lab.app[STREAMING]:
            await asyncio.sleep(0.001)
    assert all(process.is_over for process in lab.streams.processes)
    assert lab.streams.logs_open == 0
    for kind in KINDS:
        for obj in lab.registry.store.each(kind.kind):
            assert [*schema.check(obj), *validate(obj)] == [], obj


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """What is logged as an error or with a traceback."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.levelno >= logging.ERROR or record.exc_info:
                heard.append(self.format(record))

    ear = Ear()
    logging.getLogger().addHandler(ear)
    try:
        yield heard
    finally:
        logging.getLogger().removeHandler(ear)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


# -- well-formed HTTP ----------------------------------------------------------------------


@bounded(600)
@given(sent=st.lists(requests, min_size=1, max_size=6))
def test_nonsense_over_http_is_answered_as_kubernetes_does(
    played: Any, sent: list[Request]
) -> None:
    async def story(lab: Lab) -> None:
        for request in sent:
            async with asyncio.timeout(LONG), _answer(lab, request) as answer:
                await _check(request, answer)

    played(story)


@contextlib.asynccontextmanager
async def _answer(lab: Lab, request: Request) -> AsyncIterator[aiohttp.ClientResponse]:
    url = URL(f"http://lab{request.target}", encoded=True)
    async with lab.http.request(
        request.method,
        url,
        headers=request.headers,
        data=request.body or None,
        allow_redirects=False,
    ) as answer:
        yield answer


async def _check(request: Request, answer: aiohttp.ClientResponse) -> None:
    assert answer.status in (*range(501), 503), (request, answer)
    if answer.status in (204, 304) or request.method == "HEAD":
        return
    if answer.headers.get("Transfer-Encoding") == "chunked":
        await _check_stream(answer)
        return
    body = await answer.read()
    if answer.content_type == "text/plain" and "/proxy" in request.target:
        return  # as a kubelet says it
    if answer.content_type == "text/plain" and answer.status == 404:
        assert body == b"404 page not found\n", request  # as Go's server says of no API's path
        return
    if answer.content_type == "application/vnd.kubernetes.protobuf":
        assert body.startswith(b"k8s\0"), request  # what it says is held by the codec's own tests
    elif answer.status == 406 and request.target.startswith("/openapi/"):
        assert body == b"", request  # as kube-openapi says it
    elif answer.status >= 400:
        is_yaml = answer.content_type == "application/yaml"
        status = yaml.safe_load(body) if is_yaml else _strictly(body)
        _check_status(request, answer.status, status)
    elif answer.content_type == "application/json":
        assert isinstance(_strictly(body), dict), (request, body)


async def _check_stream(answer: aiohttp.ClientResponse) -> None:
    """A watch or a log, as far as it comes at once; leaving it is the client's right."""
    assert answer.status == 200, answer
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            async for line in answer.content:
                if answer.content_type == "application/json":
                    assert _strictly(line).keys() == {"type", "object"}, line


def _check_status(request: Request, code: int, status: Any) -> None:
    assert (status["kind"], status["apiVersion"]) == ("Status", "v1"), (request, status)
    assert (status["status"], status["code"]) == ("Failure", code), (request, status)
    assert status["reason"] in REASONS[code], (request, status)
    assert status["message"], (request, status)
    if code == 500:  # the one that an API server gives on purpose, for what is wrong in an apply
        assert status["message"].startswith("failed to create typed patch object ("), status


def _strictly(body: bytes) -> Any:
    """JSON as everybody reads it: UTF-8, without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON: {body!r}")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


# -- bytes that need not be HTTP -----------------------------------------------------------


ON_PURPOSE = b"field not declared in schema"
"""What an API server answers to an apply with the code 500."""


@bounded(200)
@given(sent=st.lists(conversations, min_size=1, max_size=4))
def test_bytes_that_are_hardly_http_hurt_nobody(played: Any, sent: list[list[bytes]]) -> None:
    async def story(lab: Lab) -> None:
        await asyncio.gather(*(_throw(lab, chunks) for chunks in sent))

    played(story)


async def _throw(lab: Lab, chunks: list[bytes]) -> None:
    """Send chunks with pauses, see what comes back at once, and break off."""
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    came = b""
    try:
        for chunk in chunks:
            writer.write(chunk)
            await asyncio.sleep(0.002)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.02):
                came = await reader.read(65536)
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    fine = came[9:].startswith((b"1", b"2", b"3", b"4", b"503")) or ON_PURPOSE in came
    assert came[:9] != b"HTTP/1.1 " or fine, (chunks, came)


# -- the grammar itself --------------------------------------------------------------------


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body["kind"])
def test_what_the_encoder_writes_is_what_the_server_reads(body: dict[str, Any]) -> None:
    assert protobuf.decode(wire.to_protobuf(body)) == body
