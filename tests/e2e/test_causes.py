"""One lab of broken Services: `check`, `rules` and `describe` say of each why it fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

BROKEN = Path(__file__).with_name("broken.yaml")

NEAREST = "selector app=wbe matches no pod (nearest: app=web)"
LOCAL = "externalTrafficPolicy: Local, and no endpoint on {} (endpoints are on worker001)"
INSIDE = "internalTrafficPolicy: Local, and no endpoint on {} (endpoints are on worker001)"

CAUSES = {
    "selector": NEAREST,
    "elsewhere": "selector app=cart matches no pod (a pod with app=cart is in namespace shop)",
    "idle": "selector app=idle matches no pod: Deployment idle has 0 replicas",
    "unready": "1 pod matches, not ready: readiness probe HTTP 500",
    "crashing": "1 pod matches, ended: exit code 3",
    "unscheduled": "1 pod matches, not scheduled: 0/3 nodes are available: 1 node(s) had "
    "untolerated taint {node-role.kubernetes.io/control-plane: }, 2 node(s) didn't match Pod's "
    "node affinity/selector.",
    "port-name": "no port named htpp on its pods (nearest: http)",
    "port-number": "nothing listens on 8080 (but on 80) in pod web",
    "inward": "nothing listens on 80 (but on 127.0.0.1:80) in pod inward",
    "local": LOCAL.format("master001, worker002"),
    "inside": INSIDE.format("master001, worker002"),
    "own": "no selector, and no EndpointSlice is labelled kubernetes.io/service-name=own",
    "balanced": "no load balancer's address: the Lab's loadBalancer.pool is none",
    "headless": NEAREST,
    "external": "externalName: there is no Service shop/db",
}
"""What `describe` says of each Service."""

AT_SENDER = {
    "inside": INSIDE.format("worker002"),
    "port-number": "connection refused by {web}: nothing listens on 8080 (but on 80); "
    "the container's ports: 80",
    "inward": "connection refused by {inward}: nothing listens on 80 (but on 127.0.0.1:80)",
}
"""What `check` says, of a packet's own way, where that is another line."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("m")) as here:
        _bring_up(here)
        yield here


def _bring_up(here: Machine) -> None:
    """Without waiting for what never gets ready, but for what this is about."""
    objects = BROKEN.read_text().split("---\n")
    here.netlab("up", here.lab_file(objects[0]))
    here.netlab("apply", "-f", here.lab_file("---\n".join(objects[1:]), "objects.yaml"))
    awaited = ("HTTP 500", "exit code 3", "127.0.0.1:80", "listens on 8080")
    eventually(lambda: all(map(said(here, "describe", "services").__contains__, awaited)), 60)
    here.netlab("wait", "pod/shell", "--for=condition=Ready", "--timeout=30s")


def said(here: Machine, *words: str) -> str:
    return here.netlab(*words).stdout


@pytest.fixture(scope="module")
def addresses(lab: Machine) -> dict[str, str]:
    pods = json.loads(said(lab, "get", "pods", "-o", "json"))["items"]
    return {pod["metadata"]["name"]: pod["status"].get("podIP", "") for pod in pods}


def test_describe(lab: Machine, addresses: dict[str, str]) -> None:
    parts = said(lab, "describe", "services").split("\n\n\n")
    found = {}
    for part in parts:
        name = part.split("\n")[0].split()[1]
        above, _, below = part.partition("\nWhy it fails:\n")
        assert "\nEvents:" in above
        found[name] = below.strip()
    assert found == {
        **{name: _placed(line, addresses) for name, line in CAUSES.items()},
        "healthy": "",
        "kubernetes": "",
    }


def test_rules(lab: Machine) -> None:
    lines = said(lab, "rules", "local", "--words").split("\n")
    master, worker = (lines.index(f"default/local on {name} (ipv4)") for name in
                      ("master001", "worker001"))  # fmt: skip
    assert lines[master + 1] == f"  why: {LOCAL.format('master001')}"
    assert lines[worker + 1] == "packets"
    turned_away = [line for line in lines if "no local endpoints" in line]
    assert len(turned_away) == 2
    one = ["rules", "selector", "--node", "worker001"]
    words = said(lab, *one, "--words")
    assert f"  why: {NEAREST}\n" in words
    assert "refuse (icmp-port-unreachable), it has no endpoints\n" in words
    [entry] = json.loads(said(lab, *one, "-o", "json"))
    assert [cause["reason"] for cause in entry["causes"]] == ["NoPodMatches"]
    refusal = lab.netlab("rules", "headless", code=1).stderr
    assert f"why it does not: {NEAREST}" in refusal


CHECK = """\
---
apiVersion: netlab/v1
kind: PathCheck
metadata: {{name: {name}}}
spec: {{from: {{{sender}}}, to: {{{to}}}, expect: {{{expect}}}}}
"""


def test_check(lab: Machine, addresses: dict[str, str]) -> None:
    names = [name for name in CAUSES if name not in ("local", "balanced", "external")]
    text = "".join(_check(name, f"service: {name}", "endpoints: all") for name in names)
    text += _check("local", "service: local, node: master001", sender="client: client")
    text += _check("no-node-port", "node: worker001, nodePort: 30081", sender="client: client")
    text += _check("no-port", "service: healthy, port: 8080")
    text += _check("pod", "pod: web, port: 8080")
    text += _check("healthy", "service: healthy", "endpoints: all")
    file, report = lab.lab_file(text, "checks.yaml"), lab.base / "report.xml"
    done = lab.netlab("check", file, "-o", "json", "--junit", report, code=1)
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    found = {name: [cause["line"] for cause in check["causes"]] for name, check in checks.items()}
    wanted = {
        **{name: AT_SENDER.get(name, CAUSES[name]) for name in names},
        "local": LOCAL.format("master001"),
        "no-node-port": "no Service has the nodePort 30081/TCP (nearest: 30080 of default/local)",
        "no-port": "the Service has no port 8080/TCP (there are: 80/TCP)",
        "pod": AT_SENDER["port-number"],
    }
    assert found == {
        "healthy": [],
        **{name: [_placed(line, addresses)] for name, line in wanted.items()},
    }
    outcomes = {check["outcome"] for name, check in checks.items() if name in names}
    assert outcomes == {"refused", "timeout", ""}
    # Twelve refusals at once, and each was heard.
    assert checks["own"]["outcome"] == checks["port-name"]["outcome"] == "refused"
    assert NEAREST in report.read_text()
    lines = lab.netlab("check", file, "--only", "selector", code=1).stdout.split("\n")
    assert lines[0].startswith("FAIL selector | ") and lines[1] == f"  why: {NEAREST}"


def _placed(line: str, addresses: dict[str, str]) -> str:
    for name in ("web", "inward"):
        line = line.replace(f"{{{name}}}", addresses[name])
    return line


def _check(name: str, to: str, expect: str = "", sender: str = "pod: shell") -> str:
    return CHECK.format(name=name, to=to, expect=expect, sender=sender)
