"""Containers that are built-in servers, before a responder that does as it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.agents import lifecycle as lifecycle_module
from netlab.agents import servers as module
from netlab.agents.certificates import ClusterNames, PodCertificates
from netlab.agents.probes.attempt import ProbeOutcome
from netlab.agents.servers import PodServers, served_uid
from netlab.errors import NetlabError
from netlab.retry import Retry
from netlab.workload.certificate import SubjectNames
from netlab.workload.served import ServedPod

WEB = {"name": "web", "image": "nginx"}
SECURE = {**WEB, "name": "secure", "ports": [{"containerPort": 443}]}
QUIET = {"name": "pause", "image": "registry.k8s.io/pause:3.9"}


class Responder:
    """What is asked of it; `problems` are what the next requests to serve are answered."""

    def __init__(self) -> None:
        self.served: dict[str, ServedPod] = {}
        self.certificates: dict[str, str] = {}
        self.messages: list[list[str]] = []
        self.stopped: list[str] = []
        self.problems: list[list[str] | Exception] = []

    async def list(self) -> dict[str, ServedPod]:
        return dict(self.served)

    async def serve(
        self, wanted: list[ServedPod], certificates: dict[str, str]
    ) -> dict[str, list[str]]:
        self.certificates |= certificates
        self.messages.append([each.uid for each in wanted])
        found = self.problems.pop(0) if self.problems else None
        if isinstance(found, Exception):
            raise found
        if found:
            return {each.uid: found for each in wanted}
        self.served |= {each.uid: each for each in wanted}
        return {}

    async def leave(self, uid: str) -> None:
        await self.stop([uid])

    async def stop(self, uids: list[str]) -> None:
        self.stopped += uids
        for uid in uids:
            self.served.pop(uid, None)


class Signer:
    """Signs with the names themselves; does not, while it has a `refusal`."""

    refusal: NetlabError | None = None

    def issue(self, names: SubjectNames) -> str:
        if self.refusal:
            raise self.refusal
        return " ".join(names.names)


signer = Signer()


class Watched:
    """Informers of which nothing is heard."""

    def __getitem__(self, kind: str) -> Watched:
        return self

    def add_listener(self, listener: Any) -> None:
        pass

    def items(self) -> list[Any]:
        return []


def certificates(keeper: Any) -> PodCertificates:
    return PodCertificates(signer, Watched(), keeper, ClusterNames("cluster.local"))  # type: ignore[arg-type]


KILLED: list[tuple[str, str]] = []


def kill(_run: Any, container: str, why: str, _grace: float | None) -> None:
    """Ends what is a process by now."""
    KILLED.append((container, why))


@pytest.fixture
def keeper(keeper: Any) -> Any:
    keeper.client = Responder()
    return keeper


@pytest.fixture
async def servers(keeper, lifecycle, monkeypatch):
    monkeypatch.setattr(lifecycle_module, "BACK_OFF", Retry(0.01))
    monkeypatch.setattr(module, "REFUSED_RETRY", 0.01)
    monkeypatch.setattr(module, "RELEASE_RETRY", 0.001)

    async def again(run: Any, name: str) -> None:
        await servers.start([(run, name, {})])

    servers = PodServers(keeper, lifecycle, again, certificates(keeper), kill)
    yield servers
    await servers.detach()


async def test_all_that_is_wanted_goes_in_one_message(servers, keeper, recorder, pod_run):
    run = pod_run(WEB, {**WEB, "name": "other"}, QUIET)
    await servers.start([(run, name, {}) for name in run.names])
    assert keeper.client.messages == [["u/web", "u/other"]]
    assert all(run.state(name).ready for name in run.names)
    assert recorder.told.count("Created: Created container: web") == 1
    (container,) = keeper.client.served["u/web"].containers
    assert container.name == "web"


async def test_what_answers_nowhere_runs_without_the_responder(servers, keeper, pod_run):
    run = pod_run(QUIET)
    await servers.start([(run, "pause", {})])
    assert run.state("pause").running
    assert keeper.client.messages == []


async def test_a_port_in_use_is_told_and_tried_again(servers, keeper, recorder, pod_run, until):
    run, waiting = pod_run(WEB), []
    run.on_change = lambda run: waiting.append((run.state("web").waiting, run.state("web").message))
    keeper.client.problems = [["port 80: in use"], NetlabError("no answer"), KeyError("web")]
    await servers.start([(run, "web", {})])
    assert not run.state("web").running
    await until(lambda: run.state("web").running)
    assert ("CreateContainerError", "port 80: in use") in waiting
    assert ("CreateContainerError", "no answer") in waiting
    assert ("CreateContainerError", "unexpected error: KeyError('web')") in waiting
    assert recorder.warnings == [
        "Failed: Error: port 80: in use",
        "Failed: Error: no answer",
        "Failed: Error: unexpected error: KeyError('web')",
    ]
    assert keeper.client.stopped == ["u/web"] * 3, "what is half open is closed first"


async def test_one_that_nobody_can_make_out_holds_up_no_other(
    servers, keeper, recorder, pod_run, until, monkeypatch
):
    run, made = pod_run(WEB, {**WEB, "name": "other"}), module.served_container
    broken = ["web"]

    def served_container(run, name, env):
        if name in broken:
            raise TypeError("None")
        return made(run, name, env)

    monkeypatch.setattr(module, "served_container", served_container)
    await servers.start([(run, name, {}) for name in run.names])
    assert run.state("other").running
    assert run.state("web").waiting == "CreateContainerError"
    assert recorder.warnings == ["Failed: Error: unexpected error: TypeError('None')"]
    broken.clear()
    await until(lambda: run.state("web").running)


async def test_one_that_a_probe_kills_is_closed_and_starts_again_alone(
    servers, keeper, recorder, actions, pod_run, until
):
    failing = {"httpGet": {"port": 80}, "periodSeconds": 0.01, "failureThreshold": 1}
    run = pod_run({**WEB, "livenessProbe": failing}, {**WEB, "name": "other"})
    actions.answer = ProbeOutcome(False, "no")
    await servers.start([(run, name, {}) for name in run.names])
    await until(lambda: run.state("web").restarts == 1)
    actions.answer = ProbeOutcome(True, "")
    await until(lambda: run.state("web").running)
    assert set(keeper.client.stopped) == {"u/web"}
    assert run.state("other").restarts == 0
    assert run.state("web").last["exitCode"] == lifecycle_module.KILLED
    killed = "Killing: Container web failed liveness probe, will be restarted"
    assert killed in recorder.told


async def test_one_that_is_not_to_run_again_stays_closed(servers, keeper, actions, pod_run, until):
    actions.answer = ProbeOutcome(False, "no")
    hook = {"lifecycle": {"postStart": {"exec": {"command": ["x"]}}}}
    run = pod_run({**WEB, **hook}, restartPolicy="Never")
    await servers.start([(run, "web", {})])
    await until(lambda: run.state("web").exit_code is not None)
    await asyncio.sleep(0.05)
    assert keeper.client.served == {}
    assert run.state("web").restarts == 0


async def test_stopping_closes_all_and_lets_nothing_come_back(servers, keeper, pod_run):
    run = pod_run(WEB, QUIET)
    keeper.client.problems = [["port 80: in use"]]
    await servers.start([(run, name, {}) for name in run.names])
    await servers.stop(run, ["web", "pause"])
    await asyncio.sleep(0.05)
    assert keeper.client.stopped == ["u/web", "u/pause"]
    assert len(keeper.client.messages) == 1


async def test_one_that_ends_while_it_is_started_does_not_begin(servers, recorder, pod_run):
    run = pod_run(WEB)
    run.stopping = True
    await servers.start([(run, "web", {})])
    assert not run.state("web").running
    assert recorder.told == []


# -- the responder, and the controller, start anew -------------------------------------------------


async def test_a_new_responder_is_told_of_all_until_the_ports_are_free(servers, keeper, pod_run):
    run = pod_run(WEB, {**WEB, "name": "other"})
    await servers.start([(run, name, {}) for name in run.names])
    keeper.client.served.clear()
    keeper.client.problems = [["port 80: in use"]] * 2
    await keeper.serve_all()
    assert set(keeper.client.served) == {"u/web", "u/other"}
    assert len(keeper.client.messages) == 4


async def test_ports_that_never_come_free_are_logged(servers, keeper, pod_run, caplog):
    run = pod_run(WEB)
    await servers.start([(run, "web", {})])
    keeper.client.problems = [["port 80: in use"]] * module.RELEASE_TRIES
    await keeper.serve_all()
    assert "u/web: port 80: in use" in caplog.text


async def test_what_is_answered_already_is_left_alone(
    servers, keeper, lifecycle, recorder, pod_run
):
    run = pod_run(WEB)
    await servers.start([(run, "web", {})])
    later = PodServers(keeper, lifecycle, servers._start_again, certificates(keeper), kill)
    assert await later.adopt() == {"u"}
    at = "2026-01-01T00:00:00Z"
    known = {"name": "web", "started": True, "ready": True, "restartCount": 0}
    known["state"] = {"running": {"startedAt": at}}
    again = pod_run(WEB, status={"containerStatuses": [known]})
    again.renewed = False
    told = len(recorder.told)
    await later.start([(again, "web", {})])
    assert keeper.client.messages == [["u/web"]]
    assert again.state("web").started_at == at
    assert len(recorder.told) == told


async def test_what_is_answered_in_a_namespace_that_is_gone_is_served_anew(
    servers, keeper, lifecycle, pod_run
):
    await servers.start([(pod_run(WEB), "web", {})])
    later = PodServers(keeper, lifecycle, servers._start_again, certificates(keeper), kill)
    await later.adopt()
    await later.start([(pod_run(WEB), "web", {})])  # a run is `renewed` unless somebody says not
    assert keeper.client.messages == [["u/web"], ["u/web"]]


async def test_what_is_a_process_by_now_is_left_and_no_longer_restarted_here(
    servers, keeper, pod_run, monkeypatch
):
    run = pod_run(WEB)
    await servers.start([(run, "web", {})])
    await servers.leave(run, "web")
    assert keeper.client.stopped == ["u/web"]
    run.entered.add("web")
    await servers._restart(run, "web", "failed liveness probe", None)
    assert KILLED == [("web", "failed liveness probe")]
    assert keeper.client.stopped == ["u/web"]


async def test_what_belongs_to_no_pod_any_more_is_closed(servers, keeper, lifecycle, pod_run):
    await servers.start([(pod_run(WEB), "web", {})])
    later = PodServers(keeper, lifecycle, servers._start_again, certificates(keeper), kill)
    await later.adopt()
    await later.forget("another")
    assert keeper.client.stopped == []
    await later.forget("u")
    assert keeper.client.stopped == [served_uid(pod_run(WEB), "web")]


async def test_who_speaks_tls_gets_a_certificate_and_holds_nobody_up(servers, keeper, pod_run):
    run = pod_run(SECURE, WEB)
    await servers.start([(run, name, {}) for name in run.names])
    assert keeper.client.messages == [["u/web"], ["u/secure"]]
    assert list(keeper.client.certificates) == ["u/secure"]
    keeper.client.certificates.clear()
    await keeper.serve_all()  # it was started anew
    assert list(keeper.client.certificates) == ["u/secure"]


async def test_without_a_certificate_a_container_says_why(
    servers, keeper, pod_run, until, monkeypatch
):
    monkeypatch.setattr(signer, "refusal", NetlabError("openssl is missing"))
    run, waiting = pod_run(SECURE), []
    run.on_change = lambda run: waiting.append(run.state("secure").message)
    await servers.start([(run, "secure", {})])
    assert "openssl is missing" in waiting
    assert keeper.client.served == {}
    monkeypatch.setattr(signer, "refusal", None)
    await until(lambda: run.state("secure").running)
