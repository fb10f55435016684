"""`netlab trace --http`, of a URL, `--payload`, `--count`, `--selector`: what a trace may ask."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.ingresses import controller
from e2e.labs import ROOT, Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: asked}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  podCIDR: "10.244.0.0/16,fd00:10:244::/56"
  serviceCIDR: "10.96.0.0/12,fd00:10:96::/112"
  loadBalancer: {pool: 172.16.110.200-172.16.110.209}
---
apiVersion: v1
kind: Pod
metadata: {name: box, labels: {app: box}}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: near, labels: {app: web}}
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
  externalIPs: [172.16.110.77]
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{port: 80, nodePort: 30080}]
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: calls}
spec: {selector: {app: web}, ports: [{port: 90, protocol: SCTP}]}
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules:
  - host: shop.example.org
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /empty, pathType: Exact, backend: {service: {name: none, port: {number: 80}}}}
      - {path: /typo, pathType: Exact, backend: {service: {name: wep, port: {number: 80}}}}
      - {path: /port, pathType: Exact, backend: {service: {name: web, port: {number: 81}}}}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("asked")) as here:
        lab_of_its_own, rest = controller().split("---\n", 1)
        assert "kind: Lab" in lab_of_its_own
        here.netlab("up", str(here.lab_file(f"{LAB}---\n{rest}")))
        yield here


def trace(lab: Machine, *words: str, code: int = 0) -> str:
    return lab.netlab("trace", *words, code=code).stdout


def test_a_real_connection_and_its_answer(lab: Machine) -> None:
    told = trace(lab, "box", "web:80", "--http", "/")
    (place,) = re.findall(r"^delivered to (default/\w+) ", told, re.M)
    assert f"GET / → HTTP/1.1 200 OK from {place}, " in told
    assert re.search(r"kernel and simulator agree in all \d+ rules", told)
    told = trace(lab, "box", "pod/near:81", "--http", "/")
    assert "refused there: RST from" in told
    assert re.search(r"GET /: connection refused, after \d", told)
    trace(lab, "box", "pod/near:81", "--http", "/", "--expect", "delivered", code=1)


def test_a_connection_that_nobody_answers_is_begun_more_than_once(lab: Machine) -> None:
    """The packet that is sent again after a second is none that the rules did not foresee."""
    told = trace(lab, "box", "web:81", "--http", "/")
    assert re.search(r"^kernel and simulator agree in all \d+ rules$", told, re.M), told
    assert "GET /: connection timed out, after " in told


def test_as_much_is_told_of_a_connection_as_is_asked_for(lab: Machine) -> None:
    answered = re.compile(r"^GET / → HTTP/1.1 200 OK from default/", re.M)
    brief = trace(lab, "box", "web:80", "--http", "/", "--summary", "--why-not", "svc/none")
    assert answered.search(brief) and "nat KUBE" not in brief.partition("why not")[0]
    assert re.search(r"why not\n  \S+ filter KUBE-SERVICES rule \d+: ", brief)
    behind = trace(lab, "client", "http://shop.example.org/", "--summary")
    assert "its second connection goes as" in behind and "nat KUBE" not in behind
    full = trace(lab, "box", "web:80", "--http", "/", "--detailed", "--ends")
    assert answered.search(full) and re.search(r"handle \d+: ", full)
    assert "possible ends" in full


def test_why_not_is_told_of_many_packets_first(lab: Machine) -> None:
    told = trace(lab, "box", "svc/web:80", "--count", "3", "--why-not", "svc/none")
    assert "why not\n" in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("svc/web:80 --count 3", "--count counts where first packets go"),
        ("svc/web:80 --follow", "--follow tells of a flow's first packet"),
        ("svc/web:80 --http /", "a real connection is told from its first packet on"),
        ("http://web/", "a real connection is told from its first packet on"),
    ],
)
def test_later_packets_follow_one_that_was_sent(lab: Machine, words: str, said: str) -> None:
    done = lab.netlab("trace", "box", *words.split(), "--ct", "reply", code=2)
    assert f"{said}" in done.stderr and "--ct sends a flow of its own" in done.stderr


def test_what_is_said_over_a_connection(lab: Machine) -> None:
    told = trace(lab, "box", "pod/near:80", "--payload", "HELLO")
    assert re.search(r"“HELLO” → \d+ bytes from default/near in", told)
    assert "said     HTTP/1.1 400" in told


def test_what_a_datagram_carries_and_where_it_is_from(lab: Machine) -> None:
    told = trace(lab, "box", "pod/near:9", "--udp", "--payload", "HI", "--source-port", "4321")
    assert re.match(r"default/box 10\.\S+:4321 → 10\.\S+:9 udp", told)


def test_an_ingress_is_a_second_connection(lab: Machine) -> None:
    told = trace(lab, "client", "http://shop.example.org/cart")
    assert told.startswith("asked at 172.16.110.")
    assert "shop.example.org is in no DNS that it asks" in told
    assert "rule     Ingress default/shop: host shop.example.org, path / (Prefix)" in told
    assert "so       Service default/web, port 80" in told
    (place,) = re.findall(r"asked    (default/\w+) \(10\.\S+:80\) from 10\.\S+, 1 of 4 ", told)
    assert f"  delivered to {place} " in told
    assert f"GET /cart → HTTP/1.1 404 Not Found from {place}, " in told
    assert told.count("kernel and simulator agree in all") == 2


def test_a_kept_connection_is_seen_too(lab: Machine) -> None:
    """Whom nginx asks is seen in what it says, not in how it connects."""
    for _ in range(4):
        told = json.loads(trace(lab, "client", "http://shop.example.org/", "-o", "json"))
        (passed,) = told["ingress"]["passed"]
        assert passed["destination"] in told["ingress"]["rule"]["servers"]
        assert told["ingress"]["servedBy"] in ("default/near", "default/far")
        assert told["ingress"]["trace"]["agree"]
        assert (told["call"]["code"], told["call"]["http"]) == (200, "/")


def test_what_an_ingress_answers_itself(lab: Machine) -> None:
    told = trace(lab, "client", "http://shop.example.org/empty")
    assert "rule     Ingress default/shop: host shop.example.org, path /empty (Exact)" in told
    assert "so       it answers 503 itself: Service default/none has no endpoint" in told
    assert "GET /empty → HTTP/1.1 503" in told
    (address,) = re.findall(r"asked at (\S+),", told)
    told = trace(lab, "client", f"http://{address}/")
    assert "rule     no Ingress has it: any host, path /" in told
    assert "so       it answers 404 itself" in told
    told = trace(lab, "client", "http://shop.example.org/typo")
    assert "so       it answers 503 itself: Service default/wep: no such Service" in told
    told = trace(lab, "client", "http://shop.example.org/port")
    assert 'so       it answers 503 itself: Service "default/web" has no port "81"' in told


@pytest.mark.parametrize("target", ["svc/web:80", "node/worker001:30080", "pod/near:80"])
def test_of_both_families_one(lab: Machine, target: str) -> None:
    for option, mark in (("--ipv4", "."), ("--ipv6", ":")):
        told = json.loads(trace(lab, "box", target, option, "-o", "json"))
        assert mark in told["packet"]["source"].rpartition(":")[0]
        assert (told["verdict"], told["agree"]) == ("delivered", True)


def test_every_way_to_a_service(lab: Machine) -> None:
    assert "delivered to default/" in trace(lab, "client", "lb/balanced:80")
    assert "delivered to default/" in trace(lab, "box", "172.16.110.77:80")
    assert "delivered to default/" in trace(lab, "box", "web:80", "--ipv6")


def test_many_packets_go_where_they_are_foreseen(lab: Machine) -> None:
    told = trace(lab, "box", "svc/web:80", "--count", "200").splitlines()
    table = told[told.index("200 packets, each a flow of its own") + 2 :]
    ends = [
        re.fullmatch(r" +(\d+) +\S+% +50\.0%  delivered default/\w+ \(\S+\)", each)
        for each in table
    ]
    assert len(ends) == 2
    assert sum(int(each[1]) for each in ends if each) == 200
    found = json.loads(trace(lab, "box", "svc/none:80", "--count", "5", "-o", "json"))["counts"]
    assert [(end["verdict"], end["packets"], end["far"]) for end in found] == [
        ("refused", 5, False)
    ]


def test_any_of_a_set(lab: Machine) -> None:
    assert "default/far " in trace(lab, "--selector", "app=web", "pod/box", "--icmp")
    assert "delivered to default/far" in trace(lab, "--from", "box", "--selector", "app=web:80")
    assert "delivered to default/far" in trace(lab, "box", "pod/app=web:80")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("box web:80 --http index", "'index' is no path"),
        ("box web:80 --http /a\rb", "is no path"),
        ("box ftp://web/", "is no URL that can be asked"),
        ("box http://web:99999/", "is no URL"),
        ("box web:80 --udp --http /", "a connection is made by TCP alone"),
        ("box web:80 --source-port 70000", "70000 is no port"),
        ("box web:80 --count 0", "--count 0"),
        ("box web:80 --count 3 --http /", "makes no connection"),
        ("box http://web/ --count 2", "not for URLs"),
        ("box http://web/ --follow", "not for URLs"),
        ("-l app=web box web:80", "--selector stands for one end"),
        ("-l app=nobody web:80", "no pod with app=nobody is there"),
        ("-l =x web:80", "is no selector"),
        ("box svc/none:80 --ipv6", "Service default/none has no IPv6 address"),
        ("box http://nowhere.example.org/", "the name does not resolve"),
    ],
)
def test_mistakes(lab: Machine, words: str, said: str) -> None:
    done = lab.netlab("trace", *words.split(" "), code=2)
    assert said in done.stderr


def test_sctp_goes_by_packets_alone(lab: Machine) -> None:
    """Whether or not the kernel has sockets for it."""
    told = json.loads(trace(lab, "box", "svc/calls:90", "--sctp", "-o", "json"))
    assert (told["verdict"], told["agree"], told["packet"]["protocol"]) == (
        "delivered",
        True,
        "sctp",
    )
    assert told["deliveredTo"] in ("default/near", "default/far")
    assert told["dnat"][0]["before"].endswith(":90")


DOCUMENTED = [
    "client lb/balanced:80", "client lb/balanced:80 --ct established",
    "client lb/balanced:80 --ct reply", "client lb/balanced:80 --count 3",
    "box 172.16.110.77:80", "client 172.16.110.77:80", "box web:80 --ipv6",
    "box svc/web:80 --ipv6 --ct reply", "box svc/none:80", "box pod/near --icmp",
    "box pod/near:9 --udp --payload HI", "box svc/calls:90 --sctp", "box svc/web:80 --http /",
    "box svc/web:80 --why-not svc/balanced", "client http://shop.example.org/",
    "client http://shop.example.org/empty",
]  # fmt: skip


def fields(document: object) -> Iterator[str]:
    """The names of all fields, of those within others too."""
    if isinstance(document, dict):
        yield from document
        for value in document.values():
            yield from fields(value)
    elif isinstance(document, list):
        for value in document:
            yield from fields(value)


@pytest.mark.parametrize("words", DOCUMENTED)
def test_each_field_is_documented_and_all_is_told_again(
    lab: Machine, tmp_path: Path, words: str
) -> None:
    file = tmp_path / "trace.json"
    told = json.loads(trace(lab, *words.split(), "--save", str(file), "-o", "json"))
    page = (ROOT / "netlab" / "docs" / "tracing.md").read_text()
    known = set(re.findall(r"`(\w+)`", page.partition("## Fields of `-o json`")[2]))
    assert set(fields(told)) <= known
    assert json.loads(trace(lab, "--show", str(file), "-o", "json")) == told
    for how in ("--minimal", "--summary", "--detailed", "--explain", "--ends"):
        assert trace(lab, "--show", str(file), how)
