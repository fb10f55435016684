"""What somebody breaks by hand is put right within seconds, and told: one lab, many breakages."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab import inventory
from netlab.client.sync import Client
from netlab.kernel import netns, paths
from netlab.network import diff, mend, plan
from netlab.network.model import PodLink

pytestmark = pytest.mark.root

LAB = (
    manifests.lab("heal", nodes=3)
    + manifests.web(replicas=6, image=manifests.GREETER)
    + manifests.service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
)

SECONDS = 10.0
"""Within five it is put right; the machine that runs the tests may be busy."""

# Those of one round are broken together. PORT is the port of the pod that the round is about.
ROUNDS = {
    "links down": [
        ("worker001", "ip link set eth0 down && ip link set eth0 up"),
        ("worker002", "ip link set cni0 down"),
        ("internet", "ip link set eth0 down"),
        ("POD", "ip link set eth0 down"),
    ],
    "links gone": [
        ("worker001", "ip link delete eth1"),
        ("worker002", "ip link delete cni0"),
        ("POD", "ip link delete eth0"),
    ],
    "ports gone": [
        ("fabric", "ip link delete worker001-eth0"),
        ("worker001", "ip link delete PORT"),
    ],
    "switches gone": [("fabric", "ip link delete nodes && ip link delete external")],
    "out of the bridge": [
        ("fabric", "ip link set worker002-eth0 nomaster"),
        ("worker001", "ip link set PORT nomaster"),
    ],
    "renamed": [
        ("worker001", "ip link set eth0 down && ip link set eth0 name uplink"),
        ("worker002", "ip link set cni0 down && ip link set cni0 name br0 && ip link set br0 up"),
        ("POD", "ip link set eth0 down && ip link set eth0 name mine"),
    ],
    "addresses": [
        ("worker001", "ip addr flush dev eth0"),
        ("client", "ip addr flush dev eth0"),
        ("POD", "ip addr flush dev eth0"),
    ],
    "routes": [
        ("master001", "ip route delete default"),
        ("worker001", "ip route flush table main"),
        ("worker002", "ip route replace 10.244.1.0/24 via 10.10.11.10"),
        ("POD", "ip route delete default"),
    ],
    "neighbours": [
        ("worker001", "ip neigh replace 10.10.11.12 lladdr 02:0:0:0:0:9 dev eth0 nud permanent"),
        ("worker001", "ip neigh replace ADDRESS lladdr 02:0:0:0:0:9 dev cni0 nud permanent"),
        ("worker002", "ip neigh flush all"),
        ("POD", "ip neigh replace 10.244.1.1 lladdr 02:0:0:0:0:9 dev eth0 nud permanent"),
    ],
    "sysctls": [
        ("worker001", "sysctl -qw net.ipv4.ip_forward=0"),
        ("worker002", "sysctl -qw net.ipv4.conf.all.arp_ignore=0"),
        ("POD", "sysctl -qw net.ipv4.ip_unprivileged_port_start=1024"),
    ],
    "sizes and hardware addresses": [
        ("worker001", "ip link set eth0 mtu 576 && ip link set PORT mtu 576"),
        ("worker002", "ip link set eth0 address 02:00:00:00:00:09"),
        ("POD", "ip link set eth0 address 02:00:00:00:00:09"),
    ],
    "how a port is treated": [
        ("worker001", "tc qdisc delete dev PORT ingress"),
        ("worker001", "bridge fdb delete MAC dev PORT master"),
        ("worker001", "bridge link set dev PORT hairpin off learning on"),
    ],
    "names": [("worker001", "ip netns delete"), ("fabric", "ip netns delete")],
    "names of pods": [("POD", "ip netns delete")],
    "names taken": [("worker001", "ip netns delete; ip netns add")],
}


class Heal:
    """The lab, how it was planned, and its pods of worker001."""

    def __init__(self, here: Machine) -> None:
        self.here = here
        self.directory = here.base / "run" / "heal"
        self.lab = inventory.read_lab(self.directory)
        self.network = plan.cluster(self.lab)
        with Client(paths.api_socket(self.directory)) as client:
            self.pods = list(client.list("Pod", "default"))
        self.links = [self._link(pod) for pod in self.pods]
        self.known = diff.stations(self.network) | {
            address.split("/")[0]: link.inside.link("eth0").mac
            for link in self.links
            for address in link.inside.link("eth0").addresses
        }

    def _link(self, pod: dict[str, Any]) -> PodLink:
        node = self.lab.node(pod["spec"]["nodeName"])
        assert node is not None
        meta, ips = pod["metadata"], [pod["status"]["podIP"]]
        return plan.pod_link(self.lab, node, "default", meta["name"], meta["uid"], ips)

    def damage(self) -> list[str]:
        """What is not as planned, in words that do it by hand."""
        lost = [
            name
            for name in (*(n.name for n in self.network.namespaces), *(p.name for p in self.links))
            if not netns.exists(paths.namespace(self.directory, name))
            or not (self.here.base / "netns" / name).is_symlink()
        ]
        if lost:
            return lost
        found = list(mend.cluster_damage(self.network, self.directory, self.known))
        pods = mend.pod_damage(self.links, self.directory, self.known)
        return [each.describe() for each in (*found, *(o for own in pods.values() for o in own))]

    def is_sound(self) -> bool:
        damage = self.damage()
        assert not damage, damage
        return True

    def break_(self, place: str, command: str, link: PodLink) -> None:
        name = link.name if place == "POD" else f"heal.{place}"
        words = {"PORT": link.port.name, "ADDRESS": link.inside.link("eth0").addresses[0]}
        for word, value in {**words, "MAC": link.inside.link("eth0").mac}.items():
            command = command.replace(word, value.split("/")[0])
        if command == "ip netns delete":  # which looks in /run/netns alone
            netns.remove(paths.namespace(self.directory, name))
            (self.here.base / "netns" / name).unlink()
            return
        if command == "ip netns delete; ip netns add":
            with self.asleep():
                netns.remove(paths.namespace(self.directory, name))
                os.close(netns.create(paths.namespace(self.directory, name)))
            return
        self.here.run_in(name, "sh", "-ec", command)

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """Nobody mends meanwhile: of two things that are done one after the other, the kernel may
        take its time for the first."""
        pid = int(paths.controller_pid(self.directory).read_text())
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def all_answer(self) -> bool:
        """From the nodes, from outside, and from pod to pod."""
        places = ["heal.master001", "heal.worker002", self.links[-1].name]
        targets = [pod["status"]["podIP"] for pod in self.pods]
        tries = [(place, target) for place in places for target in targets]
        tries += [("heal.client", f"172.16.110.1{n}:30080") for n in range(3)]
        return all(self.answers(*each) for each in tries)

    def answers(self, place: str, target: str) -> bool:
        try:
            return "web-" in self.here.curl(place, target)
        except subprocess.CalledProcessError:
            return False

    def events(self, reason: str) -> list[tuple[str, str]]:
        with Client(paths.api_socket(self.directory)) as client:
            return [
                (event["involvedObject"]["name"], event["message"])
                for event in client.list("Event", "default")
                if event["reason"] == reason
            ]

    def condition(self, node: str, kind: str) -> dict[str, Any]:
        with Client(paths.api_socket(self.directory)) as client:
            found = client.request("GET", f"/api/v1/nodes/{node}")
        return next(c for c in found["status"]["conditions"] if c["type"] == kind)


@pytest.fixture(scope="module")
def heal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Heal]:
    before = {key: os.environ.get(key) for key in (paths.RUN_VARIABLE, paths.NETNS_DIR_VARIABLE)}
    with machine(tmp_path_factory.mktemp("heal")) as here:
        os.environ.update({key: here.environment[key] for key in before})
        here.netlab("up", here.lab_file(LAB))
        yield Heal(here)
        here.netlab("down")
    for key, value in before.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value


@pytest.mark.parametrize("number", range(len(ROUNDS)), ids=[*ROUNDS])
def test_what_is_broken_by_hand_is_put_right(heal: Heal, number: int) -> None:
    breakages = list(ROUNDS.values())[number]
    there = [link for link in heal.links if link.node == "heal.worker001"]
    link = there[number % len(there)]
    eventually(heal.is_sound, SECONDS)
    for place, command in breakages:
        heal.break_(place, command, link)
    eventually(heal.is_sound, SECONDS)
    eventually(heal.all_answer, SECONDS)


def test_what_was_found_is_told(heal: Heal) -> None:
    heal.break_("worker001", "ip link set eth1 down", heal.links[0])
    pod = heal.links[0]
    heal.break_("POD", "ip addr flush dev eth0", pod)
    name = pod.name.rpartition(".")[2]
    told = [("worker001", "eth1 is down"), (name, "eth0 lacks")]

    def is_told() -> bool:
        events = heal.events("NetworkChanged")
        return all(
            any(about == who and text in message for about, message in events) for who, text in told
        )

    eventually(is_told, SECONDS)
    eventually(lambda: any("eth1 is down" in m for _, m in heal.events("NetworkMended")))
    # Of a node whose name was another namespace's for a while, rules may have been missed there.
    before = heal.events("RulesChanged")
    heal.break_("worker002", "iptables -t nat -F", pod)

    def is_told_of_rules() -> bool:
        told = [each for each in heal.events("RulesChanged") if each not in before]
        assert [who for who, _ in told] == ["worker002"]
        return True

    eventually(is_told_of_rules, SECONDS)
    # What the kernel does by itself after a link came up may be found, and mended, once more.
    eventually(lambda: heal.condition("worker001", "NetworkUnavailable")["status"] == "False")
    assert heal.condition("worker001", "NetworkUnavailable")["reason"] == "NetworkAsPlanned"
    assert heal.condition("worker001", "Ready")["status"] == "True"


def test_what_cannot_be_put_right_is_told_while_it_lasts(heal: Heal) -> None:
    """Somebody's link has the index that ours is to have: that one is not ours to delete."""
    where = "heal.worker001"
    taken = "ip link add mine index 4 type vxlan id 7 dstport 4789"
    with heal.asleep():
        heal.break_("worker001", f"ip link delete cni0 && {taken}", heal.links[0])

    def conditions() -> list[str]:
        kinds = ("NetworkUnavailable", "Ready")
        return [heal.condition("worker001", kind)["status"] for kind in kinds]

    eventually(lambda: conditions() == ["True", "False"], SECONDS)
    assert "the bridge cni0 is gone" in heal.condition("worker001", "Ready")["message"]
    status = heal.here.netlab("status", code=1).stdout
    assert "worker001" in status
    assert "the bridge cni0 is gone" in status
    heal.here.run_in(where, "ip", "link", "delete", "mine")
    eventually(lambda: conditions() == ["False", "True"], SECONDS)
    eventually(heal.is_sound, SECONDS)
    heal.here.status()


def test_of_a_pod_too_is_told_what_cannot_be_put_right(heal: Heal) -> None:
    link = heal.links[1]
    number = link.inside.link("eth0").index
    taken = f"ip link add mine index {number} type vxlan id 7 dstport 4789"
    with heal.asleep():
        heal.break_("POD", f"ip link delete eth0 && {taken}", link)
    name = link.name.rpartition(".")[2]

    def said() -> list[str]:
        return [text for who, text in heal.events("NetworkChanged") if who == name]

    eventually(lambda: any("hand, not put back (cannot " in text for text in said()), SECONDS)
    heal.here.run_in(link.name, "ip", "link", "delete", "mine")
    eventually(heal.is_sound, SECONDS)
    eventually(lambda: any("hand, put back: " in text for text in said()), SECONDS)


def kill_controller(heal: Heal) -> None:
    pid = int(paths.controller_pid(heal.directory).read_text())
    descriptor = os.pidfd_open(pid)
    os.kill(pid, 9)
    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)


def test_what_was_broken_while_nobody_looked_is_put_right_at_the_next_start(heal: Heal) -> None:
    kill_controller(heal)
    heal.break_("worker002", "ip netns delete", heal.links[0])
    heal.break_("worker001", "ip link delete cni0", heal.links[0])
    heal.here.netlab("up", heal.here.base / "lab.yaml")
    eventually(heal.is_sound, SECONDS)
    eventually(heal.all_answer, SECONDS)


def test_what_a_pod_does_beside_is_its_own(heal: Heal) -> None:
    link = heal.links[0]
    before = len(heal.events("NetworkChanged"))
    own = "ip addr add 192.0.2.9/24 dev eth0 && ip route add 203.0.113.0/24 via 192.0.2.1"
    heal.break_("POD", f"{own} && ip link set eth0 mtu 1300", link)
    heal.break_("POD", "ip link set lo down", link)
    eventually(lambda: len(heal.events("NetworkChanged")) > before, SECONDS)
    shown = heal.here.run_in(link.name, "sh", "-c", "ip addr; ip route").stdout
    assert all(each in shown for each in ("192.0.2.9", "203.0.113.0/24", "mtu 1300"))
    assert not heal.damage()


def test_addresses_of_pods_that_went_rest_also_when_the_controller_was_killed(heal: Heal) -> None:
    """Their neighbours still believe that they know where those are."""

    def pods() -> list[dict[str, Any]]:
        with Client(paths.api_socket(heal.directory)) as client:
            return list(client.list("Pod", "default"))

    def scale(replicas: int) -> None:
        with Client(paths.api_socket(heal.directory)) as client:
            client.request(
                "PATCH",
                "/apis/apps/v1/namespaces/default/deployments/web",
                {"spec": {"replicas": replicas}},
                content_type="application/merge-patch+json",
            )

    def addresses() -> set[str]:
        return {pod["status"].get("podIP", "") for pod in pods()} - {""}

    before = addresses()
    scale(0)
    eventually(lambda: pods() == [], SECONDS)
    kill_controller(heal)
    heal.here.netlab("up", heal.here.base / "lab.yaml")
    eventually(lambda: len(addresses()) == 6, SECONDS)
    assert before.isdisjoint(addresses())
