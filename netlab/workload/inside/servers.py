"""agnhost's small servers: names, ports, files, git, liveness, forwarded ports."""

from __future__ import annotations

import contextlib
import html
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from netlab.workload.http1 import Request, address
from netlab.workload.inside import flags, sctp, sctp_packets, web
from netlab.workload.inside.web import Answer, in_background, log


def serve_hostname(words: Sequence[str]) -> None:
    """Say the host's name by HTTP, TCP or UDP; after SIGTERM, for a minute more."""
    defaults = {"tcp": False, "udp": False, "http": True, "close": False, "port": 9376}
    given, _ = flags.parse(words, defaults)
    if given["http"] and (given["tcp"] or given["udp"]):
        log("Can't server TCP/UDP mode and HTTP mode at the same time")
        sys.exit(1)
    port, name = given["port"], socket.gethostname()
    headers = {"Connection": "close"} if given["close"] else None

    def answer(request: Request) -> Answer:
        log(f"HTTP request from {address(request.client)}")
        return Answer(name, headers=headers)

    if given["tcp"]:
        in_background(greet, web.listening(port), name.encode())
    if given["udp"]:
        in_background(echo_text, web.listening(port, kind=socket.SOCK_DGRAM), name.encode())
    if given["http"]:
        in_background(web.Server(web.listening(port), answer).run)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    log(f"Serving on port {port}.\n")  # from then on it may be told to end
    ended.wait()
    log("Shutting down after receiving signal: terminated.\n")
    log("Awaiting pod deletion.\n")
    time.sleep(60)


def porter(words: Sequence[str]) -> None:
    """Serve what variables like `SERVE_PORT_80` and `SERVE_TLS_PORT_443` hold."""
    given, _ = flags.parse(words, {"json-response": False})

    def saying(value: str) -> web.Handler:
        def answer(request: Request) -> Answer:
            if not given["json-response"]:
                return Answer(value)
            found = json.dumps({"Method": request.method, "Body": value}, separators=(",", ":"))
            return Answer(found, headers={"Content-Type": "application/json"})

        return answer

    for name, value in os.environ.items():
        kind, _, port = name.rpartition("_")
        if not port.isdigit():
            continue
        if kind in ("SERVE_PORT", "SERVE_TCP_PORT"):
            in_background(web.Server(web.listening(int(port)), saying(value)).run)
        elif kind == "SERVE_TLS_PORT":
            from netlab.workload.inside import tls

            files = [os.environ.get("CERT_FILE") or "/localhost.crt"]
            files += [os.environ.get("KEY_FILE") or "/localhost.key"]
            server = web.Server(web.listening(int(port)), saying(value), tls.server(*files))
            in_background(server.run)
        elif kind == "SERVE_UDP_PORT":
            opened = web.listening(int(port), kind=socket.SOCK_DGRAM)
            in_background(echo_text, opened, value.encode())
        elif kind == "SERVE_SCTP_PORT" and sctp.is_there():
            in_background(greet, sctp.listening(int(port)), value.encode())
    log("listening on all ports")
    threading.Event().wait()


def greet(opened: socket.socket | sctp_packets.Listener, text: bytes) -> None:
    """Say something to everybody who connects; who has gone keeps nobody waiting."""

    def say(connection: socket.socket | sctp_packets.Association) -> None:
        with contextlib.suppress(OSError), connection:
            connection.sendall(text)

    while True:
        with contextlib.suppress(OSError):
            in_background(say, opened.accept()[0])


def echo_text(opened: socket.socket, text: bytes) -> None:
    """Answer every datagram so."""
    while True:
        with contextlib.suppress(OSError):
            opened.sendto(text, opened.recvfrom(2048)[1])


def test_webserver(words: Sequence[str]) -> None:
    """Serve all files that there are."""
    given, _ = flags.parse(words, {"port": 80})
    web.serve(given["port"], lambda request: _of_path(request.path))


def _of_path(path: str) -> Answer:
    place = Path("/" + "/".join(part for part in path.split("/") if part not in ("", ".", "..")))
    try:
        if place.is_dir():
            return _listed(place)
        with place.open("rb") as file:
            return Answer(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return web.error("404 page not found", 404)
    except PermissionError:
        return web.error("403 Forbidden", 403)
    except OSError as problem:
        return web.error(f"500 Internal Server Error: {problem.strerror}", 500)


def _listed(place: Path) -> Answer:
    index = place / "index.html"
    if index.is_file():
        return Answer(index.read_bytes(), headers={"Content-Type": "text/html; charset=utf-8"})
    names = sorted(entry.name + "/" * entry.is_dir() for entry in place.iterdir())
    lines = "".join(f'<a href="{quote(name)}">{html.escape(name)}</a>\n' for name in names)
    page = f'<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n{lines}'
    return Answer(page + "</pre>\n", headers={"Content-Type": "text/html; charset=utf-8"})


def fake_gitserver(words: Sequence[str]) -> None:
    """What `git clone` takes for an empty repository."""
    flags.parse(words, {})

    def refs(_: Request) -> Answer:
        kind = "application/x-git-upload-pack-advertisement"
        return Answer("001e# service=git-upload-pack\n0000", headers={"Content-Type": kind})

    def answer(request: Request) -> Answer:
        if request.path.endswith("/info/refs"):
            return refs(request)
        return Answer("I am a fake git server")

    web.serve(8000, answer)


def liveness(words: Sequence[str]) -> None:
    """Be well for ten seconds, and not thereafter."""
    flags.parse(words, {})
    began = time.monotonic()

    def healthz(_: Request) -> Answer:
        passed = time.monotonic() - began
        if passed > 10:
            return Answer(f"error: {passed:g}s", 500)
        return Answer("ok")

    routes = {
        "/started": lambda _: Answer(f"{time.monotonic() - began:g}s"),
        "/healthz": healthz,
        "/redirect": _to_location,
    }
    web.serve(8080, web.routed(routes))


def _to_location(request: Request) -> Answer:
    place = web.fields(request).get("loc", "")
    return Answer(f'<a href="{html.escape(place)}">Found</a>.\n\n', 302, {"Location": place})


def port_forward_tester(words: Sequence[str]) -> None:
    """Expect something of one client, send it chunks, and end."""
    flags.parse(words, {})
    host = os.environ.get("BIND_ADDRESS") or "localhost"
    chunks, size, pause = (
        int(os.environ.get(name) or 0) for name in ("CHUNKS", "CHUNK_SIZE", "CHUNK_INTERVAL")
    )
    wanted = os.environ.get("EXPECTED_CLIENT_DATA", "").encode()
    place = "127.0.0.1" if host == "localhost" else host
    with web.listening(int(os.environ.get("BIND_PORT") or 0), place) as opened:
        connection, _ = opened.accept()
        say("Accepted client connection")
        if wanted:
            _expect(connection, wanted)
        for number in range(chunks):
            connection.sendall(b"x" * size)
            if number + 1 < chunks:
                time.sleep(pause / 1000)
        say("Shutting down connection")
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.5)
        connection.close()
    say("Done")


def _expect(connection: socket.socket, wanted: bytes) -> None:
    received = connection.recv(len(wanted))
    if len(received) != len(wanted):
        say(f"Expected to read {len(wanted)} bytes from client, but got {len(received)} instead.")
        sys.exit(2)
    if received != wanted:
        say(f"Expect to read {wanted!r}, but got {received!r}.")
        sys.exit(3)
    say("Received expected client data")


def tcp_reset(words: Sequence[str]) -> None:
    """Take one byte of each connection, and reset it."""
    given, _ = flags.parse(words, {"port": 8080})
    with web.listening(given["port"]) as opened:
        while True:
            with contextlib.suppress(OSError), opened.accept()[0] as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.recv(1)


def say(text: str) -> None:
    """A line on stdout, at once."""
    print(text, flush=True)
