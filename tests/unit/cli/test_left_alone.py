"""What `rules` says of a node that is left alone, and `why` of pods that have ended."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import pytest

from netlab.cli import options
from netlab.cli.packets import rules_, why_
from netlab.diagnosis.facts import Cause
from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.model import NftTable
from netlab.trace.answer import Answer
from netlab.view.loose_rules import naming

LEFT = parse(
    """\
*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
-A KUBE-SERVICES -m comment --comment "default/web-two:http cluster IP" -j KUBE-SVC-B
-A KUBE-SVC-A -m comment --comment "default/web:http -> 10.244.1.2:80" -j KUBE-SEP-A
COMMIT
"""
)


@pytest.mark.parametrize("is_left", [True, False])
def test_a_node_that_is_left_alone_is_said_to_be(
    is_left: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = tuple(naming("default/web", LEFT))
    assert [line.partition(": ")[0] for line in loose] == ["nat KUBE-SVC-A rule 1"]
    found = rules_.FoundRules("w1", "ipv4", [], (), is_left, loose)
    rules_.print_found([found], "default/web", words_only=False)
    said = capsys.readouterr().out
    assert ("(no rules)" in said) is not is_left
    assert ("node w1 is left alone, by its annotation netlab/hands-off" in said) is is_left
    assert ("left there  nat KUBE-SVC-A rule 1: -m comment" in said) is is_left
    assert found.json()["handsOff"] is is_left


def test_rules_of_nftables_name_it_by_their_chains() -> None:
    table: Any = NftTable("ip", "kube-proxy")
    chains = {
        "service-ULMVA6XW-default/web/tcp/http": ["ip daddr 10.96.0.7 drop"],
        "service-Y": ["x"],
    }
    made = {name: argparse.Namespace(rules=rules) for name, rules in chains.items()}
    found: Any = argparse.Namespace(name=table.name, chains=made)
    assert list(naming("default/web", found)) == [
        "kube-proxy service-ULMVA6XW-default/web/tcp/http rule 1: ip daddr 10.96.0.7 drop"
    ]


def test_why_tells_what_crashed_pods_said(monkeypatch: pytest.MonkeyPatch) -> None:
    causes = (
        Cause("ContainersNotRunning", "CrashLoopBackOff: exit code 3", pods=tuple("abcd")),
        Cause("PodsNotReady", "not ready", pods=("e",)),
    )
    monkeypatch.setattr(options, "client", lambda _: contextlib.nullcontext("us"))
    lines = "{} said".format
    monkeypatch.setattr("netlab.waiting.reasons", lambda _, names: list(map(lines, names)))
    found = Answer("shop/web", False, "", (), causes, ())
    said = list(why_._last_words(found, "shop", argparse.Namespace()))
    assert said == ["shop/a said", "shop/b said", "shop/c said"]
