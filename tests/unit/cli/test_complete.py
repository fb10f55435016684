"""What Tab offers, with the lab's names made up."""

from __future__ import annotations

import argparse
import signal
import time

import pytest

from netlab.cli.lab import complete_, completion_
from netlab.cli.lab.complete_ import TypedLine, candidates
from netlab.cli.verbs import HIDDEN, VERBS

NAMES = {
    "pods": ["client", "web-1"],
    "services": ["web"],
    "nodes": ["master001", "worker001"],
    "namespaces": ["default", "kube-system"],
    "deployments": ["web"],
}


@pytest.fixture(autouse=True)
def a_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    from netlab import inventory
    from netlab.objects.kinds import find

    def names(line: TypedLine, word: str) -> list[str]:
        kind = find(word)
        if kind is None or line.values.get("namespace", "default") == "empty":
            return []
        return NAMES.get(kind.plural, [])

    monkeypatch.setattr(complete_, "_names", names)
    monkeypatch.setattr(inventory, "names", lambda: ["one", "two"])


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["des"], ["describe"]),
        (["--lab", "o"], ["one"]),
        (["-n", "ku"], ["kube-system"]),
        (["--lab", "one", "des"], ["describe"]),
        (["get", "po"], ["pods", "podtemplates"]),
        (["get", "sv"], ["svc"]),
        (["get", "pods,serviceac"], ["pods,serviceaccounts"]),
        (["get", "pods", ""], ["client", "web-1"]),
        (["get", "pods", "client", ""], ["web-1"]),
        (["get", "pods/w"], ["pods/web-1"]),
        (["get", "pods/client", "svc/"], ["svc/web"]),
        (["get", "-n", ""], ["default", "kube-system"]),
        (["get", "-n", "empty", "pods", ""], []),
        (["-n", "empty", "get", "pods", ""], []),
        (["get", "--namespace=k"], ["--namespace=kube-system"]),
        (["get", "-o", "j"], ["json", "jsonpath="]),
        (["get", "-o", "wide", "no"], ["nodes"]),
        (["rules", "w"], ["web"]),
        (["rules", "--node", "w"], ["worker001"]),
        (["rules", "web", "--node=m"], ["--node=master001"]),
        (["exec", "-it", "c"], ["client"]),
        (["exec", "deploy/"], ["deploy/web"]),
        (["exec", "client", "--", ""], []),
        (["logs", ""], ["client", "web-1"]),
        (["scale", ""], ["deployment/web"]),
        (["down", ""], ["one", "two"]),
        (["up", ""], [":files"]),
        (["apply", "-f", "x"], [":files"]),
        (["completion", "z"], ["zsh"]),
        (["delete", "--cascade", "f"], ["foreground"]),
        (["kubectl", "get", ""], []),
        (["bogus", ""], []),
        (["rollout", "re"], ["restart", "resume"]),
        (["-n", "x", "rollout", "-n", "y", "st"], ["status"]),
        (["rollout", "status", "deployments/"], ["deployments/web"]),
        (["node", "st"], ["stop", "start"]),
        (["node", "stop", "w"], ["worker001"]),
        (["node", "remove", "master001", "w"], ["worker001"]),
        (["node", "add", "w"], []),
        (["node", "add", "w", "--role", "c"], ["control-plane"]),
        (["create", "c"], ["cronjob", "configmap"]),
        (["create", "-f", ""], [":files"]),
        (["create", "svc", "n"], ["nodeport"]),
        (["set", "image", "deployments", ""], ["web"]),
        (["patch", "--type", "m"], ["merge"]),
        (["he"], ["help"]),
        (["help", "kube"], ["kubeconfig", "kubectl", "kube-proxy", "kubernetes-api"]),
        (["help", "arch"], ["architecture"]),
        (["help", "rollout", "re"], ["restart", "resume"]),
        (["help", "architecture", ""], []),
    ],
)
def test_offers(words: list[str], offered: list[str]) -> None:
    assert [one.partition("\t")[0] for one in candidates(words)] == offered


def test_verbs_come_with_what_they_do() -> None:
    offered = dict(line.split("\t") for line in candidates([""]))
    assert offered == {verb.name: verb.summary for verb in VERBS.values()}
    assert HIDDEN.name not in offered


@pytest.mark.parametrize("verb", [v.name for v in VERBS.values() if not v.verbatim])
def test_every_verb_offers_its_options(verb: str) -> None:
    offered = {one.partition("\t")[0] for one in candidates([verb, "--"])}
    assert {"--help", "--lab"} <= offered
    assert all(one.startswith("--") for one in offered)


def test_patience_ends_and_leaves_no_alarm_behind(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(complete_, "PATIENCE", 0.05)
    monkeypatch.setattr(complete_, "_names", lambda *_: time.sleep(5))
    assert complete_.run(argparse.Namespace(words=["get", "pods", ""])) == 0
    assert capsys.readouterr().out == ""
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_failures_are_silent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object) -> list[str]:
        raise RuntimeError("no lab")

    monkeypatch.setattr(complete_, "_names", fails)
    assert complete_.run(argparse.Namespace(words=["get", "pods", ""])) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_scripts_ask_the_hidden_verb(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert completion_.run(argparse.Namespace(shell=shell)) == 0
    assert HIDDEN.name in capsys.readouterr().out
