"""`netlab trace` where kernel and simulator part: both stories are printed, and the exit code is 4.

They do not part by themselves, so the prediction alone is spoilt here: the command runs with a
simulator that has a rule more than the kernel.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: parted}
spec: {RULES, nodes: [{name: worker001}]}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {nodeName: worker001, containers: [{name: web, image: nginx}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
SPOILT = """
import sys
from msgspec.structs import replace
from netlab.cli.main import main
from netlab.simulation.packet import Hit
from netlab.trace import iptables_rules, nftables_rules

def spoil(kind):
    simulate = kind.simulate
    def spoilt(self, packet, **where):
        for one in simulate(self, packet, **where):
            more = Hit("filter", "FORWARD", 99, "-p tcp -j DROP", "drop")
            yield replace(one, verdict="DROP", hook="FORWARD", rules=(*one.rules, more))
    kind.simulate = lambda self, packet, **where: list(spoilt(self, packet, **where))

spoil(iptables_rules.IptablesRules)
spoil(nftables_rules.NftRules)
sys.exit(main(sys.argv[1:]))
"""
LEGACY = "iptables: legacy"


@pytest.fixture(scope="module", params=["iptables: nft", LEGACY, "proxyMode: nftables"])
def lab(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("parted")) as here:
        here.netlab("up", str(here.lab_file(LAB.replace("RULES", request.param))))
        yield here


def test_both_stories_are_printed(lab: Machine, tmp_path: Path) -> None:
    spoilt = dataclasses.replace(lab, command=(sys.executable, "-c", SPOILT))
    file = tmp_path / "differs.json"
    told = spoilt.netlab("trace", "box", "svc/web:80", "--save", file, code=4).stdout
    legacy = LEGACY in (lab.base / "lab.yaml").read_text()
    assert "delivered to default/web (" in told  # the kernel's
    assert "kernel and simulator differ: " in told
    parted = "is lost by the rules" if legacy else "the simulator rule 99 of filter FORWARD"
    assert parted in told
    # Where they part by rules, both are told from there on.
    assert ("\nsimulator after " in told, "\nkernel after " in told) == (not legacy, not legacy)
    assert legacy or "\n  rule 99 of filter FORWARD on worker001: " in told
    assert told.endswith("by the rules the packet ends so\n  100.0% lost at worker001\n")
    shown = lab.netlab("trace", "--show", file, code=4).stdout
    assert shown == told
    document = json.loads(file.read_text())
    assert (document["verdict"], document["agree"]) == ("delivered", False)
    assert parted in document["difference"]
    assert bool(document["parted"]["simulator"]) == (not legacy)
    assert {end["verdict"] for end in document["ends"]} == {"lost"}


def test_without_a_fault_they_agree(lab: Machine) -> None:
    lab.netlab("trace", "box", "svc/web:80", code=0)
