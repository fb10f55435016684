"""`netlab trace` and `netlab why` where a node has rules of many Services, which are read chain by
chain."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from e2e.labs import Machine, machine

from netlab.trace.session import _MANY

pytestmark = pytest.mark.root

SERVICES = 250
LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: many}
spec: {iptables: nft, nodes: [{name: worker001}, {name: worker002}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: worker002, containers: [{name: web, image: nginx}]}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: web-%d}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    assert SERVICES > _MANY
    with machine(tmp_path_factory.mktemp("many")) as here:
        services = "".join(SERVICE % number for number in range(SERVICES))
        here.netlab("up", str(here.lab_file(LAB + services)), timeout=180)
        # What is written by hand stays.
        for node in ("worker001", "worker002"):
            here.netlab("annotate", "node", node, "netlab/hands-off=rules")
        yield here


def by_hand(lab: Machine, *rule: str, table: str = "filter") -> None:
    lab.run_in("many.worker001", "iptables-nft", "-t", table, *rule)


def test_one_of_many_is_told_as_of_few(lab: Machine) -> None:
    told = json.loads(lab.netlab("trace", "box", "svc/web-137:80", "-o", "json").stdout)
    assert (told["verdict"], told["agree"], told["deliveredTo"]) == (
        "delivered", True, "default/web",
    )  # fmt: skip
    (services,) = (
        one for one in told["chains"]
        if (one["place"], one["table"], one["chain"]) == ("worker001", "nat", "KUBE-SERVICES")
    )  # fmt: skip
    assert services["size"] > SERVICES
    (met,) = services["met"]
    assert met["origin"]["key"] == "default/web-137"
    assert len(services["missed"]) == met["number"] - 1


def test_why_not_another_of_many(lab: Machine) -> None:
    told = json.loads(
        lab.netlab("trace", "box", "svc/web-1:80", "--why-not", "svc/web-2", "-o", "json").stdout
    )
    assert {turn["chain"] for turn in told["whyNot"]} == {"KUBE-SERVICES"}
    assert not any(turn["taken"] for turn in told["whyNot"])


def test_a_rule_by_hand_among_those_that_all_share_is_named(lab: Machine) -> None:
    rule = ("KUBE-FORWARD", "-p", "tcp", "--dport", "80", "-j", "DROP")
    by_hand(lab, "-I", *rule)
    try:
        words = ("trace", "box", "svc/web-137:80", "--expect", "delivered")
        told = lab.netlab(*words, code=1).stdout
        assert "filter KUBE-FORWARD" in told
        assert "took     rule 1: tcp port 80: drop" in told
        assert "kernel and simulator agree" in told
        why = lab.netlab("why", "svc/web-137", "--from", "box", code=1).stdout
        assert "KUBE-FORWARD" in why
        assert "DROP" in why
    finally:
        by_hand(lab, "-D", *rule)


def test_shared_rules_in_another_order_are_told_as_they_stand(lab: Machine) -> None:
    """All is masqueraded once the rule that lets the rest go stands last."""
    rule = ("KUBE-POSTROUTING", "-m", "mark", "!", "--mark", "0x4000/0x4000", "-j", "RETURN")
    by_hand(lab, "-D", *rule, table="nat")
    by_hand(lab, "-A", *rule, table="nat")
    try:
        told = json.loads(lab.netlab("trace", "box", "svc/web-137:80", "-o", "json").stdout)
        assert (told["verdict"], told["agree"]) == ("delivered", True)
        assert [change["place"] for change in told["masquerade"]] == ["worker001"]
    finally:
        by_hand(lab, "-D", *rule, table="nat")
        by_hand(lab, "-I", *rule, table="nat")
