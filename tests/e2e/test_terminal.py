"""Objects full of escape sequences, seen with kubectl and netlab: neither steers a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from e2e import manifests
from e2e.kubectls import Shell, installed, shell

pytestmark = pytest.mark.root

LAB = manifests.lab("tutorial", nodes=1)
EVIL = "\x1b]0;owned\x07 \x1b[31m\rred"
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("terminal"), LAB) as opened:
        programs = installed()
        assert programs, "scripts/kubectls gathers them"
        opened.use(list(programs.values())[-1])
        for obj in OBJECTS:
            opened("kubectl create -f -", json.dumps(obj))
        opened("kubectl patch pod waiting --subresource=status --type=merge -p " + STATUS)
        yield opened


OBJECTS = [
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "evil", "annotations": {"a": EVIL, "b": f"two\nlines {EVIL}"}},
        "data": {"key": EVIL},
    },
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "waiting", "annotations": {"a": EVIL}},
        "spec": {
            "nodeSelector": {"no": "node"},
            "containers": [{"name": "c", "image": "busybox", "command": ["sleep", EVIL]}],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "evil"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "waiting"},
        "reason": EVIL,
        "message": f"{EVIL} and\nmore",
        "type": "Warning",
        "source": {"component": "somebody"},
    },
]
STATUS = "'" + json.dumps({"status": {"message": EVIL, "reason": EVIL}}) + "'"


def netlab(lab: Shell, *words: str) -> str:
    return str(lab.here.netlab(*words).stdout)


def lines(text: str) -> list[str]:
    """What is the same in a moment."""
    gone = re.compile(r"\b\d+[smh]\b")
    return [re.sub(r" {2,}", "  ", gone.sub("AGE", line)).rstrip() for line in text.split("\n")]


@pytest.mark.parametrize("words", ["describe configmap evil", "describe pod waiting"])
def test_descriptions_as_kubectls(lab: Shell, words: str) -> None:
    ours, theirs = netlab(lab, *words.split()), lab(f"kubectl {words}")
    assert "^[[31m\\rred" in theirs
    assert "\x07" in theirs, "kubectl lets a bell through, we do not"
    assert CONTROLS.search(ours) is None
    assert lines(ours.replace("^G", "\x07").rstrip("\n")) == lines(theirs.rstrip("\n"))


@pytest.mark.parametrize(
    "words",
    [
        "get pod waiting -o custom-columns=A:.metadata.annotations.a,N:.metadata.name",
        "get pods",
        "get events",
        "get events -o wide",
        "get pods --show-labels",
    ],
)
def test_tables_as_kubectls(lab: Shell, words: str) -> None:
    ours, theirs = netlab(lab, *words.split()), lab(f"kubectl {words}")
    assert CONTROLS.search(ours) is None
    assert lines(ours.replace("^G", "\x07")) == lines(theirs)


@pytest.mark.parametrize("output", ["yaml", "jsonpath={.data.key}"])
def test_what_programs_read_is_kubectls(lab: Shell, output: str) -> None:
    words = f"get configmap evil -o {output}"
    assert netlab(lab, *words.split()) == lab(f"kubectl {words}")


def test_json_means_the_same(lab: Shell) -> None:
    words = "get configmap evil -o json"
    ours, theirs = netlab(lab, *words.split()), lab(f"kubectl {words}")
    assert json.loads(ours) == json.loads(theirs)
    assert CONTROLS.search(ours) is None


def test_errors_that_quote(lab: Shell) -> None:
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"x{EVIL}"}}
    path = lab.here.lab_file(json.dumps(bad), "bad.json")
    said = lab.here.netlab("apply", "-f", path, code=2).stderr
    assert "31m" in said
    assert CONTROLS.search(said) is None
    refused = lab.here.netlab("label", "pod", "waiting", f"a={EVIL}", code=1).stderr
    assert "31m" in refused
    assert CONTROLS.search(refused) is None
