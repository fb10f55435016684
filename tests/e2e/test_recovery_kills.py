"""Controllers that are killed, or told to end, at any moment: the next puts everything right."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, by_chance, eventually, machine

from netlab.client.sync import Client
from netlab.errors import NetlabError
from netlab.kernel import paths

pytestmark = pytest.mark.root

SEED = 20260731
ROUNDS = 8
SECONDS = by_chance(25.0)
"""Rounds are as many as fit; on a slow machine fewer."""

LAB = (
    manifests.lab("tough")
    + manifests.web(replicas=20, image=manifests.GREETER)
    + manifests.service()
    + """\
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: c, image: busybox, command: [sleep, infinity]}]
"""
)

Json = dict[str, Any]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


def directory(here: Machine) -> Path:
    return here.base / "run" / "tough"


def signal_controller(here: Machine, number: signal.Signals) -> None:
    """Signal the controller, if there is one by now, and wait for its end."""
    try:
        pid = int(paths.controller_pid(directory(here)).read_text())
        descriptor = os.pidfd_open(pid)
    except (OSError, ValueError):
        return
    try:
        signal.pidfd_send_signal(descriptor, number)
        ended, _, _ = select.select([descriptor], [], [], 10)
        assert ended, "the controller does not end"
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def disturb(here: Machine, chance: random.Random) -> None:
    """Change something, as much as the API still takes."""
    try:
        with Client(paths.api_socket(directory(here))) as client:
            for _ in range(chance.randint(1, 3)):
                change(client, chance)
                time.sleep(chance.uniform(0, 0.05))
    except (NetlabError, OSError):
        return  # no controller at this moment


def change(client: Client, chance: random.Random) -> None:
    match chance.randrange(3):
        case 0:
            client.request(
                "PATCH",
                "/apis/apps/v1/namespaces/default/deployments/web",
                {"spec": {"replicas": chance.choice((0, 5, 40))}},
                content_type="application/merge-patch+json",
            )
        case 1:
            client.request("DELETE", "/api/v1/namespaces/default/pods/db-1")
        case _:
            pods = sorted(p["metadata"]["name"] for p in client.list("Pod", "default"))
            for name in chance.sample(pods, min(3, len(pods))):
                client.request(
                    "DELETE",
                    f"/api/v1/namespaces/default/pods/{name}",
                    query={"gracePeriodSeconds": "0"},
                )


def converged(here: Machine) -> None:
    """Exactly the pods that are wanted are there, each with its namespace, and all answer."""
    with Client(paths.api_socket(directory(here))) as client:
        pods = [p for p in client.list("Pod") if not p["metadata"].get("deletionTimestamp")]
    names = [pod["metadata"]["name"] for pod in pods]
    assert sum(name.startswith("web-") for name in names) == 20, names
    assert sorted(name for name in names if name.startswith("db-")) == ["db-0", "db-1", "db-2"]
    addresses = [pod["status"]["podIP"] for pod in pods]
    assert len(set(addresses)) == len(addresses), "two pods with one address"
    spaces = {f"tough.{p['metadata']['namespace']}.{p['metadata']['name']}" for p in pods}
    there = {entry.name for entry in paths.namespaces(directory(here)).iterdir()}
    assert {name for name in there if name.count(".") == 2} == spaces
    files = {entry.name for entry in (directory(here) / "pods").iterdir()}
    assert files == {pod["metadata"]["uid"] for pod in pods}
    for pod in pods:
        if pod["metadata"]["name"].startswith("web-"):
            page = here.curl("tough.default.db-0", pod["status"]["podIP"])
            assert pod["metadata"]["name"] in page
    assert here.curl("tough.default.db-1", service_ip(here))
    assert here.resolve("tough.default.db-2", "web.default.svc.cluster.local")


def service_ip(here: Machine) -> str:
    with Client(paths.api_socket(directory(here))) as client:
        found = client.request("GET", "/api/v1/namespaces/default/services/web")
    return str(found["spec"]["clusterIP"])


def finish(command: subprocess.Popen[str]) -> None:
    """Let a command come to its end, whatever that is."""
    command.communicate(timeout=30)


def test_killed_at_any_moment(here: Machine) -> None:
    """SIGKILL or SIGTERM while the lab comes up, scales and loses pods; then `up` converges."""
    chance, began = random.Random(SEED), time.monotonic()
    changes = here.mark()
    file = str(here.lab_file(LAB))
    for number in range(ROUNDS):
        if time.monotonic() - began > SECONDS:
            break
        coming = here.start("up", file)
        time.sleep(chance.uniform(0.1, 1.2))
        disturb(here, chance)
        signal_controller(here, chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM)))
        finish(coming)
        here.note_owners()
        if number % 2:
            here.netlab("up", file)
            settled(here)
    here.netlab("up", file)
    settled(here)
    here.netlab("down")
    eventually(lambda: changes() == [], 2)


def settled(here: Machine) -> None:
    """`up` has returned; pods on their way out may take a moment longer."""
    found: list[AssertionError] = []

    def holds() -> bool:
        try:
            converged(here)
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            found.append(AssertionError(str(error)))
            return False
        return True

    try:
        eventually(holds, 5)
    except AssertionError:
        log = paths.controller_log(directory(here)).read_text()[-4000:]
        raise AssertionError(f"{found[-1]}\n{log}") from found[-1]


def test_terminated_while_everything_changes(here: Machine) -> None:
    """An orderly end in the middle of scaling leaves nothing half-done for ever."""
    file = str(here.lab_file(LAB))
    here.netlab("up", file)
    with Client(paths.api_socket(directory(here))) as client:
        client.request("DELETE", "/api/v1/namespaces/default/pods/db-0")
        client.request(
            "PATCH",
            "/apis/apps/v1/namespaces/default/deployments/web",
            {"spec": {"replicas": 60}},
            content_type="application/merge-patch+json",
        )
    time.sleep(0.05)
    signal_controller(here, signal.SIGTERM)
    here.netlab("up", file)
    settled(here)
    log = paths.controller_log(directory(here)).read_text()
    assert "Traceback" not in log, log


MANY = manifests.lab("tough") + manifests.web(replicas=150, image=manifests.GREETER)


def attaching(here: Machine) -> list[int]:
    """The processes that attach many pods."""
    lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in here.processes()}
    return [pid for pid, line in lines.items() if b"netlab.network.attaching" in read(line)]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


def test_killed_while_many_pods_are_attached(here: Machine) -> None:
    """Who attaches them ends with the controller; the next one finishes what they had begun."""
    changes = here.mark()
    file = str(here.lab_file(MANY))
    coming = here.start("up", file)
    eventually(lambda: paths.owner(directory(here)).exists(), 30)
    here.note_owners()
    eventually(lambda: attaching(here), 60)
    eventually(lambda: len([*paths.namespaces(directory(here)).iterdir()]) > 40, 60)
    signal_controller(here, signal.SIGKILL)
    eventually(lambda: not attaching(here), 20)
    finish(coming)
    here.netlab("up", file, timeout=120)
    with Client(paths.api_socket(directory(here))) as client:
        pods = client.list("Pod", "default")
    assert len(pods) == 150
    spaces = {f"tough.default.{pod['metadata']['name']}" for pod in pods}
    there = {entry.name for entry in paths.namespaces(directory(here)).iterdir()}
    assert {name for name in there if name.startswith("tough.default.")} == spaces
    for pod in (pods[0], pods[-1]):
        page = here.curl(f"tough.default.{pods[75]['metadata']['name']}", pod["status"]["podIP"])
        assert pod["metadata"]["name"] in page
    here.netlab("down")
    eventually(lambda: changes() == [], 5)
