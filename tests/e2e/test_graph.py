"""`netlab graph`: pictures of a lab, of a Service's rules, of a packet's way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: drawn}
spec:
  nodes: [{name: worker001}, {name: worker002}]
  %s
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: empty}
spec: {selector: {app: nobody}, ports: [{port: 80}]}
"""


@pytest.fixture(scope="module", params=["iptables: nft", "proxyMode: nftables"])
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("drawn")) as here:
        here.netlab("up", here.lab_file(LAB % request.param))
        here.netlab("wait", "deployment/web", "--for=condition=Available")
        yield here


def texts(svg: str | bytes) -> list[str]:
    """All that one reads in a picture, line by line."""
    root = ElementTree.fromstring(svg)
    found = [element.text or "" for element in root.iter() if element.tag.endswith("}text")]
    return [text.replace("\xa0", " ").strip() for text in found]


def test_the_lab(lab: Machine) -> None:
    """All that there is, with its addresses, and who backs whom."""
    shown = texts(lab.netlab("graph", "-o", "svg").stdout)
    pods = json.loads(lab.netlab("get", "pods", "-o", "json").stdout)["items"]
    for pod in pods:
        assert pod["metadata"]["name"] in shown
        assert pod["status"]["podIP"] in shown
    assert {"worker001", "worker002", "client", "internet", "node network"} <= set(shown)
    assert {"web", "empty", "kubernetes", "kube-system/kube-dns"} <= set(shown)
    dot = lab.netlab("graph").stdout
    assert dot.count("dir=back") == 3 + 1 + 1, "web's pods, kube-dns', kubernetes'"
    folded = texts(lab.netlab("graph", "--fold", "-n", "default", "-o", "svg").stdout)
    assert "kube-system/kube-dns" not in folded
    assert {"2 pods", "web"} <= set(folded)


def test_rules(lab: Machine) -> None:
    (address,) = lab.resolve("drawn.default.box", "web.default.svc.cluster.local")
    lab.curl("drawn.default.box", address)
    shown = texts(
        lab.netlab("graph", "rules", "svc/web", "--node", "worker001", "-o", "svg").stdout
    )
    ends = [text for text in shown if text.startswith("33%")]
    assert len(ends) >= 3
    if any("packet" in text for text in shown):
        counted = [text for text in ends if not text.endswith(", 0 packets")]
        assert any(text.endswith("1 packet") for text in counted), "of that one request"
    assert any("30080" in text for text in shown)
    assert [text for text in shown if text.startswith("worker")] == ["worker001 (ipv4)"]


def test_a_trace(lab: Machine, tmp_path: Path) -> None:
    saved, svg = tmp_path / "t.json", tmp_path / "t.svg"
    lab.netlab("trace", "box", "svc/web:80", "--save", saved, "--svg", svg)
    shown = texts(svg.read_bytes())
    story = json.loads(saved.read_text())
    assert f"delivered to {story['deliveredTo']} ({story['deliveredAs']})" in " ".join(shown)
    assert any(text.startswith(f"{len(story['hops'])}. ") for text in shown)
    (change,) = story["dnat"]
    assert f"DNAT: {change['before']} became {change['after']}" in shown
    done = lab.netlab("graph", "trace", saved, "-o", "svg").stdout
    assert texts(done) == shown
    assert oct(svg.stat().st_mode & 0o777) == oct(0o666 & ~_umask())


def test_one_that_fails(lab: Machine, tmp_path: Path) -> None:
    svg = tmp_path / "t.svg"
    lab.netlab("trace", "box", "svc/empty:80", "--svg", svg)
    said = " ".join(texts(svg.read_bytes()))
    assert "refused after worker001 cni0" in said
    assert "ICMP type 3 code 3" in said
    assert "selector app=nobody matches no pod" in said, "and why"


def test_files_and_forms(lab: Machine, tmp_path: Path) -> None:
    for name, begins in (
        ("x.svg", b"<?xml"), ("x.png", b"\x89PNG"), ("x.dot", b"digraph"), ("x.mmd", b"%%{init"),
    ):  # fmt: skip
        done = lab.netlab("graph", "-o", tmp_path / name)
        assert done.stdout == ""
        assert (tmp_path / name).read_bytes().startswith(begins)
    drawn = lab.netlab("graph", "-o", "mermaid").stdout.splitlines()
    assert drawn[0].startswith("%%{init: ") and drawn[1] == "flowchart LR"


def test_a_service_that_is_not_there(lab: Machine) -> None:
    done = lab.netlab("graph", "rules", "nothing", code=1)
    assert 'services "nothing" not found' in done.stderr


def test_files_without_a_lab(tmp_path: Path) -> None:
    elsewhere = Machine(tmp_path)
    file = elsewhere.lab_file(LAB % "")
    shown = texts(elsewhere.netlab("graph", "-f", file, "-o", "svg").stdout)
    assert {"worker001", "box", "web", "empty", "node network"} <= set(shown)
    assert len([text for text in shown if text.startswith("web-")]) == 3
    assert elsewhere.netlab("graph", "-f", file).stdout.count("dir=back") >= 3
    alone = elsewhere.lab_file((LAB % "").partition("---")[2], "objects.yaml")
    shown = texts(elsewhere.netlab("graph", "-f", alone, "-o", "svg").stdout)
    assert {"Deployment, 3 pods", "box", "web", "empty"} <= set(shown)
    broken = elsewhere.lab_file("kind: Nothing", "broken.yaml")
    said = elsewhere.netlab("graph", "-f", broken, "-o", tmp_path / "x.svg", code=2).stderr
    assert said.startswith(f"error: {broken}:1: ")
    assert not (tmp_path / "x.svg").exists()
    assert elsewhere.netlab("graph", code=1).stderr.startswith("error: no lab is running")


BAD = [
    ("-o pdf", "error: argument -o/--output: there is no format 'pdf', there are: dot, svg, png"),
    ("-o /nonexistent/x.svg", "error: there is no directory /nonexistent for x.svg"),
    ("rules", "error: the following arguments are required: SERVICE"),
    ("rules pod/x", "error: pod/x is no Service"),
    ("trace /nonexistent", "error: /nonexistent cannot be read: no such file"),
    ("rule svc/web", "error: there is no verb 'graph rule'"),
    ("--each --fold", "error: argument --fold: not allowed with argument --each"),
]


@pytest.mark.parametrize(("words", "complaint"), BAD)
def test_what_cannot_be_drawn(lab: Machine, words: str, complaint: str) -> None:
    done = lab.netlab("graph", *words.split(), code=2)
    assert done.stderr.startswith(complaint), done.stderr
    assert done.stdout == ""


def test_without_graphviz(lab: Machine, tmp_path: Path) -> None:
    """What needs none is drawn; for the rest it is said what is missing, before anything else."""
    program = shutil.which("dot")
    assert program is not None, "scripts/setup --dev installs it"
    nothing = tmp_path / "nothing"
    nothing.touch(0o644)
    hidden = f'mount --bind {nothing} {Path(program).resolve()} && exec "$@"'
    argv = [*lab.command, "graph", "-o", str(tmp_path / "x.svg")]
    done = subprocess.run(
        ["unshare", "-m", "/bin/sh", "-c", hidden, "sh", *argv],
        env=lab.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert done.stderr == (
        "error: the program dot is missing\n"
        "  hint: apt-get install graphviz; -o dot and -o mermaid need none\n"
    )
    assert not (tmp_path / "x.svg").exists()


def test_a_picture_is_nothing_for_a_terminal(lab: Machine) -> None:
    leader, follower = os.openpty()
    done = subprocess.run(
        [*lab.command, "graph", "-o", "png"],
        env=lab.environment, stdout=follower, stderr=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("error: a picture is nothing for a terminal\n  hint: ")
    for descriptor in (leader, follower):
        os.close(descriptor)


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found
