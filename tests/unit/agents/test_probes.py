import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.agents.podrun import new_run
from netlab.agents.probes.attempt import ProbeOutcome
from netlab.agents.probes.probe import (
    Exec,
    HttpGet,
    Streak,
    TcpSocket,
    port_number,
    probes_of,
    request,
    target,
)
from netlab.agents.probes.prober import Prober
from netlab.errors import NetlabError

CONTAINER = {"name": "c", "ports": [{"name": "web", "containerPort": 8080}]}


def test_defaults_are_kubernetes_own():
    (probe,) = probes_of({"livenessProbe": {"tcpSocket": {"port": 1}}})
    assert (probe.kind, probe.initial_delay, probe.period, probe.timeout) == ("Liveness", 0, 10, 1)
    assert (probe.successes, probe.failures, probe.grace) == (1, 3, None)
    assert probes_of({"name": "c"}) == ()


@pytest.mark.parametrize(
    ("action", "wanted"),
    [
        ({"tcpSocket": {"port": "web"}}, TcpSocket("10.0.0.2", 8080)),
        ({"tcpSocket": {"port": 5, "host": "10.9.9.9"}}, TcpSocket("10.9.9.9", 5)),
        ({"httpGet": {"port": 80}}, HttpGet("10.0.0.2", 80, "/")),
        ({"httpGet": {"port": 80, "path": "a b\r\nX: y?c=%20&d=é#e"}},
         HttpGet("10.0.0.2", 80, "/a%20b%0D%0AX:%20y?c=%20&d=%C3%A9#e")),
        ({"httpGet": {"port": "81", "path": "x", "scheme": "HTTPS"}},
         HttpGet("10.0.0.2", 81, "/x", tls=True)),
        ({"exec": {"command": ["a", "b"]}}, Exec(("a", "b"))),
    ],
)  # fmt: skip
def test_targets(action, wanted):
    assert target(action, CONTAINER, "10.0.0.2") == wanted


def test_what_cannot_be_had_says_why():
    with pytest.raises(NetlabError, match="gRPC probes are not supported"):
        target({"grpc": {"port": 1}}, CONTAINER, "10.0.0.2")
    with pytest.raises(NetlabError, match="couldn't find port"):
        port_number("nothing", CONTAINER)


def test_headers_of_the_spec_replace_the_kubelets():
    text = request(HttpGet("fd00::1", 80, "/x", {"Host": "shop.example", "X-A": "1"})).decode()
    assert text.startswith("GET /x HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: kube-probe/")
    assert text.endswith("X-A: 1\r\n\r\n")
    assert HttpGet("fd00::1", 80, "/x").url == "http://[fd00::1]:80/x"


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4), st.integers(1, 4))
async def test_a_verdict_needs_enough_equal_answers_in_a_row(answers, successes, failures):
    tally = Streak(successes, failures)
    for number, good in enumerate(answers):
        enough = successes if good else failures
        last = answers[max(0, number + 1 - enough) : number + 1]
        certain = len(last) == enough and set(last) == {good}
        assert tally.add(good) == (good if certain else None)


@dataclass
class Answers:
    """Gives each attempt the next answer, and the last for ever."""

    by_action: dict[str, list[bool]]
    asked: list[str] = field(default_factory=list)

    async def attempt(self, _run, _container, action, _timeout):
        name = action["name"]
        self.asked.append(name)
        answers = self.by_action[name]
        good = answers.pop(0) if len(answers) > 1 else answers[0]
        return ProbeOutcome(good, "" if good else "no")

    def are_left(self):
        return any(len(answers) > 1 for answers in self.by_action.values())


class Said:
    def __init__(self):
        self.unhealthy_probes = []

    def unhealthy(self, _run, probe, message):
        self.unhealthy_probes.append(f"{probe}: {message}")


async def probed(spec, answers, seconds=0.2):
    """What becomes of a container with these probes, whose periods are 10 ms."""
    quick = {"periodSeconds": 0.01}
    probes = {name: {"name": name, **quick, **probe} for name, probe in spec.items()}
    pod = {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [{"name": "c", "image": "i", **probes}]},
    }
    run = new_run(pod, "node", ("10.0.0.2",), None, None)
    run.state("c").begin("t", "id")
    run.state("c").started = "startupProbe" not in spec
    killed, said, changes = [], Said(), []
    run.on_change = lambda run: changes.append((run.state("c").started, run.state("c").ready))
    actions = Answers(answers)
    prober = Prober(actions, said)
    prober.watch(run, "c", lambda _run, _name, why, grace: killed.append((why, grace)))
    asked = -1
    while asked < len(actions.asked) and (asked < 0 or actions.are_left()):  # on a busy machine
        asked = len(actions.asked)
        await asyncio.sleep(seconds)
    prober.stop()
    return changes, killed, said.unhealthy_probes, actions.asked


async def test_readiness_comes_and_goes():
    changes, killed, unhealthy, _ = await probed(
        {"readinessProbe": {"failureThreshold": 2}},
        {"readinessProbe": [False, True, False, True, False, False, True]},
    )
    assert [ready for _, ready in changes] == [True, False, True]
    assert killed == []
    assert unhealthy == ["Readiness: no"] * 4


async def test_a_failing_liveness_probe_asks_once_for_the_end():
    _, killed, unhealthy, asked = await probed(
        {"livenessProbe": {"failureThreshold": 3, "terminationGracePeriodSeconds": 5}},
        {"livenessProbe": [True, False, False, False, False]},
    )
    assert killed == [("failed liveness probe", 5.0)]
    assert len(unhealthy) == 3
    assert len(asked) == 4


async def test_nothing_else_is_asked_before_the_start_has_succeeded():
    changes, killed, _, asked = await probed(
        {"startupProbe": {}, "livenessProbe": {}, "readinessProbe": {}},
        {"startupProbe": [False, False, True], "livenessProbe": [True], "readinessProbe": [True]},
    )
    assert asked[:3] == ["startupProbe"] * 3
    assert "startupProbe" not in asked[3:]
    assert changes == [(True, False), (True, True)]
    assert killed == []


async def test_a_start_that_never_succeeds_ends_the_container():
    _, killed, _, asked = await probed({"startupProbe": {}, "livenessProbe": {}},
                                 {"startupProbe": [False], "livenessProbe": [False]})  # fmt: skip
    assert killed == [("failed startup probe", None)]
    assert asked == ["startupProbe"] * 3
