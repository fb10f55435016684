"""`proxy` of pods, services and nodes, against servers that say what they were asked."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

pytestmark = pytest.mark.parametrize("far", [False, True], ids=["near", "far"])

DEFAULT = "/api/v1/namespaces/default"
POD, SERVICE = f"{DEFAULT}/pods/web", f"{DEFAULT}/services/web"
IP = "10.244.1.2"


async def read_head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
    return first, dict(line.split(": ", 1) for line in lines)


async def read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if "Transfer-Encoding" not in headers:
        return await reader.readexactly(int(headers.get("Content-Length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return body


async def mirror(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the request, in chunks."""
    first, headers = await read_head(reader)
    body = (await read_body(reader, headers)).decode()
    said = json.dumps({"first": first, "headers": headers, "body": body}).encode()
    writer.write(b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\nX-Own: a\r\nX-Own: b\r\n")
    writer.write(b"Access-Control-Allow-Origin: *\r\nKeep-Alive: 5\r\n\r\n")
    if not first.startswith("HEAD"):
        for piece in (said[:9], said[9:]):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        writer.write(b"0\r\n\r\n")
    writer.close()


def saying(answer: bytes) -> Callable[..., Any]:
    """A server with one answer to everything."""

    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return server


def page(body: bytes, *headers: bytes) -> Callable[..., Any]:
    head = [b"HTTP/1.1 200 OK", b"Content-Type: text/html; charset=utf-8", *headers]
    head.append(b"Content-Length: %d" % len(body))
    return saying(b"\r\n".join([*head, b"", body]))


def create(lab: Any, status: dict[str, Any] | None = None) -> None:
    """A pod with an address, a Service before it, and the endpoints of that."""
    port = {"name": "http", "containerPort": 8080}
    spec = {"containers": [{"name": "c", "image": "nginx", "ports": [port]}], "nodeName": "node1"}
    pod = lab.registry.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
    )
    found = status or {"phase": "Running", "podIP": IP, "podIPs": [{"ip": IP}]}
    lab.registry.update({**pod, "status": found}, subresource="status")
    ports = [{"name": "http", "port": 80}, {"name": "tls", "port": 443}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    lab.registry.create({**service, "spec": {"ports": ports}})
    endpoints(
        lab, [{"ip": IP, "targetRef": {"kind": "Pod", "name": "web", "namespace": "default"}}]
    )


def endpoints(lab: Any, addresses: list[dict[str, Any]]) -> None:
    subset = {"addresses": addresses, "ports": [{"name": "http", "port": 8080}]}
    obj = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "web"}}
    lab.registry.create({**obj, "subsets": [subset]})


@pytest.mark.parametrize(
    "path",
    [f"{POD}/proxy", f"{POD}:8080/proxy", f"{DEFAULT}/pods/http:web:8080/proxy",
     f"{SERVICE}:http/proxy", f"{SERVICE}:80/proxy", f"{DEFAULT}/services/http:web:80/proxy"],
)  # fmt: skip
async def test_a_name_leads_to_the_pod(lab: Any, path: str) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = mirror
    answer = await lab.ask("GET", f"{path}/a/b?x=1&y=%20%0D%0A", accept="text/html")
    assert answer.code == 201
    assert answer.json["first"] == "GET /a/b?x=1&y=%20%0D%0A HTTP/1.1"
    assert answer.json["headers"]["Accept"] == "text/html"
    assert answer.json["headers"]["X-Forwarded-Uri"] == f"{path}/a/b"
    assert answer.headers.getall("X-Own") == ["a", "b"]
    assert not {"Access-Control-Allow-Origin", "Keep-Alive"} & set(answer.headers)


@pytest.mark.parametrize("method", ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"])
@pytest.mark.parametrize("path", [f"{POD}/proxy", f"{SERVICE}:http/proxy"])
async def test_every_method_passes_with_its_body(lab: Any, path: str, method: str) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = mirror
    body = None if method in ("GET", "HEAD") else b"x" * 70_000
    answer = await lab.ask(method, f"{path}/some/path", body, content_type="text/odd")
    assert answer.code == 201
    if method != "HEAD":
        assert answer.json["first"] == f"{method} /some/path HTTP/1.1"
        assert answer.json["body"] == (body or b"").decode()


async def test_the_root_is_below_the_proxy(lab: Any) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = mirror
    url = f"http://lab{POD}/proxy?method=x"
    async with lab.http.get(url, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (301, f"{POD}/proxy/?method=x")
    assert (await lab.ask("POST", f"{POD}/proxy?x=1")).json["first"] == "POST /?x=1 HTTP/1.1"
    assert (await lab.ask("GET", f"{POD}/proxy/")).json["first"] == "GET / HTTP/1.1"
    climbing = await lab.ask("GET", f"{POD}/proxy/a%2F..%2f..%2f..//c%20d%0A/")
    assert climbing.json["first"] == "GET /c%20d%0A/ HTTP/1.1"


async def test_what_is_for_the_api_server_alone_goes_no_further(lab: Any) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = mirror
    headers = {
        "Authorization": "Bearer x",
        "Impersonate-User": "netlab-admin",
        "Impersonate-Group": "system:masters",
        "X-Remote-User": "me",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "Cookie": "own=1",
    }
    async with lab.http.get(f"http://lab{POD}/proxy/", headers=headers) as answer:
        seen = {name.lower() for name in json.loads(await answer.read())["headers"]}
    assert "cookie" in seen
    assert not [name for name in seen if name.startswith(("auth", "imp", "x-remote", "x-hop"))]


async def test_redirects_are_told_not_followed(lab: Any) -> None:
    create(lab)
    for where, told in (
        ("/else?x=1", f"{POD}/proxy/else?x=1"),
        (f"http://{IP}:8080/a/", f"{POD}/proxy/a/"),
        ("http://169.254.169.254/", "http://169.254.169.254/"),
        ("relative", "relative"),
        (f"{POD}/proxy/done", f"{POD}/proxy/done"),
    ):
        head = f"HTTP/1.1 302 Found\r\nLocation: {where}\r\nContent-Length: 0\r\n\r\n"
        lab.streams.servers[IP, 8080] = saying(head.encode())
        async with lab.http.get(f"http://lab{POD}/proxy/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, told)


async def test_pages_lead_through_the_proxy(lab: Any) -> None:
    create(lab)
    link, through = b'<a href="/rewriteme">test</a>', f'<a href="{POD}/proxy/rewriteme">test</a>'
    lab.streams.servers[IP, 8080] = page(link)
    assert (await lab.ask("GET", f"{POD}/proxy/")).raw == through.encode()
    lab.streams.servers[IP, 8080] = page(gzip.compress(link), b"Content-Encoding: gzip")
    assert (await lab.ask("GET", f"{POD}/proxy/")).raw == through.encode()
    lab.streams.servers[IP, 8080] = page(b"not packed", b"Content-Encoding: br")
    async with lab.http.get(f"http://lab{POD}/proxy/", auto_decompress=False) as answer:
        assert await answer.read() == b"not packed"


async def test_a_page_that_is_too_long_passes_as_it_is(lab: Any) -> None:
    create(lab)
    body = b'<a href="/x">' + b"." * (5 * 1024 * 1024)
    lab.streams.servers[IP, 8080] = page(body)
    assert (await lab.ask("GET", f"{POD}/proxy/")).raw == body


async def test_an_upgrade_joins_both_ends(lab: Any) -> None:
    async def server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, headers = await read_head(reader)
        key = headers["Sec-WebSocket-Key"]
        digest = base64.b64encode(
            hashlib.sha1(key.encode() + aiohttp.http.WS_KEY).digest()
        ).decode()
        assert (first, headers["Connection"]) == ("GET /ws HTTP/1.1", "Upgrade")
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {digest}\r\n\r\n".encode()
        )
        writer.write(b"\x81\x02hi")  # an unmasked text frame
        assert (await reader.readexactly(2))[0] == 0x81
        writer.close()

    create(lab)
    lab.streams.servers[IP, 8080] = server
    async with lab.http.ws_connect(f"http://lab{POD}/proxy/ws") as socket:
        assert await socket.receive_str() == "hi"
        await socket.send_str("yes")
        assert (await socket.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_an_upgrade_that_is_refused(lab: Any) -> None:
    create(lab)
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket"}
    lab.streams.servers[IP, 8080] = saying(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
    async with lab.http.get(f"http://lab{POD}/proxy/", headers=upgrade) as answer:
        assert (answer.status, await answer.text()) == (403, "no")
    lab.streams.servers[IP, 8080] = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    async with lab.http.get(f"http://lab{POD}/proxy/", headers=upgrade) as answer:
        assert "invalid upgrade response: status code 200" in (await answer.json())["message"]


@pytest.mark.parametrize(
    ("path", "code", "message"),
    [
        (f"{POD}:9/proxy/", 503, "error trying to reach service: dial tcp 10.244.1.2:9: connect: "
         "connection refused"),
        (f"{POD}:http/proxy/", 503, "error trying to reach service: dial tcp: lookup tcp/http: "
         "unknown port"),
        (f"{DEFAULT}/pods/ftp:web:1/proxy/", 400, 'invalid pod request "ftp:web:1"'),
        (f"{DEFAULT}/pods/a:b:c:d/proxy/", 400, 'invalid pod request "a:b:c:d"'),
        (f"{DEFAULT}/pods/no/proxy/", 404, 'pods "no" not found'),
        (f"{SERVICE}/proxy/", 503, 'no endpoints available for service "web"'),
        (f"{SERVICE}:tls/proxy/", 503, 'no endpoints available for service "web"'),
        (f"{SERVICE}:81/proxy/", 503, 'no service port 81 found for service "web"'),
        (f"{DEFAULT}/services/no:http/proxy/", 404, 'endpoints "no" not found'),
        ("/api/v1/nodes/no/proxy/", 404, 'nodes "no" not found'),
        (f"{DEFAULT}/configmaps/x/proxy/", 404, "the server could not find the requested resource"),
    ],
)  # fmt: skip
async def test_what_leads_nowhere(lab: Any, path: str, code: int, message: str) -> None:
    create(lab)
    answer = await lab.ask("GET", path)
    assert (answer.code, answer.message) == (code, message)


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "0.0.0.0", "224.0.0.1"]
)
async def test_no_address_that_is_the_machines_own(lab: Any, ip: str) -> None:
    create(lab, {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]})
    lab.streams.servers[ip, 8080] = mirror
    answer = await lab.ask("GET", f"{POD}/proxy/")
    assert (answer.code, answer.message) == (400, "address not allowed")


async def test_only_endpoints_that_are_the_pods_they_name(lab: Any) -> None:
    create(lab)
    lab.registry.delete("Endpoints", "default", "web")
    target = {"kind": "Pod", "name": "web", "namespace": "default"}
    others = [{"ip": "10.244.1.9"}, {"ip": "10.244.1.9", "targetRef": target}]
    endpoints(lab, [*others, {"ip": IP, "targetRef": {**target, "namespace": "other"}}])
    lab.streams.servers[IP, 8080] = lab.streams.servers["10.244.1.9", 8080] = mirror
    answer = await lab.ask("GET", f"{SERVICE}:http/proxy/")
    assert answer.message == 'no endpoints available for service "web"'


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x01b\r\n\r\n", b"HTTP/1.1 99 No\r\n\r\n", b"x" * 100_000,
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_no_http_is_said(lab: Any, answer: bytes) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = saying(answer)
    found = await lab.ask("GET", f"{POD}/proxy/")
    assert found.code == 503
    assert found.message.startswith("error trying to reach service: ")


async def test_lines_may_end_in_a_line_feed_alone(lab: Any) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = saying(b"HTTP/1.0 200 OK\nServer: nc\n\nhello")
    assert (await lab.ask("GET", f"{POD}/proxy/")).raw == b"hello"


async def test_an_answer_that_stops_short_is_broken_off(lab: Any) -> None:
    create(lab)
    lab.streams.servers[IP, 8080] = saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort")
    with pytest.raises(aiohttp.ClientPayloadError):
        await lab.ask("GET", f"{POD}/proxy/")


async def test_a_node_answers_as_its_kubelet(lab: Any) -> None:
    create(lab)
    nodes, address = "/api/v1/nodes", "10.10.0.2"
    spec = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}
    addresses = [{"type": "InternalIP", "address": address}]
    lab.registry.create({**spec, "status": {"addresses": addresses}})
    for name in ("node1", "node1:10250", "https:node1:10250"):
        assert (await lab.ask("GET", f"{nodes}/{name}/proxy/healthz")).raw == b"ok"
        pods = (await lab.ask("GET", f"{nodes}/{name}/proxy/pods")).json["items"]
        assert [pod["metadata"]["name"] for pod in pods] == ["web"]
    assert b'<a href="pods/">' in (await lab.ask("GET", f"{nodes}/node1/proxy/logs/")).raw
    missing = await lab.ask("GET", f"{nodes}/node1/proxy/nothing")
    assert (missing.code, missing.raw) == (404, b"404 page not found\n")
    lab.streams.servers[address, 10256] = mirror
    assert (await lab.ask("GET", f"{nodes}/node1:10256/proxy/healthz")).code == 201
