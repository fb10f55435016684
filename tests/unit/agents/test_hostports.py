"""Host ports follow the pods' links: rules that are written before anything runs, and go again."""

from pathlib import Path

import pytest

from netlab.agents import hostports
from netlab.agents.hostports import HostPorts
from netlab.agents.podrun import PodRun
from netlab.objects.lab import Node

NODE = Node("w1", pod_cidrs=("10.244.1.0/24",))


class Links:
    def __init__(self, log):
        self.log = log
        self.failing = set()

    async def attach(self, runs):
        self.log.append(("attach", [run.uid for run in runs]))
        return {run.uid: OSError() for run in runs if run.uid in self.failing}

    async def detach(self, runs):
        self.log.append(("detach", [run.uid for run in runs]))


class Writer:
    """Whoever writes rules, and the rules it is to write."""

    def __init__(self, log):
        self.log = log

    def owned(self, owner, follows):
        self.log.append((owner, sorted(follows)))
        return self

    def set(self, wanted):
        self.wanted = wanted

    def wake(self):
        self.log.append("wake")

    async def caught_up(self):
        self.log.append("written")


def run(uid, *ports):
    container = {"name": "c", "ports": [{"containerPort": 80} | port for port in ports]}
    pod = {"metadata": {"name": uid, "uid": uid}, "spec": {"containers": [container]}}
    return PodRun(pod, "w1", (f"10.244.1.{uid[1:]}",), Path("/ns"), Path("/dir"))


@pytest.fixture
def forgotten(monkeypatch):
    """What conntrack was to forget."""
    commands = []
    monkeypatch.setattr(hostports, "run_program", lambda argv, **_: commands.append(argv))
    return commands


@pytest.fixture
def log():
    return []


@pytest.fixture
def ports(log, forgotten):
    return HostPorts(NODE, Path("/node"), "nftables", Writer(log))


def led_to(ports):
    """The pods that ports lead to, the rules' own order."""
    table = ports._writer.wanted.get("ipv4")
    return [rule.split()[5] for rule in table.chains["hostports"].rules] if table else []


async def test_a_pod_without_host_ports_costs_nothing(ports, log):
    links = ports.around(Links(log))
    await links.attach([run("u1")])
    await links.detach([run("u1")])
    assert log == [("attach", ["u1"]), ("detach", ["u1"])]


async def test_rules_are_written_once_there_is_a_link(ports, log, forgotten):
    links = ports.around(Links(log))
    await links.attach([run("u1", {"hostPort": 81}), run("u2", {"hostPort": 82}), run("u3")])
    owner = ("cni_hostport", ["OUTPUT", "PREROUTING"])
    assert log == [("attach", ["u1", "u2", "u3"]), owner, "wake", "written"]
    assert led_to(ports) == ["10.244.1.2:80", "10.244.1.1:80"] and forgotten == []
    await links.detach([run("u2", {"hostPort": 82})])
    assert log[4:] == [("detach", ["u2"]), "wake", "written"]
    assert led_to(ports) == ["10.244.1.1:80"]
    await links.detach([run("u1", {"hostPort": 81})])
    assert led_to(ports) == []


async def test_what_got_no_link_gets_no_port(ports, log):
    inner = Links(log)
    inner.failing = {"u1"}
    failed = await ports.around(inner).attach([run("u1", {"hostPort": 81})])
    assert failed.keys() == {"u1"} and log == [("attach", ["u1"])]


async def test_what_another_controller_opened_is_closed(ports, log):
    await ports.around(Links(log)).detach([run("u1", {"hostPort": 81})])
    assert log[-2:] == ["wake", "written"] and led_to(ports) == []


async def test_old_ways_of_datagrams_are_forgotten(ports, log, forgotten):
    await ports.around(Links(log)).attach([run("u1", {"hostPort": 53, "protocol": "UDP"})])
    (argv,) = forgotten
    assert argv == ["conntrack", "-D", "-f", "ipv4", "-p", "udp", "--orig-port-dst", "53"]
