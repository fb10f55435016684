"""`netlab trace`: what the kernel did with one packet, rule by rule, and that the rules say so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import needs
import pytest
from e2e.labs import Machine, machine

import netlab

pytestmark = pytest.mark.root

OBJECTS = """
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: web, side: near}}
spec: {nodeName: worker001, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, labels: {app: web}}
spec: {nodeName: worker002, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: beside}
spec: {selector: {app: web, side: near}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: sticky}
spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: local}
spec:
  type: NodePort
  externalTrafficPolicy: Local
  selector: {app: local}
  ports: [{port: 80, nodePort: 30081}]
---
apiVersion: v1
kind: Pod
metadata: {name: local, labels: {app: local}}
spec:
  nodeName: worker002
  containers: [{name: web, image: nginx, ports: [{containerPort: 80, hostPort: 8088}]}]
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {type: NodePort, selector: {app: nobody}, ports: [{port: 80, nodePort: 30082}]}
"""
LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: traced}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  %s
"""


def opened(tmp_path_factory: pytest.TempPathFactory, rules: str) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("trace")) as here:
        here.netlab("up", str(here.lab_file(LAB % rules + OBJECTS)))
        yield here


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    yield from opened(tmp_path_factory, "iptables: nft")


@pytest.fixture(scope="module")
def legacy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    yield from opened(tmp_path_factory, "iptables: legacy")


@pytest.fixture(scope="module")
def nftables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    yield from opened(tmp_path_factory, "proxyMode: nftables")


def trace(lab: Machine, *words: str, code: int = 0) -> list[str]:
    return lab.netlab("trace", *words, code=code).stdout.splitlines()


def test_a_packet_to_a_service(lab: Machine) -> None:
    """Its rules in their order, with what decided; where it went; that the rules say the same."""
    told = trace(lab, "box", "svc/web:80")
    text = "\n".join(told)
    assert re.match(r"default/box 10\.244\.\d\.\d+:\d+ → 10\.\S+:80 tcp, first packet", told[0])
    assert "nat KUBE-SERVICES" in text
    assert re.search(r"took +rule \d+: to 10\.\S+ tcp port 80 → KUBE-SVC-", text)
    assert re.search(r"not +rule 1: the source 10\.\S+ is inside 10\.244\.0\.0/16", text)
    assert re.search(r"DNAT: 10\.\S+:80 became 10\.244\.\d\.\d+:80", text)
    assert re.search(r"delivered to default/(near|far) \(\S+:80\), 1 of 2 possible ends", text)
    assert re.fullmatch(r"kernel and simulator agree in all \d+ rules", told[-1])
    assert int(re.findall(r"\d+", told[-1])[0]) >= 6


WAYS = [
    ("client node/worker001:30080", "delivered to default/"),
    ("worker001 svc/web:80", "delivered to default/"),
    ("near svc/web:80", "delivered to default/"),
    ("box kube-dns.kube-system:53 --udp", "delivered to kube-system/dnsmasq"),
    ("box kubernetes:443", "delivered to worker001"),
    ("worker002 pod/box --icmp", "delivered to default/box"),
    ("box pod/far:80", "delivered to default/far"),
    ("box pod/far:81", "  and refused there: RST from"),
    ("box svc/web:81", "lost after internet"),
    ("box svc/empty:80", "refused after worker001 cni0: ICMP type 3 code 3"),
    ("client node/worker001:30081", "lost after worker001 eth1"),
    ("client node/worker001:30082", "refused after worker001 eth1: ICMP type 3 code 3"),
    ("local node/worker002:8088", "delivered to default/local"),
    ("client 10.244.1.2:80", "lost after internet"),
    ("box 93.184.216.34:80", "lost after internet"),
]
OTHERWISE = {"box svc/web:81": "refused after worker001 cni0: ICMP type 3 code 3"}
"""In nftables mode."""


AGREED = tuple(
    f"kernel and simulator agree{how}" for how in (" in all", " in the one rule", ": no rule")
)


@pytest.mark.parametrize(("words", "end"), WAYS)
def test_kernel_and_simulator_agree(lab: Machine, words: str, end: str) -> None:
    told = trace(lab, *words.split())
    assert any(line.startswith(end) for line in told), told
    assert told[-1].startswith(AGREED)


def test_programs_read_the_same(lab: Machine) -> None:
    told = json.loads(lab.netlab("trace", "box", "svc/web:80", "-o", "json").stdout)
    assert (told["version"], told["verdict"], told["agree"]) == (1, "delivered", True)
    assert (told["from"], told["toldBy"]) == ("default/box", "kernel")
    taken = [rule for chain in told["chains"] for rule in chain["met"]]
    assert any("--to-destination" in rule["rule"] for rule in taken)
    assert {end["share"] for end in told["ends"]} == {0.5}
    assert told["deliveredAs"] in [end["destination"] for end in told["ends"]]
    assert told["dnat"][0]["after"] == told["deliveredAs"]


def test_documentation_lists_each_field(lab: Machine) -> None:
    told = json.loads(lab.netlab("trace", "box", "svc/web:80", "-o", "json").stdout)
    page = (Path(netlab.__file__).parent / "docs/tracing.md").read_text()
    assert [field for field in told if f"`{field}`" not in page] == []


def test_all_ends_are_listed(lab: Machine) -> None:
    told = trace(lab, "box", "svc/web:80", "--ends")
    ends = told[told.index("possible ends") + 1 :]
    assert len(ends) == 2
    assert all(re.match(r"   50\.0% delivered default/(near|far) \(10\.", end) for end in ends)


def test_little_is_told_for_tests(lab: Machine) -> None:
    told = trace(lab, "near", "pod/far:80", "--minimal")
    assert re.fullmatch(r"delivered 10\.244\.\d\.\d+:80 default/far", told[0])
    assert len(told) == 1
    told = trace(lab, "client", "node/worker001:30080", "--minimal")
    assert [line.split()[0] for line in told] == ["delivered", "dnat", "masquerade"]


@pytest.mark.parametrize(
    ("words", "end"), [(words, OTHERWISE.get(words, end)) for words, end in WAYS]
)
def test_they_agree_in_nftables_mode(nftables: Machine, words: str, end: str) -> None:
    told = trace(nftables, *words.split())
    assert any(line.startswith(end) for line in told), told
    assert told[-1].startswith(AGREED)


def test_a_packet_to_a_service_in_nftables_mode(nftables: Machine) -> None:
    """Each rule's words, and of a map the element that lacked least."""
    text = "\n".join(trace(nftables, "box", "svc/web:80"))
    assert re.search(r"kube-proxy services, 3 rules\n +not +rule 1: the source 10\.\S+ is in", text)
    assert re.search(
        r"took +rule 2: address, protocol and port in service-ips → service-\w+-", text
    )
    assert re.search(r"took +rule 1: tcp: send to one of 2 at random \(DNAT\)", text)
    assert re.search(r"delivered to default/(near|far) \(\S+:80\), 1 of 2 possible ends", text)
    whole = "\n".join(trace(nftables, "box", "svc/web:81", "--explain"))
    assert re.search(
        r"(10\.\S+) \. tcp \. 81 is not in service-ips, which has \1 \. tcp \. 80\b", whole
    )
    assert "took     rule 1: to cluster-ips: refuse" in whole


@pytest.mark.parametrize("mode", ["lab", "nftables"])
def test_affinity_is_known(mode: str, request: pytest.FixtureRequest) -> None:
    """Who has been sent somewhere before is sent there again, for sure."""
    here: Machine = request.getfixturevalue(mode)
    first, second = (trace(here, "box", "svc/sticky:80") for _ in range(2))
    (end,) = (line for line in first if line.startswith("delivered"))
    assert end.endswith(", 1 of 2 possible ends")
    assert end.removesuffix(", 1 of 2 possible ends") in second
    for told in (first, second):
        assert told[-1].startswith("kernel and simulator agree in all")


def test_masquerade_is_told_with_its_cause(lab: Machine) -> None:
    text = "\n".join(trace(lab, "client", "node/worker001:30080"))
    assert re.search(r"took +rule 1: mark for masquerade", text)
    assert re.search(r"masquerade: \S+ became 10\.\S+", text)


def test_all_that_did_not_match_is_told_on_demand(lab: Machine) -> None:
    short, whole = (trace(lab, "box", "svc/web:80", *more) for more in ((), ("--explain",)))
    assert len(whole) > len(short)
    assert any("filter FORWARD" in line for line in whole)
    assert any("let it pass" in line for line in short)


def test_a_rule_added_by_hand_is_found(lab: Machine) -> None:
    """The kernel drops what the objects want delivered; the rules in force say so, too."""
    rule = ["FORWARD", "-p", "tcp", "--dport", "80", "-j", "DROP"]
    for node in ("worker001", "worker002"):
        lab.run_in(f"traced.{node}", "iptables-nft", "-I", *rule)
    near = lab.netlab("get", "pod", "near", "-o", "jsonpath={.status.podIP}").stdout
    lab.run_in("traced.worker001", "ping", "-c1", "-W2", near)  # it knows its neighbour
    try:
        # Of one to a pod beside it no interface sees a copy between its rewriting and its end.
        for target in ("svc/beside:80", "svc/web:80", "pod/far:80"):
            told = trace(lab, "box", target, "--expect", "delivered", code=1)
            assert any("took     rule 1: tcp port 80: drop" in line for line in told), told
            assert any(line.startswith("lost after worker001") for line in told)
            assert told[-1].startswith("kernel and simulator agree")
    finally:
        for node in ("worker001", "worker002"):
            lab.run_in(f"traced.{node}", "iptables-nft", "-D", *rule)


def test_the_kernel_s_own_reason_is_told_of_what_it_drops(lab: Machine) -> None:
    needs.drop_reasons()
    rule = ["INPUT", "-p", "tcp", "--dport", "80", "-j", "DROP"]
    lab.run_in("traced.default.far", "iptables-nft", "-I", *rule)
    try:
        told = trace(lab, "box", "pod/far:80")
        assert "  the kernel's reason: NETFILTER_DROP: a rule said so" in told
        shown = lab.netlab("trace", "box", "pod/far:80", "-o", "json").stdout
        assert json.loads(shown)["dropReason"] == "NETFILTER_DROP"
    finally:
        lab.run_in("traced.default.far", "iptables-nft", "-D", *rule)
    told = trace(lab, "box", "pod/far:99")
    assert "  the kernel's reason: NO_SOCKET: nobody listens there" in told
    assert not any("reason" in line for line in trace(lab, "box", "svc/web:80"))


def test_nothing_stays_of_it(lab: Machine) -> None:
    before = lab.run_in("traced.worker001", "nft", "list", "tables").stdout
    trace(lab, "box", "svc/web:80")
    assert lab.run_in("traced.worker001", "nft", "list", "tables").stdout == before


def test_legacy_rules_are_told_by_the_simulator(legacy: Machine) -> None:
    told = trace(legacy, "box", "svc/web:80")
    assert any("DNAT: " in line for line in told)
    assert any("nat KUBE-SERVICES" in line for line in told)
    assert told[-1] == "the packet ended where the rules send it; legacy iptables tells no more"


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        ("bax svc/web:80", "there is no pod, node or client bax", "did you mean box?"),
        ("box svc/wep:80", "there is no Service default/wep", "did you mean web?"),
        ("box", "from where to where?", "netlab trace client-pod svc/web:80"),
        ("box pod/zzz:80", "there is no running pod default/zzz", "netlab get pods -A"),
    ],
)
def test_mistakes(lab: Machine, words: str, said: str, hint: str) -> None:
    done = lab.netlab("trace", *words.split(), code=2)
    assert said in done.stderr
    assert hint in done.stderr
