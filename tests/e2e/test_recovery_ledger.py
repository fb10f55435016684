"""Whatever a lab has acknowledged, or shown to anybody, survives kill -9 at any moment.

NETLAB_KILLS=1000 kills as often (for some seconds without it), NETLAB_SEED at other moments; with
pytest -s it prints what came of it.
"""

from __future__ import annotations

import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import ROOT, Machine, by_chance, eventually, machine
from e2e.ledger import Ledger, Strangers

from netlab.client.sync import Client
from netlab.kernel import netns, paths, process

pytestmark = pytest.mark.root

KILLS = int(os.environ.get("NETLAB_KILLS", "0"))
SECONDS = by_chance(12.0)
SEED = int(os.environ.get("NETLAB_SEED", "20261129"))

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: books}
spec: {nodes: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: c, image: nginx}
      - {name: beside, image: busybox, command: [sleep, infinity]}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here


def directory(lab: Machine) -> Path:
    return lab.base / "run" / "books"


def kill_controller(lab: Machine) -> None:
    pid = int(paths.controller_pid(directory(lab)).read_text())
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    ended, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    process.reap()
    assert ended


def start_controller(lab: Machine) -> None:
    """As `up` does, without asking whether the lab has settled; returns once the API answers."""
    ready, theirs = os.pipe()
    told, tell = os.pipe()
    place = directory(lab)
    os.write(tell, f"{place}\n".encode())
    process.spawn(
        [sys.executable, "-m", "netlab.boot", str(theirs)],
        stdin=told,
        owner=netns.owner(place) or "",
        log=paths.controller_log(place),
        cwd=ROOT,
        env=lab.environment,
        pass_fds=(theirs,),
    )
    for descriptor in (theirs, told, tell):
        os.close(descriptor)
    answered, _, _ = select.select([ready], [], [], 30)
    assert answered and os.read(ready, 1), paths.controller_log(place).read_text()[-2000:]
    os.close(ready)


def leaked(lab: Machine) -> list[str]:
    """Namespaces and files of pods that are not, or of which there is nothing."""
    with Client(paths.api_socket(directory(lab))) as client:
        pods = [pod for pod in client.list("Pod") if pod["spec"].get("nodeName")]
    wanted = {f"books.{p['metadata']['namespace']}.{p['metadata']['name']}" for p in pods}
    there = {entry.name for entry in paths.namespaces(directory(lab)).iterdir()}
    spaces = {name for name in there if name.count(".") == 2}
    files = {entry.name for entry in paths.pods(directory(lab)).iterdir()}
    uids = {pod["metadata"]["uid"] for pod in pods}
    left = [f"{each} is there without its pod" for each in (spaces - wanted) | (files - uids)]
    return left + [f"a pod lacks {each}" for each in (wanted - spaces) | (uids - files)]


def test_what_was_told_outlives_every_kill(lab: Machine) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    socket = paths.api_socket(directory(lab))
    kills = writes = seen = 0
    lost: list[str] = []
    while kills < KILLS or time.monotonic() - began < (0 if KILLS else SECONDS):
        with Client(socket) as client:
            ledger = Ledger.opened(client)
        strangers = Strangers(socket, ledger, chance.randrange(10**9))
        time.sleep(chance.uniform(0.02, 0.5))
        kill_controller(lab)
        kills += 1
        strangers.join()
        start_controller(lab)
        with Client(socket) as client:
            lost += [f"kill {kills}: {what}" for what in ledger.broken(client)]
        writes, seen = writes + ledger.writes, seen + ledger.seen
        assert ledger.failures == []
        if KILLS and kills % 50 == 0:
            lost += [f"kill {kills}: leaked {what}" for what in settled(lab)]
            print(f"{kills} kills, {writes} writes, {seen} states shown: {lost}", flush=True)
    left = settled(lab)
    print(f"{kills} kills, {writes} writes acknowledged, {seen} states shown: {len(lost)} lost")
    assert lost == []
    assert left == [], paths.controller_log(directory(lab)).read_text()[-6000:]
    assert writes > kills, "so it was about something"


def settled(lab: Machine) -> list[str]:
    """What is leaked, once all has come to rest."""
    lab.netlab("up", lab.base / "lab.yaml")
    try:
        eventually(lambda: leaked(lab) == [], 10)
    except AssertionError:
        return leaked(lab)
    return []
