"""What a pod sends to those who look at it: terminals, probes, logs, copies, and the lab's end.

All of it happens on a disposable machine (escapes/disposable.py). Each attempt also runs against
somebody who does not take care, to prove that it tries.
"""

from __future__ import annotations

import contextlib
import os
import pty
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator

import pytest
from e2e import manifests
from e2e.escapes.attempt import PRELUDE, Json, config, pod
from e2e.escapes.disposable import Disposable, disposable
from e2e.labs import KUBECTLS, eventually

from netlab.client.sync import Client

pytestmark = pytest.mark.root

PODS = "/api/v1/namespaces/default/pods"
IDLE = {"command": ["sleep", "infinity"]}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disposable]:
    with disposable(tmp_path_factory.mktemp("outward")) as machine:
        for name in ("first", "second"):
            machine.netlab("up", machine.write(f"/srv/{name}.yaml", manifests.lab(name)))
        yield machine


@pytest.fixture
def client(machine: Disposable) -> Iterator[Client]:
    with machine.client("first") as client:
        yield client


def run(client: Client, name: str, container: Json, **spec: object) -> None:
    """Start a pod and wait until it runs."""
    client.request("POST", PODS, pod(name, container, **spec))
    eventually(lambda: phase(client, name) == "Running", 20)


def phase(client: Client, name: str) -> str:
    found: Json = client.request("GET", f"{PODS}/{name}")
    return str(found["status"].get("phase"))


def log(client: Client, name: str) -> str:
    return client.raw("GET", f"{PODS}/{name}/log").decode(errors="replace")


# -- the terminal of who types -----------------------------------------------------------------

TYPE = (
    PRELUDE
    + """
import fcntl, glob, termios
for path in (0, 1, 2, 7, "/dev/tty", "/dev/console", *glob.glob("/dev/pts/[0-9]*")):
    try:
        terminal = path if isinstance(path, int) else os.open(path, os.O_RDWR | os.O_NOCTTY)
        for letter in b"typed by a pod\\n":
            fcntl.ioctl(terminal, termios.TIOCSTI, bytes([letter]))
    except OSError as error:
        print(path, error)
"""
)
# Becomes the leader of a session that the terminal controls, as a login shell is.
LEADING = (
    "import fcntl, os, sys, termios\n"
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nos.execvp(sys.argv[1], sys.argv[1:])"
)


def left_to_read(argv: list[str], env: dict[str, str]) -> str:
    """What the next to read from the terminal would get after a program has run on it."""
    ours, theirs = pty.openpty()
    try:
        tty.setraw(theirs, termios.TCSANOW)
        leading = [sys.executable, "-c", LEADING, *argv]
        started = subprocess.Popen(
            leading, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        _swallow_until_ended(ours, started)
        tty.setraw(theirs, termios.TCSANOW)
        os.set_blocking(theirs, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(theirs, 4096).decode(errors="replace")
        return ""
    finally:
        os.close(ours)
        os.close(theirs)


def _swallow_until_ended(terminal: int, process: subprocess.Popen[bytes]) -> None:
    os.set_blocking(terminal, False)
    deadline = time.monotonic() + 20
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(BlockingIOError):
            os.read(terminal, 4096)
        time.sleep(0.02)
    process.kill()
    process.wait()


def test_a_pod_types_nothing_into_the_terminal_of_its_visitor(
    machine: Disposable, client: Client
) -> None:
    run(client, "typist", IDLE)
    argv = [sys.executable, "-m", "netlab", "--lab", "first", "exec", "-it", "typist"]
    visit = machine.entering(*argv, "--", "python3", "-c", TYPE, terminal=True)
    assert left_to_read(visit, machine.environment) == ""
    unguarded = machine.entering(sys.executable, "-c", TYPE, terminal=True)
    assert "typed by a pod" in left_to_read(unguarded, machine.environment)


# -- copies ------------------------------------------------------------------------------------

TAR = """
#!/usr/bin/python3
import io, sys, tarfile
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as archive:
    def add(name, content=b"from a pod", **more):
        member = tarfile.TarInfo(name)
        member.size = 0 if more else len(content)
        for key, value in more.items():
            setattr(member, key, value)
        archive.addfile(member, io.BytesIO(content))
    add("data/good")
    add("../../../../../../srv/written/up")
    add("data/../../../../../../../srv/written/in-between")
    add("/srv/written/absolute")
    add("data/link", type=tarfile.SYMTYPE, linkname="/srv/written")
    add("data/link/through-link")
    add("data/file", type=tarfile.SYMTYPE, linkname="/srv/written/overwritten")
    add("data/file")
    add("data/hard", type=tarfile.LNKTYPE, linkname="/srv/marker")
""".lstrip()


def written(machine: Disposable) -> set[str]:
    return {path.name for path in machine.path("/srv/written").iterdir()}


def test_a_copy_from_a_pod_writes_only_where_it_was_to(machine: Disposable, client: Client) -> None:
    path = "/api/v1/namespaces/default/configmaps"
    client.request("POST", path, config("tar", data={"tar": TAR}))
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/usr/local/bin"}]}
    volume = {"name": "v", "configMap": {"name": "tar", "defaultMode": 0o755}}
    run(client, "archive", {**IDLE, **mount}, volumes=[volume])
    machine.path("/srv/copy").mkdir()
    kubectl = f"PATH={KUBECTLS / 'bin'}:{os.environ['PATH']}"
    copy = [sys.executable, "-m", "netlab", "--lab", "first", "kubectl", "cp", "archive:/data"]
    done = machine.run("env", kubectl, *copy, "/srv/copy/here")
    assert machine.path("/srv/copy/here/good").exists(), done.stdout + done.stderr
    assert written(machine) == set(), done.stderr
    careless(machine)
    assert written(machine) >= {"up", "in-between", "absolute", "through-link"}


def careless(machine: Disposable) -> None:
    """Unpack the same as one who trusts what comes."""
    machine.write("/srv/tar.py", TAR)
    line = "python3 /srv/tar.py >/srv/a.tar; mkdir -p /srv/a/b/c/d/e; cd /srv/a/b/c/d/e; "
    line += "tar --absolute-names --extract --file /srv/a.tar"
    machine.run("sh", "-c", line)


# -- probes ------------------------------------------------------------------------------------

SERVE = (
    PRELUDE
    + """
import threading
server = socket.create_server(("", 8080))

def answer(client):
    path = client.recv(65536).split()[1]
    start = b"HTTP/1.1 200 OK\\r\\n"
    block = b"x" * 65536
    try:
        if path == b"/body":
            client.sendall(start + b"\\r\\n")
        if path == b"/header":
            client.sendall(start + b"X-Long: ")
        if path == b"/status":
            client.sendall(b"HTTP/1.1 200 ")
        if path == b"/headers":
            client.sendall(start)
            block = b"X-Some: header\\r\\n" * 4000
        if path == b"/chunks":
            client.sendall(start + b"Transfer-Encoding: chunked\\r\\n\\r\\n")
            block = b"10000\\r\\n" + block + b"\\r\\n"
        if path == b"/redirect":
            where = b"http://%s:8080/redirect" % client.getsockname()[0].encode()
            client.sendall(b"HTTP/1.1 302 Found\\r\\nLocation: " + where + b"\\r\\n\\r\\n")
            return
        while True:
            client.sendall(block)
    except OSError:
        pass
    finally:
        client.close()

while True:
    threading.Thread(target=answer, args=server.accept()[:1], daemon=True).start()
"""
)
PATHS = ("body", "header", "status", "headers", "chunks", "redirect")


def memory_of_lab(machine: Disposable) -> int:
    """Bytes that the controller and the responder of the first lab have."""
    owner = machine.path(f"{machine.lab_dir('first')}/owner").read_text().strip()
    text = (
        "import sys; from netlab.kernel import process; "
        "print(*[p for p in process.owned(sys.argv[1]) if b'netlab' in "
        "open(f'/proc/{p}/cmdline', 'rb').read()])"
    )
    found = 0
    for pid in machine.run(sys.executable, "-c", text, owner).stdout.split():
        status = machine.path(f"/proc/{pid}/status").read_text()
        found += int(status.partition("VmRSS:")[2].split()[0]) * 1024
    return found


def test_endless_answers_to_probes_fill_no_memory(machine: Disposable, client: Client) -> None:
    before = memory_of_lab(machine)
    assert before > 10 << 20
    containers = [
        {
            "name": f"{kind}-{path}", "image": "busybox", **IDLE,
            f"{kind}Probe": {"httpGet": {"path": f"/{path}", "port": 8080}, "periodSeconds": 1,
                             "timeoutSeconds": 2, "failureThreshold": 1000},
        }
        for path in PATHS
        for kind in ("readiness", "liveness")
    ]  # fmt: skip
    server = {"name": "server", "image": "busybox", "command": ["python3", "-c", SERVE]}
    run(client, "endless", {}, containers=[server, *containers])
    most = 0
    for _ in range(8):
        time.sleep(0.5)
        most = max(most, memory_of_lab(machine))
    assert most - before < 150 << 20
    run(client, "unharmed", IDLE)
    done = machine.netlab("--lab", "first", "exec", "unharmed", "--", "echo", "well")
    assert done.stdout == "well\n"
    assert read_carelessly(client, machine) > 50 << 20
    client.request("DELETE", f"{PODS}/endless", query={"gracePeriodSeconds": "0"})


def read_carelessly(client: Client, machine: Disposable) -> int:
    """How much one gets who reads an answer to its end, or for three seconds."""
    found: Json = client.request("GET", f"{PODS}/endless")
    text = (
        "import sys, time, urllib.request\n"
        "answer = urllib.request.urlopen(sys.argv[1])\n"
        "size, until = 0, time.time() + 3\n"
        "while time.time() < until: size += len(answer.read(65536))\n"
        "print(size)"
    )
    node = f"{machine.lab_dir('first')}/netns/first.worker001"
    url = f"http://{found['status']['podIP']}:8080/body"
    argv = ["nsenter", f"--net={node}", sys.executable, "-c", text, url]
    return int(machine.run(*argv).stdout)


# -- logs --------------------------------------------------------------------------------------

FLOOD = (
    PRELUDE
    + """
line = b"y" * 99 + b"\\n"
for _ in range(2000):
    os.write(1, line * 1000)  # 200 MB in all
print("said all", flush=True)
time.sleep(1000)
"""
)


def test_a_flood_of_output_stays_small(machine: Disposable, client: Client) -> None:
    run(client, "flood", {"command": ["python3", "-c", FLOOD]})
    argv = ["du", "-sm", "--apparent-size", machine.lab_dir("first")]
    most = 0

    def has_ended() -> bool:
        nonlocal most
        most = max(most, int(machine.run(*argv).stdout.split()[0]))
        return "said all" in client.raw(
            "GET", f"{PODS}/flood/log", query={"tailLines": "1"}
        ).decode(errors="replace")

    eventually(has_ended, 60)
    assert most < 60
    assert "yyy" in log(client, "flood")
    client.request("DELETE", f"{PODS}/flood", query={"gracePeriodSeconds": "0"})


# -- files that are none -----------------------------------------------------------------------

MAKE = (
    PRELUDE
    + """
os.mkfifo("/data/fifo")
socket.socket(socket.AF_UNIX).bind("/data/socket")
os.symlink("loop", "/data/loop")
os.symlink("nowhere", "/data/dangling")
os.mkdir("/data/closed", 0)
"""
)
KINDS = ("fifo", "socket", "loop", "dangling", "closed")


def test_a_part_of_a_volume_that_is_no_directory_holds_nobody_up(
    machine: Disposable, client: Client
) -> None:
    mount = {"name": "v", "mountPath": "/data"}
    before = {"name": "before", "image": "busybox", "command": ["python3", "-c", MAKE]}
    spec = {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "initContainers": [{**before, "volumeMounts": [mount]}],
    }
    for kind in KINDS:
        part = {"name": "v", "mountPath": "/part", "subPath": kind}
        client.request("POST", PODS, pod(f"part-{kind}", {**IDLE, "volumeMounts": [part]}, **spec))
    run(client, "beside-odd-files", IDLE)
    assert client.request("GET", "/netlab/v1/settled", query={"timeoutSeconds": "1"}) is not None
    for kind in KINDS:
        query = {"gracePeriodSeconds": "0"}
        client.request("DELETE", f"{PODS}/part-{kind}", query=query)
    eventually(lambda: not [p for p in client.list("Pod") if "part-" in p["metadata"]["name"]], 20)


def test_what_a_volume_leads_to_is_not_removed_with_it(machine: Disposable, client: Client) -> None:
    for name in ("kept", "kept/inner"):
        machine.path(f"/srv/{name}").mkdir()
        machine.write(f"/srv/{name}/file", "kept")
    links = "cd /data; ln -s /srv/kept l; ln -s l/inner m; mkdir d; ln -s ../l d/n; echo made"
    script = {"command": ["sh", "-c", links], "volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    client.request("POST", PODS, pod("linker", script, volumes=[{"name": "v", "emptyDir": {}}]))
    eventually(lambda: phase(client, "linker") == "Succeeded", 20)
    assert log(client, "linker") == "made\n"
    client.request("DELETE", f"{PODS}/linker", query={"gracePeriodSeconds": "0"})
    eventually(lambda: "linker" not in {p["metadata"]["name"] for p in client.list("Pod")}, 20)
    assert machine.path("/srv/kept/file").read_text() == "kept"
    assert machine.path("/srv/kept/inner/file").read_text() == "kept"
    careless = "mkdir /srv/volume; cd /srv/volume; ln -s /srv/kept l; rm -rf l/* l"
    machine.run("sh", "-c", careless)
    assert not machine.path("/srv/kept/file").exists()


# -- the end -----------------------------------------------------------------------------------

# Leaves the session, the parent and the environment behind, and takes the name of others.
STAY = (
    PRELUDE
    + """
marks = [{}, {"NETLAB_OWNER": OTHER}, {"NETLAB_OWNER": ""}, {"NETLAB_OWNER": "x" * 100000}]
names = [b"netlab", b"kthreadd", b") R 1 1", b"\\n\\0"]
for number, mark in enumerate(marks):
    for name in names:
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
            libc.signal(15, ctypes.c_void_p(1))
            libc.signal(1, ctypes.c_void_p(1))
            libc.prctl(15, name, 0, 0, 0)
            os.execve("/bin/sh", ["UNIQUE", "-c", "while :; do sleep 100; done", "UNIQUE"], mark)
print("stays", flush=True)
time.sleep(1000)
"""
)


def remaining(machine: Disposable, word: str) -> list[int]:
    found = []
    for entry in machine.path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if (entry / "cmdline").read_bytes().startswith(word.encode()):
                    found.append(int(entry.name))
    return found


def test_nothing_of_a_pod_outlives_its_lab_and_no_other_lab_is_hit(machine: Disposable) -> None:
    machine.netlab("up", machine.write("/srv/third.yaml", manifests.lab("third")))
    other = machine.path(f"{machine.lab_dir('second')}/owner").read_text().strip()
    with machine.client("second") as client:
        run(client, "neighbour", {"command": ["sh", "-c", "exec sleep 987654"]})
    script = STAY.replace("UNIQUE", "stays-for-ever").replace("OTHER", repr(other))
    with machine.client("third") as client:
        run(client, "stayer", {"command": ["python3", "-c", script]})
        eventually(lambda: "stays" in log(client, "stayer").splitlines())
    eventually(lambda: len(remaining(machine, "stays-for-ever")) == 16)
    machine.netlab("down", "third")
    assert remaining(machine, "stays-for-ever") == []
    with machine.client("second") as client:
        assert phase(client, "neighbour") == "Running"
    assert machine.netlab("--lab", "second", "exec", "neighbour", "--", "echo", "x").stdout == "x\n"


def test_without_guard_it_would_outlive_its_lab(machine: Disposable) -> None:
    machine.netlab("up", machine.write("/srv/third.yaml", manifests.lab("third")))
    script = STAY.replace("UNIQUE", "stays-outside").replace("OTHER", "'x'")
    with machine.start(sys.executable, "-c", script) as started:
        eventually(lambda: len(remaining(machine, "stays-outside")) == 16)
        machine.netlab("down", "third")
        assert len(remaining(machine, "stays-outside")) == 16
        started.kill()


def test_a_hook_does_not_hold_up_the_end(machine: Disposable) -> None:
    machine.netlab("up", machine.write("/srv/third.yaml", manifests.lab("third")))
    hook = {"lifecycle": {"preStop": {"exec": {"command": ["sleep", "1000"]}}}}
    with machine.client("third") as client:
        run(client, "slow", {**IDLE, **hook}, terminationGracePeriodSeconds=1000)
    machine.netlab("down", "third", timeout=20)
