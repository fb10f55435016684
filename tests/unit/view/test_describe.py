"""Descriptions against the ones that kubectl 1.33 gave of the same objects.

tests/golden/describe/<case>/ holds the object with what belongs to it, and kubectl's output.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netlab.view.describing import describe
from netlab.view.describing.described import Related

GOLDEN = Path(__file__).parents[2] / "golden" / "describe"
CASES = sorted(path.name for path in GOLDEN.iterdir())


def recorded(case: str) -> tuple[dict[str, Any], Related]:
    data = json.loads((GOLDEN / case / "object.json").read_text())
    return data["object"], Related(data["now"], data["events"], data["objects"])


def test_there_are_cases() -> None:
    assert len(CASES) >= 20


@pytest.mark.parametrize("case", CASES)
def test_describes_as_kubectl_does(case: str) -> None:
    obj, related = recorded(case)
    expected = (GOLDEN / case / "expected").read_text()
    assert describe(obj, related).rstrip("\n") == expected.rstrip("\n")


def test_a_service_that_fails_says_why_below_all_that_kubectl_says() -> None:
    obj, related = recorded("service-no-endpoints")
    lines = ["selector app=wbe matches no pod (nearest: app=web)", "and more"]
    plain, told = (describe(obj, replace(related, causes=causes)) for causes in ((), lines))
    why = "\nWhy it fails:\n  selector app=wbe matches no pod (nearest: app=web)\n  and more"
    assert told == plain + why


NODE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {
        "name": "w1",
        "uid": "u",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": {"node-role.kubernetes.io/edge": "", "zone": "b"},
    },
    "spec": {
        "podCIDR": "10.244.1.0/24",
        "podCIDRs": ["10.244.1.0/24"],
        "taints": [
            {"key": "b", "effect": "NoSchedule", "value": "x"},
            {"key": "a", "effect": "NoExecute"},
        ],
    },
    "status": {
        "capacity": {"cpu": "2", "memory": "4Gi", "pods": "1000"},
        "allocatable": {"cpu": "2", "memory": "4Gi", "pods": "1000"},
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kernelVersion": "6.1"},
    },
}


def pod(name: str, cpu: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]},
        "status": {"phase": phase},
    }


def test_node_adds_up_what_its_pods_ask_for() -> None:
    pods = [pod("a", "500m"), pod("b", "1"), pod("gone", "1", "Succeeded")]
    text = describe(NODE, Related(1767225600 + 60, (), pods))
    lines = text.split("\n")
    assert "Roles:              edge" in lines
    assert lines[lines.index("Taints:             a:NoExecute") + 1].strip() == "b=x:NoSchedule"
    assert "  cpu                1500m (75%)  0 (0%)" in lines
    assert "Non-terminated Pods:          (2 in total)" in lines
    assert any(line.split()[:4] == ["default", "a", "500m", "(25%)"] for line in lines)
    assert "  pods:    1k" in lines


def test_terminating_pod_says_how_long() -> None:
    obj, related = recorded("pod")
    obj["metadata"] |= {
        "deletionTimestamp": obj["metadata"]["creationTimestamp"],
        "deletionGracePeriodSeconds": 30,
    }
    text = describe(obj, related)
    assert "Status:                    Terminating (lasts " in text
    assert "Termination Grace Period:  30s" in text


def test_repeated_event_says_how_often() -> None:
    obj, related = recorded("pod")
    event = {
        **related.events[0],
        "count": 3,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:01:00Z",
    }
    text = describe(obj, Related(1767225600 + 65, [event]))
    assert "5s (x3 over 65s)" in text


def test_old_replica_sets_with_pods_are_named() -> None:
    obj, related = recorded("deployment")
    new = next(one for one in related.objects if one["metadata"]["name"].startswith("hostname"))
    old = json.loads(json.dumps(new))
    old["metadata"]["name"] = "older"
    old["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "0"
    text = describe(obj, Related(related.now, (), [old, new]))
    assert "OldReplicaSets:  older (4/4 replicas created)" in text.split("\n")


def test_long_annotation_starts_on_its_own_line_and_is_cut() -> None:
    obj, related = recorded("namespace")
    obj["metadata"]["annotations"] = {"note": "x" * 300, "short": "y"}
    lines = describe(obj, related).split("\n")
    assert "Annotations:  note:" in lines
    assert f"{'':14}  {'x' * 138}..." in lines
    assert f"{'':14}short: y" in lines
