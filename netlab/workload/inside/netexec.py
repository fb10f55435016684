"""`agnhost netexec`: a web server that runs commands, dials others, and tells who asks."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab.workload.http1 import Request, address
from netlab.workload.inside import dialling, flags, sctp, sctp_packets, web
from netlab.workload.inside.web import Answer, in_background, log

_FLAGS = {
    "http-port": 8080, "udp-port": 8081, "sctp-port": -1, "tls-cert-file": "",
    "tls-private-key-file": "", "http-override": "", "udp-listen-addresses": "",
    "delay-shutdown": 0,
}  # fmt: skip

UPLOADS = Path("/uploads")


class NetExec:
    """One such server."""

    def __init__(self) -> None:
        self.hostname = socket.gethostname()
        self.is_ready = False
        self.is_ending = False
        self.server: web.Server | None = None
        self.routes: dict[str, web.Handler] = {
            "/": self._now,
            "/clientip": lambda request: Answer(address(request.client)),
            "/serverport": lambda request: Answer(str(request.local[1])),
            "/header": _header,
            "/dial": _dial,
            "/echo": _echo,
            "/exit": self._exit,
            "/healthz": lambda _: Answer(status=200 if self.is_ready else 412),
            "/readyz": self._readyz,
            "/hostname": lambda _: Answer(self.hostname),
            "/hostName": lambda _: Answer(self.hostname),
            "/redirect": _redirect,
            "/shell": _shell,
            "/upload": _upload,
            "/shutdown": lambda _: os._exit(0),
        }

    def handler(self, override: str) -> web.Handler:
        """Answers requests; with `override` all as if they were that one."""
        routed = web.routed(self.routes)

        def answer(request: Request) -> Answer:
            log(f"{request.method} {request.target}")
            if override:
                chosen = Request("GET", override, request.version)
                chosen.client, chosen.local = request.client, request.local
                return routed(chosen)
            return routed(request)

        return answer

    def end_later(self, seconds: int) -> None:
        """On SIGTERM: end, after so many seconds."""
        self.is_ending = True
        if not seconds:
            os._exit(0)
        log(f"Sleeping {seconds} seconds before terminating...")
        timer = threading.Timer(seconds, os._exit, [0])
        timer.daemon = True
        timer.start()

    def reply(self, received: bytes, client: tuple[str, int], port: int = 0) -> bytes | None:
        """What a datagram to `port`, or a message by SCTP, is answered with."""
        text = received.decode(errors="replace").strip().lower()
        if text == "hostname":
            return self.hostname.encode()
        if text.startswith("echo "):
            return text[5:].encode()
        if text == "clientip":
            return address(client).encode()
        if text == "serverport" and port:
            return str(port).encode()
        if text:
            log(f"Unknown command received from {address(client)}: {text!r}")
        return None

    def serve_datagrams(self, opened: socket.socket) -> None:
        """Answer datagrams for ever."""
        self.is_ready = True
        port = opened.getsockname()[1]
        while True:
            received, sender = opened.recvfrom(2048)
            answer = self.reply(received, web.plain(sender), port)
            if answer is not None:
                with contextlib.suppress(OSError):
                    opened.sendto(answer, sender)

    def serve_messages(self, opened: socket.socket | sctp_packets.Listener) -> None:
        """Answer a message of each association by SCTP; who has gone keeps nobody waiting."""
        self.is_ready = True
        while True:
            in_background(self._serve_association, opened.accept()[0])

    def _serve_association(self, connection: socket.socket | sctp_packets.Association) -> None:
        with connection, contextlib.suppress(OSError):
            answer = self.reply(connection.recv(1024), web.plain(connection.getpeername()))
            if answer is not None:
                connection.sendall(answer)

    def _now(self, _: Request) -> Answer:
        now = time.time()
        text = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
        return Answer(f"NOW: {text}.{int(now % 1 * 1e9):09} +0000 UTC m=+{time.monotonic():.9f}")

    def _readyz(self, _: Request) -> Answer:
        if self.is_ending:
            return Answer("shutting down", 503)
        return Answer("ok") if self.is_ready else Answer(status=412)

    def _exit(self, request: Request) -> Answer:
        given = web.fields(request)
        numbers = {}
        for name in ("timeout", "wait"):
            try:
                numbers[name] = flags.duration(given.get(name) or "0")
            except ValueError:
                return Answer(
                    f"argument '{name}' must be a valid golang duration or empty,"
                    f' got "{given[name]}"\n'
                )
        code = given.get("code") or "0"
        if not re.fullmatch(r"[+-]?\d+", code):
            return Answer(f"argument 'code' must be an integer [0-127] or empty, got \"{code}\"\n")
        log(f"Will begin shutdown in {numbers['wait']}s, then will exit with {code}")
        time.sleep(numbers["wait"])
        if not numbers["timeout"]:
            os._exit(int(code) & 0xFF)
        threading.Thread(target=self._shut, args=(numbers["timeout"], int(code))).start()
        return Answer()

    def _shut(self, seconds: float, code: int) -> None:
        if self.server is not None:
            self.server.shutdown(seconds)
        log("Graceful shutdown completed")
        os._exit(code & 0xFF)


def main(words: Sequence[str]) -> None:
    """Serve until SIGTERM."""
    given, _ = flags.parse(words, _FLAGS)
    program = NetExec()
    signal.signal(signal.SIGTERM, lambda *_: program.end_later(given["delay-shutdown"]))
    wrap = None
    if given["tls-cert-file"]:
        from netlab.workload.inside import tls

        wrap = tls.server(given["tls-cert-file"], given["tls-private-key-file"])
    opened = _bound("tcp", given["http-port"], "", socket.SOCK_STREAM)
    program.server = web.Server(opened, program.handler(given["http-override"]), wrap)
    _serve_others(program, given)
    log(f"Started HTTP server on port {given['http-port']}")
    program.server.run()
    threading.Event().wait()  # whoever shut it down ends the process


def _serve_others(program: NetExec, given: Mapping[str, Any]) -> None:
    """What is asked by UDP and SCTP. Nothing is said before all ports are there."""
    if given["udp-port"] != -1:
        for host in dict.fromkeys(given["udp-listen-addresses"].split(",")):
            opened = _bound("udp", given["udp-port"], host, socket.SOCK_DGRAM)
            in_background(program.serve_datagrams, opened)
    if given["sctp-port"] == -1:
        return
    if sctp.is_there():
        in_background(program.serve_messages, sctp.listening(given["sctp-port"]))
    else:
        log("no SCTP here, neither of the kernel nor by packets: nothing listens on that port")
        program.is_ready = True


def _bound(network: str, port: int, host: str, kind: int) -> socket.socket:
    try:
        return web.listening(port, host, kind)
    except OSError as problem:
        log(f"listen {network} {host}:{port}: bind: {(problem.strerror or '').lower()}")
        sys.exit(1)


def _header(request: Request) -> Answer:
    key = web.fields(request).get("key")
    if key:
        return Answer(request.header(key.lower()))
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if name.lower() != "host":
            found.setdefault("-".join(p.capitalize() for p in name.split("-")), []).append(value)
    return web.as_json(dict(sorted(found.items())))


def _echo(request: Request) -> Answer:
    given = web.fields(request)
    code = given.get("code") or "200"
    if not code.isdigit():
        return Answer(f"argument 'code' must be an integer or empty, got \"{code}\"\n")
    if not 100 <= int(code) <= 999:
        return web.error(f"invalid WriteHeader code {code}", 500)
    return Answer(given.get("msg", ""), int(code))


def _redirect(request: Request) -> Answer:
    given = web.fields(request)
    location, code = given.get("location", ""), given.get("code") or "302"
    if not code.isdigit() or not 100 <= int(code) <= 999:
        return Answer(f"argument 'code' must be an integer or empty, got \"{code}\"\n")
    if not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|/", location):
        location = request.path.rpartition("/")[0] + "/" + location
    page = f'<a href="{location}">{"Found" if code == "302" else "Redirect"}</a>.\n\n'
    body = page if request.method == "GET" else ""
    headers = {"Location": location, "Content-Type": "text/html; charset=utf-8"}
    return Answer(body, int(code), headers)


def _dial(request: Request) -> Answer:
    given = web.fields(request)
    tries = given.get("tries") or "1"
    if not re.fullmatch(r"[+-]?\d+", tries):
        problem = f'strconv.Atoi: parsing "{tries}": invalid syntax'
        return web.error(f"tries parameter is invalid. {problem}", 400)
    asked = given.get("request", "")
    if not asked:
        return web.error("request parameter not specified. <nil>", 400)
    protocol = given.get("protocol", "").lower()
    dial = {"": dialling.http, "http": dialling.http, "udp": _dial_udp, "sctp": _dial_sctp}
    if protocol not in dial:
        return web.error(f"unsupported protocol. {given['protocol']}", 400)
    try:
        port = dialling.port_number(given.get("port", ""))
        place = dialling.resolved(given.get("host", ""), port)
    except (OSError, ValueError) as problem:
        return web.error(f"host and/or port param are invalid. {problem}", 400)
    responses, errors, last = [], [], ""
    for _ in range(int(tries)):
        try:
            last = dial[protocol](*place, asked)
            responses.append(last)
        except OSError as problem:
            last = ""
            errors.append(str(problem))
    output = {"responses": responses} if last else {}
    return web.as_json({**({"errors": errors} if errors else {}), **output})


def _dial_udp(host: str, port: int, asked: str) -> str:
    try:
        answer = dialling.datagram(host, port, asked)
    except TimeoutError:
        where = address((host, port))
        answer, problem = "", f"read udp {where}: i/o timeout"
    except OSError as error:
        answer, problem = "", f"read udp {address((host, port))}: {(error.strerror or '').lower()}"
    else:
        problem = "<nil>"
    if not answer:
        raise OSError(f"reading from udp connection failed. err:'{problem}'")
    return answer


def _dial_sctp(host: str, port: int, asked: str) -> str:
    try:
        return sctp.ask(host, port, asked, dialling.SECONDS)
    except OSError as error:
        raise OSError(f"sctp dial failed. err:{error.strerror or error}") from None


def _shell(request: Request) -> Answer:
    import subprocess  # what not every pod needs, costs none of them memory

    given = web.fields(request)
    command = given.get("shellCommand") or given.get("cmd", "")
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    said = {}
    if ran.returncode < 0:
        said["error"] = f"signal: {signal.strsignal(-ran.returncode)}".lower()
    elif ran.returncode:
        said["error"] = f"exit status {ran.returncode}"
    if ran.stdout:
        said["output"] = ran.stdout.decode(errors="replace")
    return web.as_json(said)


def _upload(request: Request) -> Answer:
    content = _file_of_form(request)
    if content is None:
        return web.as_json({"error": "Unable to upload file."})
    import tempfile

    try:
        UPLOADS.mkdir(exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=UPLOADS, prefix="upload")
    except OSError:
        return web.as_json({"error": "Unable to open file for write"})
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), 0o700)
    except OSError:
        return web.as_json({"error": "Unable to write file."})
    log(f"Wrote upload to {name}")
    return web.as_json({"output": name}, 201)


def _file_of_form(request: Request) -> bytes | None:
    """The field `file` of a multipart form (RFC 7578)."""
    kind = request.header("content-type")
    found = re.search(r'boundary="?([^";]+)"?', kind)
    if not kind.lower().startswith("multipart/form-data") or not found:
        return None
    for part in request.body.split(b"--" + found[1].encode())[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        if re.search(rb'(?i)content-disposition:[^\r\n]*\bname="?file"?[;\r\n\s]', head + b"\r\n"):
            return content.removesuffix(b"\r\n")
    return None
