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
from e2e import manifests
from e2e.escapes import files, kernel, mounts, networks, overlays, processes, shadows, volumes
from e2e.escapes.attempt import NAMESPACE, TRYING, Attempt, Json
from e2e.escapes.disposable import Disposable, disposable
from e2e.labs import eventually

from netlab.client.sync import Client
from netlab.errors import ApiError

pytestmark = pytest.mark.root

LAB = manifests.lab("escapes")
ATTEMPTS = [
    *files.ATTEMPTS,
    *mounts.ATTEMPTS,
    *kernel.ATTEMPTS,
    *processes.ATTEMPTS,
    *networks.ATTEMPTS,
    *shadows.attempts(),
    *volumes.ATTEMPTS,
    *overlays.ATTEMPTS,
]
UNGUARDED = Path(__file__).parent / "escapes" / "unguarded.py"
SECONDS = 30.0
RACE_SECONDS = 10.0
TOGETHER = 5
RESOURCES = {
    "Pod": "pods", "ConfigMap": "configmaps", "PersistentVolumeClaim": "persistentvolumeclaims",
}  # fmt: skip
every_attempt = pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt.name)


@dataclass(frozen=True)
class Outcome:
    """What came of an attempt: `said` is all that the pod, or the API, said.

    `withheld` is what the machine does not have for anybody.
    """

    said: str
    succeeded: bool
    withheld: bool = False


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


def tried(machine: Disposable, client: Client) -> dict[str, Outcome]:
    """Try everything: in waves, where somebody has to come in or a race is to be won."""
    facts = facts_in_lab(machine)
    refused: dict[str, str] = {}
    said: dict[str, str] = {}

    def begin(attempts: list[Attempt]) -> list[str]:
        refused.update((each.name, refusal(client, each, facts)) for each in attempts)
        return [attempt.name for attempt in attempts if not refused[attempt.name]]

    begin([attempt for attempt in ATTEMPTS if not attempt.entered and not attempt.races])
    with ThreadPoolExecutor(TOGETHER) as pool:
        for attempts in waves([attempt for attempt in ATTEMPTS if attempt.entered]):
            left = begin(attempts)
            said |= zip(left, pool.map(lambda name: entered(machine, name), left), strict=True)
            await_end(client, set(left))
    await_end(client, {a.name for a in ATTEMPTS if not (a.races or a.refusable)})
    begin([attempt for attempt in ATTEMPTS if attempt.races])
    time.sleep(RACE_SECONDS)
    for name in [name for name, reason in refused.items() if not reason]:
        said[name] = told(client, name) + said.get(name, "")
    return {a.name: outcome(machine, a, refused[a.name] or said[a.name]) for a in ATTEMPTS}


def waves(attempts: list[Attempt]) -> Iterator[list[Attempt]]:
    for index in range(0, len(attempts), TOGETHER):
        yield attempts[index : index + TOGETHER]


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
            if each["kind"] == "Pod" and each["metadata"]["name"] != attempt.name:
                eventually(lambda name=each["metadata"]["name"]: has_begun(client, name), 60)
    except ApiError as error:
        assert error.code in (403, 422), f"{attempt.name}: {error}"
        return str(error)
    return ""


def has_begun(client: Client, name: str) -> bool:
    found: Json = client.request("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{name}")
    return found["status"].get("phase") not in (None, "Pending")


def entered(machine: Disposable, name: str) -> str:
    """What programs say that others run in the pod while it tries."""
    with machine.client("escapes") as client:
        eventually(lambda: has_begun(client, name), 60)
    return "".join(machine.exec("escapes", name, "/bin/true") for _ in range(3))


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
    if attempt.wants and machine.run("sh", "-c", attempt.wants).returncode:
        return Outcome("", succeeded=False, withheld=True)
    pod = {**attempt.pod(machine.facts), "unguarded": list(attempt.unguarded)}
    wanted = {"pod": pod, "objects": attempt.objects(machine.facts)}
    file = machine.write(f"/srv/{attempt.name}.json", json.dumps(wanted))
    # What takes chance, and more on a busy machine, ends as soon as it has succeeded.
    patience = ["50"] if attempt.entered or attempt.races else ["20"]
    done = machine.run(sys.executable, str(UNGUARDED), file, *patience, timeout=100)
    return outcome(machine, attempt, done.stdout + done.stderr)


@pytest.mark.slow  # it changes with the attempts alone, not with netlab
@every_attempt
def test_without_guard_it_would_get_out(attempt: Attempt, unguarded: dict[str, Outcome]) -> None:
    found = unguarded[attempt.name]
    if found.withheld:
        pytest.skip(f"the machine itself refuses: {attempt.wants}")
    assert found.succeeded, found.said
