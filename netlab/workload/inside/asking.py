"""What agnhost does once and says: connections, names, files, words, lines of a log."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import socket
import stat
import string
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from netlab.workload.http1 import Request
from netlab.workload.inside import dialling, flags, sctp, web
from netlab.workload.inside.servers import say
from netlab.workload.inside.web import Answer, in_background, log


def connect(words: Sequence[str]) -> None:
    """Try a connection; a word on stderr says why there is none."""
    defaults = {
        "timeout": flags.Seconds(0), "protocol": "tcp", "udp-data": "hostname",
        "sctp-data": "hostname",
    }  # fmt: skip
    given, rest = flags.parse(words, defaults, most=1)
    if not rest:
        flags.fail("accepts 1 arg(s), received 0")
    seconds, protocol = float(given["timeout"]), given["protocol"] or "tcp"
    if protocol not in ("tcp", "udp", "sctp"):
        _failed(f"Unsupported protocol\n{protocol}")
    try:
        place = dialling.resolved(*dialling.split(rest[0]))
    except ValueError as problem:
        _failed(f"UNKNOWN: {problem}")
    except OSError as problem:
        _failed(f"DNS: {problem}")
    try:
        if protocol == "tcp":
            socket.create_connection(place, seconds or None).close()
        elif protocol == "udp":
            dialling.datagram(*place, given["udp-data"] + "\n", seconds=seconds)
        else:
            sctp.ask(*place, given["sctp-data"] + "\n", seconds)
    except TimeoutError:
        _failed("TIMEOUT")
    except ConnectionRefusedError:
        _failed("REFUSED" if protocol != "sctp" else "OTHER: connection refused")
    except OSError as problem:
        _failed(f"OTHER: {dialling.spoken(f'dial {protocol}', rest[0], problem)}")


def _failed(text: str) -> Any:
    print(text, file=sys.stderr)
    sys.exit(1)


# -- names -------------------------------------------------------------------------------------


def dns_suffix(_: Sequence[str]) -> None:
    """The domains that names are looked for in."""
    lists = [line.split()[1:] for line in _resolv_conf() if line.split()[0] == "search"]
    say(",".join(lists[-1] if lists else []))


def dns_server_list(_: Sequence[str]) -> None:
    """Who is asked for names."""
    servers = [line.split()[1] for line in _resolv_conf() if line.split()[0] == "nameserver"]
    say(",".join(servers))


def _resolv_conf() -> list[str]:
    return [line for line in Path("/etc/resolv.conf").read_text().splitlines() if line.split()[1:]]


def etc_hosts(_: Sequence[str]) -> None:
    """The file of hosts."""
    say(Path("/etc/hosts").read_text())


def entrypoint_tester(words: Sequence[str]) -> None:
    """The words that the program was given, as Go prints a slice of them."""
    say(f"[{' '.join([sys.argv[0], 'entrypoint-tester', *words])}]")


def pause(_: Sequence[str]) -> None:
    """Be there until SIGTERM."""
    say("Paused")
    import signal

    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
    signal.signal(signal.SIGTERM, lambda *_: os._exit(2))
    while True:
        signal.pause()


# -- files -------------------------------------------------------------------------------------

_CONTENT = "mount-tester new file\n"


def mounttest(words: Sequence[str]) -> None:
    """Make files, and say what files there are and whose."""
    new = {f"new_file_{mode}": "" for mode in ("0644", "0666", "0660", "0777")}
    defaults = {
        "fs_type": "", "file_mode": "", "file_perm": "", "file_owner": "", "file_content": "",
        "file_content_in_loop": "", "retry_time": 180, "break_on_expected_content": True, **new,
    }  # fmt: skip
    given, _ = flags.parse(words, defaults)
    os.umask(0)
    sound = [_told(_fs_type, given["fs_type"])]
    for name in new:
        sound.append(_told(_writing(int(name[-4:], 8)), given[name]))
    for name, tell in (
        ("file_mode", _mode), ("file_perm", _perm), ("file_owner", _owner),
        ("file_content", _content),
    ):  # fmt: skip
        sound.append(_told(tell, given[name]))
    if given["file_content_in_loop"]:
        sound.append(_in_loop(given))
    sys.exit(0 if all(sound) else 1)


def _told(tell: Callable[[str], None], path: str) -> bool:
    try:
        if path:
            tell(path)
    except OSError as problem:
        say(f"error: {path}: {(problem.strerror or '').lower()}")
        return False
    return True


def _fs_type(path: str) -> None:
    Path(path).stat()
    found = _type_of(os.path.realpath(path))
    known = {"tmpfs": "tmpfs", "overlay": "overlayfs", "nfs": "nfs"}
    say(f'mount type of "{path}": {known.get(found, found)}')


def _type_of(path: str) -> str:
    """By the mount that holds the path (proc(5), mountinfo)."""
    best, kind = "", ""
    for line in os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).split("\n")[:-1]:
        fields, _, rest = line.partition(" - ")
        point = fields.split()[4].replace("\\040", " ")
        if (path + "/").startswith(point.rstrip("/") + "/") and len(point) >= len(best):
            best, kind = point, rest.split()[0]
    return kind


def _writing(mode: int) -> Callable[[str], None]:
    def write(path: str) -> None:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
            file.write(_CONTENT)
        _content(path)

    return write


def _content(path: str) -> None:
    say(f'content of file "{path}": {Path(path).read_text(errors="replace")}')


def _mode(path: str) -> None:
    """As Go's `FileMode` writes it: `dtrwxrwxrwx` for /tmp."""
    mode = os.lstat(path).st_mode
    letters = "".join(
        letter
        for letter, holds in (
            ("d", stat.S_ISDIR(mode)), ("L", stat.S_ISLNK(mode)), ("u", mode & stat.S_ISUID),
            ("g", mode & stat.S_ISGID), ("t", mode & stat.S_ISVTX),
        )
        if holds
    )  # fmt: skip
    permitted = stat.filemode(mode & 0o777 | stat.S_IFREG)[1:]
    say(f'mode of file "{path}": {letters or "-"}{permitted}')


def _perm(path: str) -> None:
    say(f'perms of file "{path}": -{stat.filemode(os.lstat(path).st_mode & 0o777)[1:]}')


def _owner(path: str) -> None:
    found = Path(path).stat()
    say(f'owner UID of "{path}": {found.st_uid}')
    say(f'owner GID of "{path}": {found.st_gid}')


def _in_loop(given: dict[str, Any]) -> bool:
    path, sound = given["file_content_in_loop"], False
    end = time.monotonic() + given["retry_time"]
    while time.monotonic() < end:
        try:
            found, sound = Path(path).read_text(errors="replace"), True
        except OSError as problem:
            sound = False
            say(f"Error reading file {path}: {problem}, retrying")
        else:
            say(f'content of file "{path}": {found}')
            if given["break_on_expected_content"] and found == _CONTENT:
                break
        time.sleep(2)
    return sound


# -- logs, and the API -------------------------------------------------------------------------


def logs_generator(words: Sequence[str]) -> None:
    """So many lines like an API server's in so much time."""
    defaults = {"log-lines-total": 0, "run-duration": flags.Seconds(0)}
    shorts = {"t": "log-lines-total", "d": "run-duration"}
    given, _ = flags.parse(words, defaults, shorts=shorts)
    lines, seconds = given["log-lines-total"], float(given["run-duration"])
    if lines <= 0 or seconds <= 0:
        _failed(f"Invalid total number of lines: {lines}" if lines <= 0 else "Invalid duration: 0s")
    began = time.monotonic()
    for number in range(lines):
        klog(_log_line(number))
        time.sleep(max(0.0, began + seconds / lines * (number + 1) - time.monotonic()))


def _log_line(number: int) -> str:
    method = random.choice(("GET", "POST", "PUT"))
    namespace = random.choice(("kube-system", "default", "ns"))
    pod = "".join(random.choices(string.ascii_lowercase, k=random.randint(3, 4)))
    status = random.randrange(200, 600)
    return f"{number} {method} /api/v1/namespaces/{namespace}/pods/{pod} {status}"


def klog(text: str, letter: str = "I") -> None:
    """A line on stderr as klog writes it."""
    now = time.time()
    stamp = time.strftime("%m%d %H:%M:%S", time.gmtime(now))
    place = f"{os.getpid():>7} main.go:1"
    print(f"{letter}{stamp}.{int(now % 1 * 1e6):06} {place}] {text}", file=sys.stderr, flush=True)


ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def api(target: str, *, seconds: float = 10.0) -> tuple[int, bytes, str]:
    """What the API server answers the pod's service account: status, body, and who asked."""
    from netlab.workload.inside import tls

    token = (ACCOUNT / "token").read_text()
    asked = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    host = os.environ["KUBERNETES_SERVICE_HOST"]
    port = int(os.environ.get("KUBERNETES_SERVICE_PORT") or 443)
    wrap = tls.client(str(ACCOUNT / "ca.crt"))
    status, body = web.get(host, port, target, seconds=seconds, headers=asked, wrap=wrap)
    return status, body, asked["Authorization"]


def inclusterclient(words: Sequence[str]) -> None:
    """Ask the API server for its health, now and again; a hash tells whose token it was."""
    given, _ = flags.parse(words, {"poll-interval": 30})
    klog("started")
    while True:
        time.sleep(given["poll-interval"])
        klog("calling /healthz")
        try:
            status, body, header = api("/healthz")
        except (OSError, KeyError) as problem:
            klog("status=failed", "E")
            klog(f"error checking /healthz: {problem}", "E")
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(f"salt|{header}".encode()).digest())
        klog(f"authz_header={digest.decode().rstrip('=')}")
        if status != 200:
            klog("status=failed", "E")
            klog(f"error checking /healthz: {body.decode(errors='replace')}", "E")


def nettest(words: Sequence[str]) -> None:
    """Meet all pods of a Service, and tell whether all met each other."""
    defaults = {
        "port": 8080, "peers": 8, "service": "nettest", "namespace": "default",
        "delay-shutdown": 0,
    }  # fmt: skip
    given, _ = flags.parse(words, defaults)
    state: dict[str, Any] = {
        "Hostname": socket.gethostname(), "Sent": {}, "Received": {}, "Errors": [], "Log": [],
        "StillContactingPeers": True,
    }  # fmt: skip

    def status(_: Request) -> Answer:
        if all(len(state[name]) >= given["peers"] for name in ("Sent", "Received")):
            return Answer("pass")
        return Answer("running" if state["StillContactingPeers"] else "fail")

    def write(request: Request) -> Answer:
        source = json.loads(request.body or b"{}").get("Source")
        state["Received"][source] = state["Received"].get(source, 0) + 1
        return Answer(json.dumps({"Hostname": state["Hostname"]}))

    in_background(_meet, given, state)
    routes = {
        "/quit": lambda _: os._exit(0),
        "/read": lambda _: Answer(json.dumps(state, indent="\t")),
        "/write": write,
        "/status": status,
    }
    web.serve(given["port"], web.routed(routes))


def _meet(given: dict[str, Any], state: dict[str, Any]) -> None:
    body = json.dumps({"Source": state["Hostname"]}).encode()
    for _ in range(75):
        for host, port in _endpoints(given):
            with contextlib.suppress(OSError, ValueError):
                _, said = web.get(host, port, "/write", body=body)
                name = json.loads(said)["Hostname"]
                state["Sent"][name] = state["Sent"].get(name, 0) + 1
        if len(state["Sent"]) >= given["peers"]:
            break
        time.sleep(4)
    state["StillContactingPeers"] = False


def _endpoints(given: dict[str, Any]) -> list[tuple[str, int]]:
    target = f"/api/v1/namespaces/{given['namespace']}/endpoints/{given['service']}"
    try:
        status, body, _ = api(target)
    except (OSError, KeyError) as problem:
        log(f"Unable to read the endpoints: {problem}")
        return []
    return [
        (entry["ip"], port["port"])
        for subset in (json.loads(body).get("subsets") or () if status == 200 else ())
        for entry in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
    ]
