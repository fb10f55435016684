"""Several commands at one lab at the same time, killed at any moment: each waits, or says for whom.

Whatever happened, the next `up` brings the lab up, and `down` leaves nothing.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from e2e import manifests
from e2e.labs import Machine, by_chance, eventually, machine

from netlab.kernel import lablock, paths

pytestmark = pytest.mark.root

SEED = 20261129
SECONDS = by_chance(8.0)
"""Rounds are as many as fit."""

LAB = (
    manifests.lab("shared")
    + manifests.web(replicas=4)
    + manifests.service()
    + """\
---
apiVersion: netlab/v1
kind: PathCheck
metadata: {name: node-to-web}
spec: {from: {node: worker001}, to: {service: web, port: 80}}
"""
)

# What no command may say for lack of looking: the raw words of the system, or of Python.
CONFUSED = re.compile(r"Traceback|JSONDecodeError|No such file|another controller runs")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


def directory(here: Machine) -> Path:
    return here.base / "run" / "shared"


def end(command: subprocess.Popen[str]) -> tuple[int, str]:
    """Let a command come to its end: its exit code, and all that it said."""
    with command:
        out, err = command.communicate(timeout=60)
    return command.returncode, out + err


def works(here: Machine, file: Path) -> None:
    """An `up` now succeeds, and the lab does what it is for."""
    here.netlab("up", file)
    assert "PASS node-to-web" in here.netlab("check").stdout


def test_two_ups_at_once_both_succeed(here: Machine) -> None:
    file = here.lab_file(LAB)
    for text in [end(command) for command in [here.start("up", str(file)) for _ in range(3)]]:
        assert text[0] == 0, text[1]
    here.note_owners()
    works(here, file)


@contextlib.contextmanager
def held_elsewhere(here: Machine, doing: str) -> Iterator[int]:
    """Another process that has the lab to itself."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        for name in (paths.RUN_VARIABLE, paths.NETNS_DIR_VARIABLE):
            os.environ[name] = here.environment[name]
        with lablock.held(directory(here), doing):
            os.write(writer, b"1")
            time.sleep(60)
        os._exit(0)
    try:
        assert os.read(reader, 1) == b"1"
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        os.close(writer)


@pytest.mark.parametrize("verb", ["up", "down"])
def test_who_holds_the_lab_is_said_and_waited_for(here: Machine, verb: str) -> None:
    file = here.lab_file(LAB)
    if verb == "down":
        here.netlab("up", file)
    with held_elsewhere(here, "netlab up") as holder:
        waiting = here.start(verb, str(file) if verb == "up" else "shared")
        assert waiting.stderr is not None
        assert waiting.stderr.readline() == (
            f"waiting for process {holder} (netlab up), which holds lab shared …\n"
        )
        assert waiting.poll() is None
    code, said = end(waiting)
    here.note_owners()
    assert code == 0, said


def test_who_uses_a_lab_waits_for_who_starts_it(here: Machine) -> None:
    """A dead controller with somebody at work on the lab is not dead for good."""
    file = here.lab_file(LAB)
    here.netlab("up", file)
    os.kill(int(paths.controller_pid(directory(here)).read_text()), signal.SIGKILL)
    with held_elsewhere(here, "netlab up") as holder:
        using = {verb: here.start(verb) for verb in ("status", "kubeconfig", "check")}
        using["get"] = here.start("get", "pods")
        said = here.netlab("doctor").stdout
        assert f"lab shared: process {holder} (netlab up) is at work on it" in said
        for command in using.values():
            assert command.stderr is not None
            assert command.stderr.readline() == (
                f"note: waiting for process {holder} (netlab up), which holds lab shared\n"
            )
    for verb, command in using.items():  # it let go without starting a controller
        code, said = end(command)
        assert code == (0 if verb == "kubeconfig" else 1), (verb, said)
        assert "controller" in said or verb == "kubeconfig"
        assert not CONFUSED.search(said), said
    works(here, file)


def test_an_up_that_is_killed_is_followed_by_one_that_succeeds(here: Machine) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    file = here.lab_file(LAB)
    while time.monotonic() - began < SECONDS:
        with here.start("up", str(file)) as command:
            time.sleep(chance.uniform(0.05, 0.6))
            command.kill()
        here.note_owners()
        works(here, file)
        here.netlab("down")


def test_a_down_that_is_killed_is_followed_by_an_up_that_succeeds(here: Machine) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    file = here.lab_file(LAB)
    while time.monotonic() - began < SECONDS:
        here.netlab("up", file)
        with here.start("down") as command:
            time.sleep(chance.uniform(0.1, 0.4))
            command.kill()
        works(here, file)


def test_a_controller_that_dies_or_ends_is_followed_by_one_that_answers(here: Machine) -> None:
    """At once: the one that ends still has its lock, the one that starts has none yet."""
    chance, began = random.Random(SEED), time.monotonic()
    file = here.lab_file(LAB)
    here.netlab("up", file)
    while time.monotonic() - began < SECONDS / 2:
        pid = int(paths.controller_pid(directory(here)).read_text())
        os.kill(pid, chance.choice((signal.SIGTERM, signal.SIGKILL)))
        time.sleep(chance.choice((0.0, 0.02, 0.1)))
        here.netlab("up", file)


VERBS: Sequence[tuple[str, ...]] = (
    ("up", "FILE"),
    ("down",),
    ("down", "--all"),
    ("status",),
    ("kubeconfig",),
    ("apply", "-f", "FILE"),
    ("check", "FILE"),
    ("get", "pods"),
    ("rules", "web"),
    ("exec", "deploy/web", "--", "true"),
)


def test_any_two_at_once_get_along(here: Machine) -> None:
    chance, began = random.Random(SEED), time.monotonic()
    file = here.lab_file(LAB)
    while time.monotonic() - began < SECONDS:
        commands = []
        for verb in chance.sample(VERBS, 3):
            argv = [str(file) if word == "FILE" else word for word in verb]
            commands.append((argv, here.start(*argv)))
            time.sleep(chance.uniform(0.0, 0.3))
            here.note_owners()
        if chance.random() < 0.3:
            commands[0][1].kill()
        for argv, command in commands:
            code, said = end(command)
            assert code in (0, 1, 2, 3, -signal.SIGKILL), (argv, code, said)
            assert not CONFUSED.search(said), (argv, said)
            if argv[0] == "up":  # unless a `down` came after it
                assert code in (0, -signal.SIGKILL) or "was taken down" in said, said
        here.note_owners()
    works(here, file)
    here.netlab("down")
    eventually(lambda: list((here.base).iterdir()) == [file], 2)
