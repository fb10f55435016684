"""agnhost's programs of several pods: a guestbook, half-closed connections, unchanged sources."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from netlab.workload.http1 import Request, address
from netlab.workload.inside import dialling, flags, web
from netlab.workload.inside.web import Answer, in_background, log

# -- the guestbook -----------------------------------------------------------------------------

_REGISTER_SECONDS = 15.0


class Guestbook:
    """A frontend, a primary or a replica: what it is, those decide who ask it."""

    def __init__(self, backend: int) -> None:
        self._backend = backend
        self.store: dict[str, Any] = {}
        self._replicas: list[str] = []
        self.routes: dict[str, web.Handler] = {
            "/register": self._register,
            "/get": self._get,
            "/set": self._set,
            "/guestbook": self._proxied,
        }

    def register_at(self, primary: str) -> None:
        """Tell a primary that there is one more replica, and take over what it has."""
        end = time.monotonic() + _REGISTER_SECONDS
        while time.monotonic() < end:
            try:
                place = dialling.resolved(primary, self._backend)
                said = dialling.http(*place, f"register?host={_own_address(*place)}")
                self.store = json.loads(said)["data"]
            except (OSError, ValueError, KeyError) as problem:
                log(f"encountered error while registering to primary: {problem}. Retrying in 1s.")
                time.sleep(1)
            else:
                log(f"Registered to node: {primary}")
                return
        log("Timed out while registering to primary.")
        os._exit(1)

    def _register(self, request: Request) -> Answer:
        host = web.fields(request).get("host", "")
        self._replicas.append(host)
        log(f"Node '{host}' registered.")
        return web.as_json({"data": self.store})

    def _get(self, request: Request) -> Answer:
        key = web.fields(request).get("key", "")
        return web.as_json({"data": self.store.get(key, "") if key else self.store})

    def _set(self, request: Request) -> Answer:
        given = web.fields(request)
        key, value = given.get("key", ""), given.get("value", "")
        if not key:
            return web.error("cannot set with empty key.", 400)
        self.store[key] = value
        for replica in self._replicas:
            try:
                query = urlencode({"key": key, "value": value})
                dialling.http(replica, self._backend, f"set?{query}")
            except OSError as problem:
                text = f"encountered error while propagating to replica '{replica}': {problem}"
                return web.error(text, 417)
        return web.as_json({"message": "Updated"})

    def _proxied(self, request: Request) -> Answer:
        given = web.fields(request)
        command, key = given.get("cmd", "").lower(), given.get("key", "")
        if command not in ("get", "set"):
            return web.error(f"unsupported cmd: '{command}'", 400)
        if command == "set" and not key:
            return web.error("cannot set with empty key.", 400)
        query = urlencode({"key": key, "value": given.get("value", "")})
        host = "agnhost-replica" if command == "get" else "agnhost-primary"
        try:
            place = dialling.resolved(host, self._backend)
        except OSError as problem:
            return web.error(f"host and/or port param are invalid. {problem}", 400)
        try:
            return Answer(dialling.http(*place, f"{command}?{query}"))
        except OSError as problem:
            return web.error(f"encountered error: {problem}", 417)


def guestbook(words: Sequence[str]) -> None:
    """Serve one."""
    defaults = {"http-port": "80", "backend-port": "6379", "replicaof": ""}
    given, _ = flags.parse(words, defaults)
    book = Guestbook(int(given["backend-port"]))
    if given["replicaof"]:
        in_background(book.register_at, given["replicaof"])
    web.serve(int(given["http-port"]), web.routed(book.routes))


def _own_address(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.connect((host, port))
        return str(asking.getsockname()[0])


# -- connections that one side has closed ------------------------------------------------------

_leaked: list[socket.socket] = []


def net(words: Sequence[str]) -> None:
    """Run a side of such a connection, at once or for whoever asks by HTTP."""
    given, _ = flags.parse(words, {"serve": "", "runner": "", "options": "", "delay-shutdown": 0})
    if not given["runner"] and not given["serve"]:
        log("Must set either --runner or --serve, see --help")
        sys.exit(1)
    if given["delay-shutdown"]:
        signal.signal(signal.SIGTERM, lambda *_: _end_in(given["delay-shutdown"]))
    if given["serve"]:
        host, port = dialling.split(given["serve"])
        web.serve(port, _run_requested, host)
    said, problem = _run(given["runner"], given["options"])
    if problem:
        log(f"Error: {problem}")
    print("output:\n\n" + said, end="", flush=True)
    sys.exit(1 if problem else 0)


def _end_in(seconds: int) -> None:
    log(f"Sleeping {seconds} seconds before terminating...")
    timer = threading.Timer(seconds, os._exit, [0])
    timer.daemon = True
    timer.start()


def _run_requested(request: Request) -> Answer:
    parts = request.path.split("/")
    if len(parts) != 3 or parts[1] != "run":
        return web.error("404 page not found", 404)
    said, problem = _run(parts[2], request.body.decode(errors="replace"))
    if problem:
        return web.error(f"Error from runner: {problem}\noutput:\n\n{said}", 500)
    return Answer(f"ok\noutput:\n\n{said}")


def _run(name: str, options: str) -> tuple[str, str]:
    """What a runner said, and what went wrong."""
    lines: list[str] = []
    if name not in _RUNNERS:
        return "", f"Invalid runner: '{name}', see --help"
    try:
        given = {key.lower(): value for key, value in json.loads(options).items()}
        _RUNNERS[name](given, lambda text: lines.append(f"# {text}\n"))
    except (OSError, ValueError, AttributeError) as problem:
        return "".join(lines), str(problem)
    return "".join(lines), ""


def _close_wait_server(given: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    host, port = dialling.split(given.get("localaddr", ""))
    with web.listening(port, host) as opened:
        tell(f"Server listening on {given.get('localaddr')}")
        connection, _ = opened.accept()
        with connection:
            tell("Client connected")
            connection.shutdown(socket.SHUT_WR)
            seconds = given.get("postfintimeoutseconds", 0)
            tell(f"Server sent FIN, waiting {seconds} seconds")
            time.sleep(seconds)
    tell("Done")


def _close_wait_client(given: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    place = dialling.resolved(*dialling.split(given.get("remoteaddr", "")))
    connection = socket.create_connection(place)
    tell("Connected to server")
    connection.settimeout(given.get("timeoutseconds") or None)
    if connection.recv(1):
        raise OSError("Got data but expected EOF")
    seconds = given.get("postfintimeoutseconds", 0)
    tell(f"Server has half-closed the connection, waiting {seconds} seconds")
    if given.get("leakconnection"):
        tell("Leaking client connection (assigning to global variable)")
        _leaked.append(connection)
    time.sleep(seconds)
    if not given.get("leakconnection"):
        connection.close()
    tell("Done")


_RUNNERS = {
    "nat-closewait-client": _close_wait_client,
    "nat-closewait-server": _close_wait_server,
}


# -- sources that nobody has changed -----------------------------------------------------------


def no_snat_test(words: Sequence[str]) -> None:
    """Ask others whether they see this pod's own address."""
    given, _ = flags.parse(words, {"port": "8080"})
    addresses = [os.environ.get(name) for name in ("POD_IP", "NODE_IP")]
    for name, found in zip(("POD_IP", "NODE_IP"), addresses, strict=True):
        if not found:
            print(f"{name} env var was not present in the environment", file=sys.stderr)
            sys.exit(1)
    pod, node = map(str, addresses)

    def check(request: Request) -> Answer:
        places = web.fields(request).get("ips", "").split(",")
        problems = [text for place in places if (text := _seen_as(place, pod, node))]
        return Answer(", ".join(problems), 500 if problems else 200)

    def whoami(request: Request) -> Answer:
        return Answer(address(request.client))

    web.serve(int(given["port"]), web.routed({"/whoami": whoami, "/checknosnat": check}))


def _seen_as(place: str, pod: str, node: str) -> str:
    try:
        seen = dialling.http(*_place(place), "whoami").rpartition(":")[0].strip("[]")
    except (OSError, ValueError) as problem:
        return str(problem)
    if seen == pod:
        return ""
    if seen == node:
        return f'Returned ip "{seen}" != my Pod ip "{pod}", == my Node ip "{node}" - SNAT'
    return (
        f'Returned ip "{seen}" != my Pod ip "{pod}" or my Node ip "{node}" - SNAT to unexpected ip'
        " (possible SNAT through unexpected interface on the way into another node)"
    )


def _place(text: str) -> tuple[str, int]:
    return dialling.split(text) if text.rpartition(":")[2].isdigit() else (text, 80)


def no_snat_test_proxy(words: Sequence[str]) -> None:
    """Pass such a question on."""
    given, _ = flags.parse(words, {"port": "31235"})

    def passed_on(request: Request) -> Answer:
        asked = web.fields(request)
        target = "/checknosnat?" + urlencode({"ips": asked.get("ips", "")})
        try:
            status, body = web.get(*_place(asked.get("target", "")), target, seconds=30)
        except (OSError, ValueError) as problem:
            return Answer(f"error querying {target}, err: {problem}", 500)
        return Answer(body, status)

    web.serve(int(given["port"]), web.routed({"/checknosnat": passed_on}))
