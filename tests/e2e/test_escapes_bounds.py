"""One pod that takes all it can get: it gets no more than a pod may have, and others live on.

How much it may have is not said here: only that it is less than a test dares to take, and that the
unguarded sandbox (escapes/unguarded.py) gives all of that.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e import manifests
from e2e.escapes.attempt import GOT_OUT, Attempt, Json, config, pod
from e2e.escapes.disposable import Disposable, disposable
from e2e.escapes.shadows import compiled
from e2e.labs import eventually

from netlab.errors import ApiError

pytestmark = pytest.mark.root

UNGUARDED = Path(__file__).parent / "escapes" / "unguarded.py"
PODS = "/api/v1/namespaces/default/pods"
LAB = manifests.lab("bounds")
LIMITED = {"resources": {"limits": {"memory": "128Mi"}}}
MEMORY = """
held = []
for _ in range(16):
    held.append(b"m" * (64 << 20))
got_out()
"""
# What a test dares to write is 1 GiB in all: it is memory, and given back at once.
DISK = """
block, files = b"d" * (1 << 20), []
try:
    for number in range(1024):
        with open(f"{directory}/{number}", "wb") as file:
            files.append(file.name)
            file.write(block)
    got_out()
finally:
    for name in files:
        os.unlink(name)
"""
VOLUME = {"volumes": [{"name": "v", "emptyDir": {}}]}


# Files with nothing in them, of which a file system holds so many.
FILES = """
directory = "/usr/share/many"
os.makedirs(directory, exist_ok=True)
made = 0
try:
    for made in range(100_000):
        os.close(os.open(f"{directory}/{made}", os.O_CREAT | os.O_WRONLY))
    got_out()
finally:
    for number in range(made):
        os.unlink(f"{directory}/{number}")
"""


def _filling(directory: str, *unguarded: str) -> Attempt:
    """Writes into a directory that a pod may write into."""
    script = f"directory = {directory!r}\n{DISK}"
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/data"}]}
    name = f"fill{directory.replace('/', '-')}"
    return Attempt(name, script, mount, VOLUME, unguarded=unguarded)


ATTEMPTS = [
    Attempt(
        "fork-bomb", "", {"command": ["/bomb/bomb"], "volumeMounts": [
            {"name": "v", "mountPath": "/bomb"}]},
        {"volumes": [{"name": "v", "configMap": {"name": "bomb", "defaultMode": 0o755}}]},
        [config("bomb", binaryData={"bomb": compiled("bomb.c", "-static")})],
        unguarded=("pid",),
    ),
    Attempt("memory", MEMORY, LIMITED),
    Attempt("memory-in-files", f"directory = '/dev/shm'\n{DISK}", LIMITED),
    Attempt("memory-in-temporary-files", f"directory = '/tmp'\n{DISK}", LIMITED),
    *map(_filling, ("/tmp", "/run", "/dev/shm", "/data", "/root", "/var/lib", "/home")),
    # What lies over the machine's directories.
    *(_filling(directory, "writable") for directory in ("/usr/share", "/etc")),
    Attempt("many-files", FILES, unguarded=("writable",)),
]  # fmt: skip
every_attempt = pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disposable]:
    with disposable(tmp_path_factory.mktemp("bounds")) as machine:
        machine.netlab("up", machine.write("/srv/lab.yaml", LAB))
        with machine.client("bounds") as client:
            client.request("POST", PODS, pod("bystander", {"command": ["sleep", "infinity"]}))
        yield machine


@every_attempt
def test_a_pod_gets_no_more_than_its_share(attempt: Attempt, machine: Disposable) -> None:
    with machine.client("bounds") as client:
        for each in attempt.objects({}):
            client.request("POST", "/api/v1/namespaces/default/configmaps", each)
        client.request("POST", PODS, attempt.pod({}))
        try:
            eventually(lambda: "trying" in said(machine, attempt.name), 20)
            others_live_on(machine, attempt.name)
            eventually(lambda: has_come_to_an_end(machine, attempt.name), 30)
            assert GOT_OUT not in said(machine, attempt.name).splitlines()
        finally:
            query = {"gracePeriodSeconds": "0"}
            client.request("DELETE", f"{PODS}/{attempt.name}", query=query)
    others_live_on(machine, f"{attempt.name}-after")


def said(machine: Disposable, name: str) -> str:
    """What it has said so far; nothing while it has not begun."""
    with machine.client("bounds") as client:
        try:
            return client.raw("GET", f"{PODS}/{name}/log").decode(errors="replace")
        except ApiError:
            return ""


def has_come_to_an_end(machine: Disposable, name: str) -> bool:
    with machine.client("bounds") as client:
        found: Json = client.request("GET", f"{PODS}/{name}")
    ended = found["status"].get("phase") in ("Succeeded", "Failed")
    return ended or {"refused", GOT_OUT} & set(said(machine, name).splitlines()) != set()


def others_live_on(machine: Disposable, name: str) -> None:
    """What runs can be entered, and what is new starts, soon enough."""
    begun = time.monotonic()
    done = machine.netlab("exec", "bystander", "--", "sh", "-c", "echo well >/tmp/x; cat /tmp/x")
    assert done.stdout == "well\n"
    with machine.client("bounds") as client:
        client.request("POST", PODS, pod(f"{name}-new", {"command": ["echo", "begun"]}))
        eventually(lambda: "begun" in said(machine, f"{name}-new"), 20)
    assert time.monotonic() - begun < 20


@every_attempt
def test_without_guard_it_takes_what_it_wants(attempt: Attempt, machine: Disposable) -> None:
    given = {**attempt.pod({}), "unguarded": list(attempt.unguarded)}
    wanted = {"pod": given, "objects": attempt.objects({})}
    file = machine.write(f"/srv/{attempt.name}.json", json.dumps(wanted))
    done = machine.run(sys.executable, str(UNGUARDED), file, "20", timeout=60)
    assert GOT_OUT in done.stdout.splitlines(), done.stdout + done.stderr
