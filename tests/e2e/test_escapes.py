"""A pod stays in its pod: everything that is tried in `escapes` fails, and without guard succeeds.

Both happen on disposable machines: one has a lab, in which all attempts run as pods at once; on the
other each runs in an unguarded sandbox (escapes/unguarded.py), to prove that it tries at all.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from e2e.escapes import files, kernel, mounts, networks, processes, shadows, volumes
from e2e.escapes.attempt import NAMESPACE, TRYING, Attempt, Json
from e2e.escapes.disposable import Disposable, disposable

from netlab.client.sync import Client
from netlab.errors import ApiError

pytestmark = pytest.mark.root

LAB = "{apiVersion: netlab/v1, kind: Lab, metadata: {name: escapes}, spec: {nodes: 2}}"
ATTEMPTS = [
    *files.ATTEMPTS,
    *mounts.ATTEMPTS,
    *kernel.ATTEMPTS,
    *processes.ATTEMPTS,
    *networks.ATTEMPTS,
    *shadows.attempts(),
    *volumes.ATTEMPTS,
]
UNGUARDED = Path(__file__).parent / "escapes" / "unguarded.py"
SECONDS = 30.0
RESOURCES = {
    "Pod": "pods",
    "ConfigMap": "configmaps",
    "PersistentVolumeClaim": "persistentvolumeclaims",
}
every_attempt = pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: `said` is all that the pod, or the API, said."""

    said: str
    succeeded: bool


def test_names_are_unique() -> None:
    assert len({attempt.name for attempt in ATTEMPTS}) == len(ATTEMPTS) >= 60


# -- in a lab ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """The outcomes of all attempts in a lab."""
    with disposable(tmp_path_factory.mktemp("guarded")) as machine:
        machine.netlab("up", machine.write("/srv/lab.yaml", LAB))
        with machine.client("escapes") as client:
            yield tried(machine, client)
        machine.netlab("down", "--all")


def tried(machine: Disposable, client: Client) -> dict[str, Outcome]:
    facts = facts_in_lab(machine)
    refused = {attempt.name: refusal(client, attempt, facts) for attempt in ATTEMPTS}
    wanted = [attempt for attempt in ATTEMPTS if not refused[attempt.name]]
    with ThreadPoolExecutor(2) as pool:
        begun = {a.name: pool.submit(entered, machine, a.name) for a in wanted if a.entered}
        await_end(client, {attempt.name for attempt in wanted})
        entries = {name: future.result() for name, future in begun.items()}
    said = {attempt.name: told(client, attempt.name) for attempt in wanted}
    return {
        attempt.name: outcome(
            machine,
            attempt,
            refused[attempt.name] or said[attempt.name] + entries.get(attempt.name, ""),
        )
        for attempt in ATTEMPTS
    }


def outcome(machine: Disposable, attempt: Attempt, said: str) -> Outcome:
    """Look at what an attempt left behind."""
    harmed = bool(attempt.look) and machine.run("sh", "-c", attempt.look).returncode == 0
    return Outcome(said, harmed or attempt.has_succeeded(said, machine.token))


def facts_in_lab(machine: Disposable) -> dict[str, str]:
    """A file of the lab's own holds the token too: volumes lie on the same file system."""
    marker = machine.write(f"{machine.lab_dir('escapes')}/marker", machine.token)
    text = "from e2e.escapes import furniture; import sys; print(furniture.handle(sys.argv[1]))"
    setting = {"PYTHONPATH": ":".join(["tests", *sys.path])}
    argv = ["env", *(f"{k}={v}" for k, v in setting.items()), sys.executable, "-c", text]
    return {**machine.facts, "HANDLE": machine.run(*argv, marker).stdout.strip()}


def refusal(client: Client, attempt: Attempt, facts: dict[str, str]) -> str:
    """Create an attempt's objects; why the API refused one of them, or nothing."""
    try:
        for each in (*attempt.objects(facts), attempt.pod(facts)):
            path = f"/api/v1/namespaces/{NAMESPACE}/{RESOURCES[each['kind']]}"
            client.request("POST", path, each)
    except ApiError as error:
        return str(error)
    return ""


def entered(machine: Disposable, name: str) -> str:
    """What programs say that others run in the pod while it tries."""
    time.sleep(1)
    return "".join(
        done.stdout + done.stderr
        for _ in range(2)
        for done in [machine.netlab("exec", name, "-c", "c", "--", "/bin/true", code=None)]
    )


def await_end(client: Client, names: set[str]) -> None:
    """Wait until the pods have ended, or will not within the time."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        phases = {p["metadata"]["name"]: p["status"].get("phase") for p in client.list("Pod")}
        if all(phases.get(name) in ("Succeeded", "Failed") for name in names):
            return
        time.sleep(0.2)


def told(client: Client, name: str) -> str:
    """The logs of all containers, and what the API tells of the pod."""
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
    pod: Json = client.request("GET", path)
    said = [json.dumps(pod.get("status"))]
    for container in (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]):
        try:
            query = {"container": container["name"]}
            said.append(client.raw("GET", f"{path}/log", query=query).decode(errors="replace"))
        except ApiError as error:
            said.append(str(error))
    return "\n".join(said)


@every_attempt
def test_a_pod_stays_in_its_pod(attempt: Attempt, guarded: dict[str, Outcome]) -> None:
    found = guarded[attempt.name]
    assert not found.succeeded, found.said
    assert attempt.refusable or TRYING in found.said.splitlines(), found.said


# -- without guard -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """The outcomes of all attempts in the unguarded sandbox."""
    with (
        disposable(tmp_path_factory.mktemp("unguarded")) as machine,
        ThreadPoolExecutor(6) as pool,
    ):
        found = pool.map(lambda attempt: tried_without_guard(machine, attempt), ATTEMPTS)
        yield dict(zip([attempt.name for attempt in ATTEMPTS], found, strict=True))


def tried_without_guard(machine: Disposable, attempt: Attempt) -> Outcome:
    pod = {**attempt.pod(machine.facts), "unguarded": list(attempt.unguarded)}
    wanted = {"pod": pod, "objects": attempt.objects(machine.facts)}
    file = machine.write(f"/srv/{attempt.name}.json", json.dumps(wanted))
    done = machine.run(sys.executable, str(UNGUARDED), file)
    return outcome(machine, attempt, done.stdout + done.stderr)


@every_attempt
def test_without_guard_it_would_get_out(attempt: Attempt, unguarded: dict[str, Outcome]) -> None:
    assert unguarded[attempt.name].succeeded, unguarded[attempt.name].said
