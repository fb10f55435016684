"""A real connection with a first sequence number that was chosen, and its answer, in bounds."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.pathcheck.calls import Caller, Exchange, PlainText, http_request
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.packets import ProbePacket

pytestmark = pytest.mark.root


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "here"
    os.close(netns.create(path))
    run(["ip", "link", "set", "lo", "up"], netns=path)
    yield path
    netns.remove(path)


@pytest.fixture
def server(sandbox: Path) -> Iterator[socket.socket]:
    with netns.entered(sandbox):
        listening = socket.create_server(("127.0.0.1", 8080))
    with listening:
        yield listening


def asked(
    sandbox: Path, server: socket.socket, answer: bytes, question: object
) -> tuple[Exchange, bytes]:
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            heard.append(connection.recv(4096))
            connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    probe = ProbePacket(0xFEDC0001, "tcp", "127.0.0.1", 12345, "127.0.0.1", 8080, 0)
    with Capture({"here": sandbox}) as capture, Caller(question) as caller:
        assert caller.send(sandbox, probe) == ""
        exchange = caller.exchange()
        thread.join()
        assert probe.key in {one.packet.key for one in capture.collect(1.0)}
    return exchange, heard[0]


def test_its_first_packet_is_the_probe(sandbox: Path, server: socket.socket) -> None:
    request = http_request("/a?b", "shop.example.org")
    page = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nServer: me\r\n\r\n\n  hello \x1b[31m\nmore"
    exchange, heard = asked(sandbox, server, page, request)
    assert heard.startswith(b"GET /a?b HTTP/1.1\r\nHost: shop.example.org\r\n")
    assert f"X-Request-ID: {request.ident}\r\n".encode() in heard
    assert (exchange.status, exchange.code) == ("HTTP/1.1 302 Found", 302)
    assert (exchange.location, exchange.server, exchange.said) == ("/x", "me", "hello \x1b[31m")
    assert exchange.error == ""


def test_what_speaks_no_http_is_said(sandbox: Path, server: socket.socket) -> None:
    exchange, _ = asked(sandbox, server, b"220 mail\r\n", http_request("/"))
    assert (exchange.error, exchange.said) == ("it does not speak HTTP", "220 mail")


def test_an_endless_answer_is_bounded(sandbox: Path, server: socket.socket) -> None:
    head = b"HTTP/1.1 200 OK\r\n\r\n"
    exchange, _ = asked(sandbox, server, head + b"x" * (1 << 20), http_request("/"))
    assert len(exchange.said) == 200
    assert exchange.size <= (1 << 20) + (16 << 10)


def test_words(sandbox: Path, server: socket.socket) -> None:
    exchange, heard = asked(sandbox, server, b"BYE", PlainText("HELLO"))
    assert (heard, exchange.said, exchange.size) == (b"HELLO\n", "BYE", 3)


def test_nobody_there(sandbox: Path) -> None:
    probe = ProbePacket(7, "tcp", "127.0.0.1", 12345, "127.0.0.1", 9, 0)
    with Caller(http_request("/")) as caller:
        assert caller.send(sandbox, probe) == ""
        assert caller.exchange().error == "connection refused"
