"""What clients get wrong: each mistake has its Status, and none of them a line in the log."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from typing import Any

import pytest
from aiohttp import web

from netlab.api import bodies

SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
POD = "/api/v1/namespaces/default/pods/web"
SCALE = "/apis/apps/v1/namespaces/default/deployments/web/scale"
CONFIGMAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


def create_pod(lab: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "nginx"}], "nodeName": "node1"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    lab.registry.create(pod)


def create_deployment(lab: Any) -> None:
    labels = {"app": "web"}
    pod = {"containers": [{"name": "c", "image": "nginx"}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    lab.registry.create(
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": labels}, "template": template},
        }
    )


async def said(lab: Any, sent: bytes) -> bytes:
    """What the server answers to bytes, until it closes the connection."""
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), 5)
    finally:
        writer.close()


# -- HTTP ----------------------------------------------------------------------------------


async def test_a_path_with_a_line_break_is_not_found(lab: Any) -> None:
    raw = await said(lab, b"GET /api/v1/pods/%0A HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 404 ")
    assert json.loads(body)["reason"] == "NotFound"


async def test_a_compressed_body_is_taken_as_it_is(lab: Any) -> None:
    """kube-apiserver knows no Content-Encoding of requests; so there is nothing to blow up."""
    for body in (gzip.compress(b" " * 10_000_000), b"no gzip at all"):
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        url = f"http://lab{SERVICES}"
        async with lab.http.post(url, data=body, headers=headers) as answer:
            assert answer.status == 400
            assert (await answer.json())["reason"] == "BadRequest"


_CHUNKED = (
    b"POST /api/v1/namespaces HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


@pytest.mark.parametrize(
    "sent",
    [
        _CHUNKED + b"zz\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\n\r\nGET /api HTTP/9\r\n\r\n",
        b"GET /api HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 10_000 + b"\r\n\r\n",
        b"GET /" + b"a" * (1 << 20) + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_and_not_logged(
    lab: Any, caplog: Any, sent: bytes
) -> None:
    assert b"HTTP/1.1 400 " in await said(lab, sent) or b"HTTP/1.0 400 " in await said(lab, sent)
    assert (await lab.ask("GET", "/healthz")).code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("begun", [b"5\r\nhe", b"2\r\n{}\r\nzz\r\n"])
async def test_a_body_that_does_not_end_is_waited_for_so_long(
    lab: Any, monkeypatch: Any, begun: bytes
) -> None:
    reads = asyncio.Event()

    async def read(request: web.Request, *limit: int) -> bytes:
        reads.set()
        return await bodies_read(request, *limit)

    bodies_read = bodies.read
    monkeypatch.setattr(bodies, "_READ_SECONDS", 0.1)
    monkeypatch.setattr(bodies, "read", read)
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    writer.write(_CHUNKED)
    await asyncio.wait_for(reads.wait(), 5)  # it has parsed what came, and no more
    writer.write(begun)
    answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 504 ")
    assert (await lab.ask("GET", "/healthz")).code == 200


async def test_junk_after_an_upgrade_is_not_logged(lab: Any, caplog: Any) -> None:
    upgrade = (
        f"POST {POD}/exec?command=cat&stdin=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
        "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n"
    )
    create_pod(lab)
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    writer.write(upgrade.encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.write(b"x" * 100)
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    assert lab.streams.processes[0].killed
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# -- bodies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"!!int ''", b"!!float ''", b"!!bool x", b"!!timestamp x", b"a: .nan", b"a: .inf",
        b"!!set {a}", b"[" * 5000,
    ],
)  # fmt: skip
async def test_yaml_that_is_no_object(lab: Any, body: bytes) -> None:
    answer = await lab.ask("POST", CONFIGMAPS, body, content_type="application/yaml")
    assert (answer.code, answer.json["reason"]) == (400, "BadRequest")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "9" * 5000])
async def test_numbers_that_are_none(lab: Any, number: str) -> None:
    body = f'{{"spec": {{"x": {number}}}}}'.encode()
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"  # answers what it is sent
    for asked in (path, CONFIGMAPS):
        assert (await lab.ask("POST", asked, body)).code == 400


async def test_half_a_surrogate_pair_becomes_the_replacement_character(lab: Any) -> None:
    body = json.dumps({**CONFIGMAP, "data": {"a": "\ud800x", "b": "\U0001f600"}}).encode()
    made = await lab.ask("POST", CONFIGMAPS, body)
    assert (made.code, made.json["data"]) == (201, {"a": "\ufffdx", "b": "\U0001f600"})


# -- subresources --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", f"{POD}/binding", {"target": ["node1"]}),
        ("POST", f"{POD}/binding", {"target": "node1"}),
        ("POST", f"{POD}/eviction", {"deleteOptions": ["x"]}),
        ("POST", f"{POD}/eviction", {"deleteOptions": {"gracePeriodSeconds": "x"}}),
        ("POST", f"{POD}/eviction", {"deleteOptions": {"gracePeriodSeconds": -1}}),
        ("POST", f"{POD}/eviction", {"deleteOptions": {"preconditions": ["x"]}}),
        ("POST", f"{POD}/eviction", {"deleteOptions": {"dryRun": "All"}}),
        ("PUT", SCALE, {"spec": ["x"]}),
        ("PUT", SCALE, {"spec": {"replicas": "x"}}),
    ],
)
async def test_envelopes_that_make_no_sense(
    lab: Any, method: str, path: str, body: dict[str, Any]
) -> None:
    create_pod(lab)
    create_deployment(lab)
    answer = await lab.ask(method, path, body)
    assert (answer.code, answer.json["reason"]) == (400, "BadRequest")


# -- queries -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (CONFIGMAPS, {"watch": "1", "timeoutSeconds": "soon"}),
        (f"{POD}/log", {"limitBytes": "few"}),
        (f"{POD}/log", {"limitBytes": "0"}),
    ],
)
async def test_streams_refuse_before_they_begin(lab: Any, path: str, query: dict[str, str]) -> None:
    create_pod(lab)
    assert (await lab.ask("GET", path, **query)).code == 400


# -- warnings ------------------------------------------------------------------------------


async def test_warnings_hold_what_a_header_can_hold(lab: Any) -> None:
    made = await lab.ask("POST", CONFIGMAPS, {**CONFIGMAP, "a\r\nX: y\x00": 1})
    assert (made.code, made.headers.getall("Warning")) == (
        201,
        [r'299 - "unknown field \"a  X: y \""'],
    )
    many = {**CONFIGMAP, "metadata": {"name": "b"}, **{f"{n}" * 300: 1 for n in range(100)}}
    made = await lab.ask("POST", CONFIGMAPS, many)
    assert made.code == 201
    assert len(made.headers.getall("Warning")) == 16
