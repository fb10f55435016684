"""Mistakes in files: exit code 2, each with its line, all at once, and nothing is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: bad}\nspec: {nodes: 2}\n---\n"
SERVICE = LAB + "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n"
DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: other}}
    spec: {containers: [{name: web, image: nginx}]}
"""
TWO_SERVICES = """apiVersion: v1
kind: Service
metadata: {name: a}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: b}
spec: {type: NodePort, ports: [{port: 80, nodePort: 30080}]}
"""

# name: the file, then what of each complaint must be there
MISTAKES: dict[str, tuple[str, list[str]]] = {
    "a tab": (LAB + "kind: Service\n\tmetadata: {}\n", [":7: ", "tab"]),
    "an unknown field": (
        LAB + "apiVersion: v1\nkind: Service\nnetadata: {name: web}\n",
        [":8: netadata: ", 'did you mean "metadata"'],
    ),
    "a wrong enum": (
        SERVICE + "  type: ClusterIp\n  ports: [{port: 80}]\n",
        [":10: spec.type: ", "ClusterIP", "NodePort"],
    ),
    "a nodePort outside the range": (
        SERVICE + "  type: NodePort\n  ports:\n  - port: 80\n    nodePort: 8080\n",
        [":13: spec.ports[0].nodePort: ", "30000-32767"],
    ),
    "a nodePort that is taken": (LAB + TWO_SERVICES, [":14: spec.ports[0].nodePort: ", "30080"]),
    "a selector that misses its template": (
        LAB + DEPLOYMENT,
        [":12: spec.template.metadata.labels: ", "selector"],
    ),
    "ranges that overlap": (
        "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: bad}\nspec:\n  nodes: 1\n"
        "  podCIDR: 10.96.0.0/16\n  serviceCIDR: 10.96.0.0/12\n",
        [":7: spec.serviceCIDR: ", "overlaps podCIDR"],
    ),
    "a name that is no label": (
        "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: My_Lab}\nspec: {nodes: 1}\n",
        [":3: metadata.name: ", 'write "my-lab"'],
    ),
    "the same object twice": (
        LAB + (DEPLOYMENT.replace("other", "web") + "---\n") * 2,
        [":17: metadata.name: ", ":8"],
    ),
    "the same key twice": (SERVICE + "  type: NodePort\n  type: ClusterIP\n", [":11: spec.type: "]),
    "ports without names": (
        SERVICE + "  ports:\n  - port: 80\n  - port: 81\n",
        [":11: spec.ports[0].name: ", ":12: spec.ports[1].name: ", "Required value"],
    ),
    "no lab": (DEPLOYMENT.replace("other", "web"), ["kind: Lab"]),
    "nothing": ("# only a comment\n", ["holds no object"]),
}


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        yield here


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_shown_and_nothing_touched(here: Machine, mistake: str) -> None:
    text, words = MISTAKES[mistake]
    refused = here.netlab("up", here.lab_file(text), code=2)
    for word in words:
        assert word in refused.stderr, refused.stderr
    assert refused.stdout == ""
    assert not (here.base / "run").exists()


def test_the_whole_machine_is_as_before(here: Machine) -> None:
    changes = here.mark()
    here.netlab("up", here.lab_file(LAB + TWO_SERVICES), code=2)
    assert changes() == []


def test_a_file_that_does_not_exist(here: Machine) -> None:
    here.lab_file(LAB, "quickstart.yaml")
    missing = here.base / "quickstrat.yaml"
    refused = here.netlab("up", missing, code=2)
    assert f"{missing}" in refused.stderr
    assert "did you mean" in refused.stderr


def test_binary_junk(here: Machine) -> None:
    junk = here.base / "junk.yaml"
    junk.write_bytes(bytes(range(256)) * 8)
    refused = here.netlab("up", junk, code=2)
    assert f"{junk}:1: is not text" in refused.stderr


def test_all_mistakes_of_all_files_at_once(here: Machine) -> None:
    one = here.lab_file(MISTAKES["a wrong enum"][0], "one.yaml")
    two = here.lab_file(MISTAKES["ports without names"][0].removeprefix(LAB), "two.yaml")
    refused = here.netlab("up", one, two, code=2)
    assert f"{one}:10: spec.type" in refused.stderr
    assert f"{two}:6: spec.ports[0].name" in refused.stderr
    assert f"{two}:7: spec.ports[1].name" in refused.stderr


def test_a_mistake_leaves_the_running_lab_alone(here: Machine) -> None:
    here.netlab("up", here.lab_file(LAB.removesuffix("---\n")))
    before = here.netlab("get", "all", "-A", "-o", "json").stdout
    here.netlab("up", here.lab_file(MISTAKES["a wrong enum"][0]), code=2)
    assert here.netlab("get", "all", "-A", "-o", "json").stdout == before
    here.netlab("down")
