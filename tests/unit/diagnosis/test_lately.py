"""What was changed by hand on a node a moment ago, and is put back."""

from __future__ import annotations

from typing import Any

from netlab.diagnosis.facts import Facts
from netlab.diagnosis.lately import put_back
from netlab.objects.times import timestamp

NOW = 1_800_000_000.0


def node(name: str) -> Any:
    return {"kind": "Node", "metadata": {"name": name, "uid": name}}


def event(about: str, reason: str, ago: float, message: str = "cni0 is down") -> Any:
    return {
        "reason": reason,
        "message": message,
        "involvedObject": {"uid": about},
        "lastTimestamp": timestamp(NOW - ago),
    }


def test_of_the_nodes_asked_for_the_last_change_of_each_kind_is_told() -> None:
    facts = Facts(
        nodes=[node("w1"), node("w2")],
        events=[
            event("w1", "NetworkChanged", 40, "eth0 is down"),
            event("w1", "NetworkChanged", 12),
            event("w1", "RulesChanged", 299, "rules\nput back"),
            event("w1", "Rebooted", 5),
            event("w2", "RulesChanged", 3),
        ],
    )
    assert list(put_back(facts, ["w1", "w1", "w9"], NOW)) == [
        "lately (299 s ago) on node w1: rules put back",
        "lately (12 s ago) on node w1: cni0 is down",
    ]


def test_what_is_long_ago_or_without_a_time_is_not_told() -> None:
    timeless = event("w1", "RulesChanged", 0) | {"lastTimestamp": None}
    facts = Facts(nodes=[node("w1")], events=[event("w1", "NetworkChanged", 301), timeless])
    assert list(put_back(facts, ["w1"], NOW)) == []
