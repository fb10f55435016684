"""`netlab trace NAME`: what was asked for the name, of whom, and who answered."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: named}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  dns: {nodeLocal: {}}
  external: {names: {db.example.org: 203.0.113.10, far.example.org: 203.0.113.11}}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: own}
spec:
  dnsPolicy: None
  dnsConfig:
    nameservers: [10.96.0.10]
    searches: [town.svc.cluster.local]
    options: [{name: ndots, value: "2"}]
  containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]
---
apiVersion: v1
kind: Namespace
metadata: {name: town}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: town, labels: {app: web}}
spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: town}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: each, namespace: town}
spec: {clusterIP: None, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {type: ExternalName, externalName: db.example.org}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("names")) as here:
        here.netlab("up", str(here.lab_file(LAB)))
        yield here


def trace(lab: Machine, *words: str, code: int = 0) -> str:
    return lab.netlab("trace", *words, code=code).stdout


def test_search_domains_are_walked_and_each_answer_told(lab: Machine) -> None:
    told = trace(lab, "box", "web.town:80")
    assert re.match(r"web\.town is 10\.\S+, says DNS \(Service town/web\)\n", told)
    assert "asked    169.254.25.10 → node-local cache on worker001\n" in told
    cached = r" \(kube-system/dnsmasq-\S+ → dnsmasq, \d+\.\d ms\)"
    assert re.search(r"no such name +web\.town\.default\.svc\.cluster\.local" + cached, told)
    assert re.search(r"10\.\S+ +web\.town\.svc\.cluster\.local" + cached, told)
    assert "delivered to town/web" in told


def test_a_cache_that_answers_asks_nobody(lab: Machine) -> None:
    trace(lab, "box", "web.town:80")
    told = trace(lab, "box", "web.town:80")
    assert re.search(r"10\.\S+ +web\.town\.svc\.cluster\.local \(\d+\.\d ms\)", told)


def test_the_internet_and_the_responder_are_told(lab: Machine) -> None:
    told = trace(lab, "box", "db:80")
    assert re.match(
        r"db is 203\.0\.113\.10, says DNS \(Service default/db, an alias of db\.example\.org\)",
        told,
    )
    assert re.search(r"db\.default\.svc\.cluster\.local → db\.example\.org \(.*→ responder", told)
    told = trace(lab, "box", "far.example.org:80")
    assert re.search(r"203\.0\.113\.11 +far\.example\.org \(.*the internet's DNS, \d", told)
    assert "is 203.0.113.10, says DNS (internet)\n" in trace(lab, "worker001", "db.example.org:80")


def test_a_headless_service_has_its_pods_addresses(lab: Machine) -> None:
    assert "(headless Service town/each)" in trace(lab, "box", "each.town:80")


def test_a_pod_of_its_own_resolver(lab: Machine) -> None:
    told = trace(lab, "own", "web:80", "--explain")
    assert "\n  search   town.svc.cluster.local\n" in told
    assert "asked    10.96.0.10, Service kube-system/kube-dns → kube-system/dnsmasq-" in told
    assert "web.town.svc.cluster.local (dnsmasq" in told


def test_programs_read_it(lab: Machine) -> None:
    told = json.loads(trace(lab, "own", "web:80", "-o", "json"))["lookup"]
    (asked,) = told["questions"]
    assert (asked["name"], asked["type"]) == ("web.town.svc.cluster.local", "A")
    assert (asked["service"], asked["answer"]) == ("kube-system/kube-dns", "NOERROR")
    assert asked["servers"][1].startswith("dnsmasq in kube-system/dnsmasq-")
    assert told["owner"] == "Service town/web"
    assert told["addresses"] == asked["addresses"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("box web:80", "Service web is in namespace town; did you mean web.town?"),
        ("box wbe.town:80", "did you mean web.town?"),
        ("box web.twon:80", "did you mean web.town?"),
        ("worker001 web:80", "which machines outside do not ask"),
    ],
)
def test_a_name_that_nobody_has(lab: Machine, words: str, hint: str) -> None:
    done = lab.netlab("trace", *words.split(), code=2)
    assert done.stdout.startswith(
        f"{words.split()[1].removesuffix(':80')} has no address, says DNS"
    )
    assert "no such name" in done.stdout
    assert "the name does not resolve" in done.stderr
    assert hint in done.stderr
    told = json.loads(lab.netlab("trace", *words.split(), "-o", "json", code=2).stdout)
    assert (told["version"], told["outcome"]) == (1, "unresolved")
