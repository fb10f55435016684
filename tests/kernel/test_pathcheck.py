"""Checks in a tiny world made by hand: a client outside, one node, three pods on its bridge."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from msgspec.structs import replace

from netlab.dns.server import DnsServer, names_keeper
from netlab.kernel import netns, process, sysctl
from netlab.kernel.run import run
from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Spread, Target
from netlab.pathcheck.check import run_checks
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.world import Place, World

pytestmark = pytest.mark.root

PODS = {"web-0": "10.244.1.5", "web-1": "10.244.1.6", "box": "10.244.1.7"}
CLUSTER_IP, NODE_PORT = "10.96.0.7", 30080
MASQUERADE = "-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE --random-fully"
RULES = f"""*nat
:SVC - [0:0]
:EXT - [0:0]
-A PREROUTING -d {CLUSTER_IP}/32 -p tcp --dport 80 -j SVC
-A OUTPUT -d {CLUSTER_IP}/32 -p tcp --dport 80 -j SVC
-A PREROUTING -d {CLUSTER_IP}/32 -p udp --dport 99 -j DNAT --to-destination 10.244.1.6:99
-A PREROUTING -p tcp --dport {NODE_PORT} -m addrtype --dst-type LOCAL -j EXT
-A EXT -j MARK --set-xmark 0x4000/0x4000
-A EXT -j SVC
-A SVC -p tcp -m statistic --mode random --probability 0.5 -j DNAT --to-destination 10.244.1.5:8080
-A SVC -p tcp -j DNAT --to-destination 10.244.1.6:8080
{MASQUERADE}
COMMIT
*filter
-A FORWARD -d 10.96.0.8/32 -p tcp -j REJECT --reject-with icmp-port-unreachable
-A OUTPUT -d 10.96.0.8/32 -p tcp -j REJECT --reject-with icmp-port-unreachable
-A FORWARD -d 10.96.0.9/32 -j DROP
-A OUTPUT -d 10.96.0.9/32 -j DROP
COMMIT
"""


def run_check(check: PathCheck, world: World) -> CheckResult:
    """Prove or refute one check."""
    return run_checks([check], world)[0]


@dataclass
class Machines:
    """The namespaces by name, and the sockets that serve in them."""

    directory: Path
    netns: dict[str, int] = field(default_factory=dict)
    servers: list[socket.socket] = field(default_factory=list)

    def create(self, name: str) -> None:
        self.netns[name] = netns.create(self.directory / name)
        sysctl.set(self.netns[name], {"net.ipv4.ip_unprivileged_port_start": "0"})
        self.ip(name, "link set lo up")

    def ip(self, name: str, *commands: str) -> None:
        batch = "".join(f"{command}\n" for command in commands)
        run(["ip", "-batch", "-"], input=batch, netns=self.netns[name])

    def veth(self, one: str, ifname: str, other: str, peer: str) -> None:
        where = f"/proc/{os.getpid()}/fd/{self.netns[other]}"
        self.ip(one, f"link add {ifname} type veth peer name {peer} netns {where}")

    def restore(self, rules: str) -> None:
        run(["iptables-nft-restore"], input=rules, netns=self.netns["node"])

    def serve(self, name: str, address: str, port: int) -> None:
        """A web server that says where it is, and a UDP echo at port 99."""
        with netns.entered(self.netns[name]):
            listener = socket.create_server((address, port), backlog=4096)
            echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind((address, 99))
        self.servers += [listener, echo]
        threading.Thread(target=answer, args=(listener, name), daemon=True).start()
        threading.Thread(target=repeat, args=(echo,), daemon=True).start()

    def close(self) -> None:
        for server in self.servers:
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()
        for name, descriptor in self.netns.items():
            os.close(descriptor)
            netns.remove(self.directory / name)


def answer(listener: socket.socket, name: str) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(1)
                connection.recv(4096)
                connection.sendall(f"HTTP/1.1 200 OK\r\n\r\nHello,  {name}\n".encode())


def repeat(echo: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            data, peer = echo.recvfrom(2048)
            if not data:
                return
            echo.sendto(data, peer)


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    made = Machines(tmp_path_factory.mktemp("machines"))
    try:
        build(made)
        yield made
    finally:
        made.close()


def build(made: Machines) -> None:
    for name in ("client", "node", *PODS):
        made.create(name)
    made.veth("node", "eth1", "client", "eth0")
    made.ip(
        "client",
        "addr add 172.16.110.100/24 dev eth0",
        "addr add fd00::100/64 dev eth0 nodad",
        "link set eth0 up",
    )
    made.ip(
        "node",
        "addr add 172.16.110.11/24 dev eth1",
        "addr add fd00::11/64 dev eth1 nodad",
        "link set eth1 up",
        "route add default via 172.16.110.100",
        "link add cni0 type bridge",
        "addr add 10.244.1.1/24 dev cni0",
        "link set cni0 up",
    )
    for name, address in PODS.items():
        made.veth("node", f"veth-{name}", name, "eth0")
        made.ip("node", f"link set veth-{name} master cni0 up")
        made.ip(
            name,
            f"addr add {address}/24 dev eth0",
            "link set eth0 up",
            "route add default via 10.244.1.1",
        )
    sysctls = ["net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1"]
    run(["sysctl", "-q", "-w", *sysctls], netns=made.netns["node"])
    for name in ("web-0", "web-1"):
        made.serve(name, PODS[name], 8080)


@pytest.fixture
def world(machines: Machines) -> World:
    machines.restore(RULES)
    places = [
        Place("client", "client", machines.netns["client"], ("172.16.110.100",)),
        Place(
            "node", "node", machines.netns["node"], ("172.16.110.11", "fd00::11", "10.244.1.1"),
            ("172.16.110.11", "fd00::11"),
        ),
        *(
            Place(f"default/{name}", "pod", machines.netns[name], (ip,), node="node")
            for name, ip in PODS.items()
        ),
    ]  # fmt: skip
    ports = [
        {"name": "http", "port": 80, "protocol": "TCP", "nodePort": NODE_PORT},
        {"name": "echo", "port": 99, "protocol": "UDP"},
    ]
    service = {
        "metadata": {"namespace": "default", "name": "web"},
        "spec": {"clusterIP": CLUSTER_IP, "ports": ports},
    }
    labels = {"kubernetes.io/service-name": "web"}
    slice_ = {
        "metadata": {"namespace": "default", "name": "web-x", "labels": labels},
        "addressType": "IPv4",
        "ports": [
            {"name": "http", "port": 8080, "protocol": "TCP"},
            {"name": "echo", "port": 99, "protocol": "UDP"},
        ],
        "endpoints": [{"addresses": [PODS[name]]} for name in ("web-0", "web-1")],
    }
    return World(
        places={place.name: place for place in places},
        services={"default/web": service},
        slices=(slice_,),
    )


BOX, CLIENT, NODE = Sender("pod", "box"), Sender("client", "client"), Sender("node", "node")
WEB = Target(service="web", port="http")
WEB_AT_NODE = Target(service="web", node="node", port="http", node_address="external")


def check(sender: Sender, target: Target, **expect: object) -> PathCheck:
    return PathCheck("it", sender, target, replace(Expectation(), **expect))


def passes(result: CheckResult) -> bool:
    assert result.passed, result.line
    return True


def test_a_cluster_ip_reaches_all_endpoints_evenly_and_unmasqueraded(world: World) -> None:
    expected = {
        "endpoints": "all",
        "spread": Spread(100, 20),
        "source_seen": "sender",
        "dnat_at": "sender",
        "masquerade_at": "none",
    }
    result = run_check(check(BOX, WEB, **expected), world)
    assert passes(result)
    assert set(result.counts) == {"10.244.1.5:8080", "10.244.1.6:8080"}
    assert sum(result.counts.values()) >= 100
    assert result.said.startswith("Hello,  web-")
    hops = [(hop["place"], hop["ifname"]) for hop in result.json()["hops"]]
    assert hops[:2] == [("default/box", "eth0"), ("node", "veth-box")]
    assert hops[-1][0] in ("default/web-0", "default/web-1")
    assert "DNAT to 10.244.1." in result.path


def test_a_node_port_is_masqueraded_at_its_node(world: World) -> None:
    expected = {"endpoints": 2, "source_seen": "node:node", "masquerade_at": "node"}
    result = run_check(check(CLIENT, WEB_AT_NODE, dnat_at="node", **expected), world)
    assert passes(result)
    assert "masquerade as 10.244.1.1" in result.path
    assert result.journey is not None
    assert result.journey.snats[0].before.startswith("172.16.110.100:")


def test_without_the_masquerade_rule_the_check_fails_and_says_where(
    world: World, machines: Machines
) -> None:
    machines.restore(RULES.replace(MASQUERADE, ""))
    result = run_check(check(CLIENT, WEB_AT_NODE, masquerade_at="node"), world)
    assert result.status == "fail"
    assert result.reasons == ("masquerade at nowhere, expected at node; it passed node unchanged",)
    seen = run_check(check(CLIENT, WEB_AT_NODE, source_seen="node:node"), world)
    assert seen.status == "fail"
    assert "saw the source 172.16.110.100 (nobody changed it), expected node:node" in seen.line


def test_without_a_rule_for_an_endpoint_the_check_names_it(
    world: World, machines: Machines
) -> None:
    unfair = "-A SVC -p tcp -m statistic --mode random --probability 0.5"
    machines.restore(RULES.replace(unfair, unfair.replace("0.5", "0")))
    result = run_check(check(BOX, WEB, endpoints="all"), world)
    assert result.status == "fail"
    assert "default/web-0 (10.244.1.5:8080) got 0 of " in result.line
    assert "by chance once in a billion checks" in result.line


def test_an_uneven_choice_fails_though_all_endpoints_answer(
    world: World, machines: Machines
) -> None:
    machines.restore(RULES.replace("--probability 0.5", "--probability 0.05"))
    result = run_check(check(BOX, WEB, endpoints="all", spread=Spread(300)), world)
    assert result.status == "fail"
    assert "uneven: default/web-0" in result.line


def test_an_endpoint_that_should_not_answer_is_told(world: World) -> None:
    result = run_check(check(BOX, WEB, endpoints=("web-1",)), world)
    assert result.status == "fail"
    assert "default/web-0 (10.244.1.5:8080) answered, which is not one" in result.line


@pytest.mark.parametrize("sender", [BOX, NODE], ids=str)
def test_refused_and_dropped_are_told_apart(world: World, sender: Sender) -> None:
    refusing, silent = (Target(address=f"10.96.0.{n}", port=80) for n in (8, 9))
    checks = [
        check(sender, refusing, outcome="refused"),
        check(sender, silent, outcome="timeout"),
        check(sender, refusing, outcome="timeout"),
        check(sender, silent, outcome="refused"),
        check(sender, silent),
    ]
    results = run_checks(checks, world)
    assert [result.status for result in results] == ["pass", "pass", "fail", "fail", "fail"]
    assert "expected timeout, it was refused: ICMP type 3 code 3" in results[2].line
    where = "it never left node" if sender is NODE else "last seen at node cni0"
    assert f"expected refused, it was timeout; {where}" in results[3].line
    took = [result.seconds for result in results]
    assert max(took[0], took[2]) < min(took[1], took[3]), "each has its own time"


def test_a_port_on_which_nobody_listens_refuses_with_a_reset(world: World) -> None:
    result = run_check(check(BOX, Target(pod="web-0", port=81), outcome="refused"), world)
    assert passes(result)
    reachable = run_check(check(BOX, Target(pod="web-0", port=81)), world)
    assert "it was refused: RST from 10.244.1.5:81; it reached default/web-0" in reachable.line


def test_from_the_node_the_dnat_is_seen_before_the_first_interface(world: World) -> None:
    machines_check = check(NODE, WEB, dnat_at="node", masquerade_at="none", endpoints="all")
    result = run_check(machines_check, world)
    assert passes(result)
    assert result.path.startswith("node DNAT to 10.244.1.")


def test_udp_with_and_without_an_answer(world: World) -> None:
    echo = Target(service="web", port="echo", protocol="UDP")
    answered, closed = run_checks(
        [check(BOX, echo, dnat_at="node"), check(BOX, Target(pod="web-0", port=7, protocol="UDP"))],
        world,
    )
    assert passes(answered)
    assert list(answered.counts) == ["10.244.1.6:99"]
    assert [hop.place for hop in answered.journey.hops][-1] == "default/web-1"  # type: ignore[union-attr]
    assert "expected reachable, it was refused: ICMP type 3 code 3" in closed.line


def test_an_echo_request_is_answered_lost_or_refused(world: World, machines: Machines) -> None:
    silent = "-A FORWARD -d 10.244.1.6/32 -p icmp -j DROP"
    nobody = "-A FORWARD -d 10.96.0.6/32 -p icmp -j REJECT --reject-with icmp-host-unreachable"
    refused = "-A FORWARD -s 10.244.1.7/32 -d 10.96.0.8/32 -p icmp -j REJECT"
    machines.restore(RULES.replace("*filter\n", f"*filter\n{silent}\n{nobody}\n{refused}\n"))
    ping = [Target(pod=name, protocol="ICMP") for name in ("web-0", "web-1")]
    refusing = Target(address="10.96.0.8", protocol="ICMP")
    answered, lost, told = run_checks(
        [
            check(BOX, ping[0], source_seen="sender", dnat_at="none", masquerade_at="none"),
            check(BOX, ping[1], outcome="timeout"),
            check(BOX, refusing, outcome="refused"),
        ],
        world,
    )
    assert all(map(passes, (answered, lost, told)))
    assert answered.path == "default/box eth0 → node veth-box → veth-web-0 → default/web-0 eth0"
    assert list(answered.counts) == [PODS["web-0"]]
    nowhere = Target(address="10.96.0.6", protocol="ICMP")
    wrong, unreachable = run_checks([check(BOX, ping[1]), check(BOX, nowhere)], world)
    assert "expected reachable, it was timeout; last seen at node" in wrong.line
    assert "expected reachable, it was unreachable: ICMP type 3 code 1" in unreachable.line


def test_an_echo_request_is_masqueraded_and_its_reply_found(
    world: World, machines: Machines
) -> None:
    leaving = "-A POSTROUTING -s 10.244.1.0/24 -o eth1 -j MASQUERADE"
    machines.restore(RULES.replace(MASQUERADE, f"{leaving}\n{MASQUERADE}"))
    outside = Target(address="172.16.110.100", protocol="ICMP")
    expected = {"masquerade_at": "node", "source_seen": "node:node"}
    results = run_checks([check(BOX, outside, **expected) for _ in range(3)], world)
    assert all(map(passes, results)), "several at once, between the same addresses"
    assert "→ masquerade as 172.16.110.11 → eth1 → client eth0" in results[0].path


def test_a_node_is_pinged_and_so_is_a_cluster_ip_in_vain(world: World) -> None:
    node, service = Target(node="node", protocol="ICMP"), Target(service="web", protocol="ICMP")
    pinged, vain = run_checks(
        [check(BOX, node), check(BOX, service, outcome="timeout", dnat_at="none")], world
    )
    assert passes(pinged) and passes(vain)
    assert list(pinged.counts) == ["172.16.110.11"]


def test_a_frame_shown_to_everybody_has_reached_nobody(world: World, machines: Machines) -> None:
    """A bridge floods what is for a hardware address it does not know."""
    neighbour = f"neigh replace {PODS['web-0']} lladdr 02:00:00:00:00:99 dev eth0"
    machines.ip("box", neighbour)
    try:
        result = run_check(check(BOX, Target(pod="web-0", port=8080)), world)
    finally:
        machines.ip("box", neighbour.replace("replace", "delete"))
    assert "it was timeout; last seen at node veth-web-" in result.line
    assert "arrived" not in result.line


def test_a_capture_that_sees_nothing_is_an_error_and_no_pass(
    world: World, machines: Machines
) -> None:
    machines.ip("web-0", "link set lo down")
    try:
        results = run_checks([check(NODE, WEB), check(CLIENT, WEB_AT_NODE)], world)
    finally:
        machines.ip("web-0", "link set lo up")
    assert [result.status for result in results] == ["error", "error"]
    assert "could not run: the capture does not see a packet sent" in results[0].line
    assert "default/web-0" in results[0].line


def test_no_capture_is_opened_in_a_pod_that_no_packet_is_to_pass(
    world: World, machines: Machines
) -> None:
    machines.ip("box", "link set lo down")
    try:
        results = run_checks([check(NODE, WEB), check(CLIENT, WEB_AT_NODE)], world)
        (without,) = run_checks([check(BOX, WEB)], world)
    finally:
        machines.ip("box", "link set lo up")
    assert all(passes(result) for result in results)
    assert without.status == "error"


def test_a_packet_that_went_astray_is_found_where_it_is(world: World) -> None:
    """The rules lead to a pod that the Service, as it is now, has not among its endpoints."""
    (slice_,) = world.slices
    fewer = replace(world, slices=({**slice_, "endpoints": slice_["endpoints"][1:]},))
    led, well = run_checks(
        [check(BOX, WEB, endpoints="all"), check(BOX, Target(pod="web-1", port=8080))], fewer
    )
    if led.passed:  # both tries came to the one that is left
        led = run_check(check(BOX, WEB, endpoints="all", spread=Spread(60, 1)), fewer)
    assert "default/web-0 (10.244.1.5:8080) answered, which is not one of the expected" in led.line
    assert passes(well)
    (stranger,) = (hop for hop in led.json()["endpoints"] if hop["place"] == "default/web-0")
    assert stranger["address"] == "10.244.1.5:8080"


def test_what_is_not_there_cannot_be_checked_while_the_rest_is(world: World) -> None:
    missing, present = run_checks(
        [check(BOX, Target(service="nope")), check(BOX, Target(pod="web-0", port=8080))], world
    )
    assert missing.status == "error"
    assert "there is no Service default/nope" in missing.line
    assert passes(present)


def test_ipv6(world: World) -> None:
    closed = Target(address="fd00::11", port=81)
    silent = Target(address="fd00::11", port=81, protocol="UDP")
    pinged = Target(address="fd00::11", protocol="ICMP")
    results = run_checks(
        [
            *(check(CLIENT, each, outcome="refused", dnat_at="none") for each in (closed, silent)),
            check(CLIENT, pinged, masquerade_at="none"),
        ],
        world,
    )
    assert all(passes(result) for result in results)
    assert list(results[2].counts) == ["fd00::11"]
    assert results[0].path == "client eth0 → node eth1"
    assert list(results[1].counts) == ["[fd00::11]:81"]


@pytest.fixture
def named(world: World, machines: Machines, tmp_path: Path) -> Iterator[World]:
    """The world with the cluster's DNS, in web-1; it knows `web` rightly and `stale` wrongly."""
    owner = str(uuid.uuid4())

    async def serve() -> None:
        keeper = names_keeper(tmp_path / "c.sock", owner, tmp_path / "log")
        server = DnsServer(tmp_path, owner, keeper, "cluster.local")
        stale = {"metadata": {"namespace": "default", "name": "stale"}}
        server.set_service("default/web", world.services["default/web"])
        server.set_service("default/stale", {**stale, "spec": {"clusterIP": "10.96.0.66"}})
        server.apply()
        await server.start(machines.directory / "web-1")
        await server.detach()

    asyncio.run(serve())
    web = world.services["default/web"]
    services = dict.fromkeys(("default/web", "default/stale", "default/unknown"), web)
    slices = tuple(
        {**world.slices[0], "metadata": {**world.slices[0]["metadata"], "labels": labels}}
        for name in ("web", "stale", "unknown")
        for labels in [{"kubernetes.io/service-name": name}]
    )
    yield replace(world, services=services, slices=slices, name_servers=(PODS["web-1"],))
    process.end(process.owned(owner))


def test_by_name_the_lookup_is_part_of_the_check(named: World) -> None:
    targets = [Target(service=name, port="http", by="name") for name in ("web", "stale", "unknown")]
    right, wrong, none = run_checks([check(BOX, target) for target in targets], named)
    assert passes(right)
    assert right.name_found == "web.default.svc.cluster.local"
    assert "resolves to 10.96.0.66, but the Service has 10.96.0.7" in wrong.line
    assert "the name does not resolve: unknown.default.svc.cluster.local NXDOMAIN" in none.line
