from __future__ import annotations

from typing import Any

import pytest

from netlab.objects import lab_update
from netlab.objects.lab import Lab, lab_from_object, lab_problems

NODES: list[dict[str, Any]] = [
    {"name": "m", "role": "control-plane"},
    {"name": "a", "labels": {"disk": "ssd"}},
    {"name": "b"},
]


def obj(**spec: object) -> dict[str, Any]:
    given = {"nodes": NODES, **spec}
    return {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": given}


def lab(**spec: object) -> Lab:
    assert lab_problems(obj(**spec)) == []
    return lab_from_object(obj(**spec))


def kept(before: Lab, **spec: object) -> Lab:
    found = lab_update.kept(obj(**spec), before)
    assert lab_problems(found) == []
    return lab_from_object(found)


def test_a_node_in_between_leaves_the_others_their_addresses() -> None:
    before = lab()
    after = kept(before, nodes=[NODES[0], {"name": "new"}, *NODES[1:]])
    assert after.node("a") == before.node("a")
    assert after.node("b") == before.node("b")
    new = after.node("new")
    assert new is not None
    assert (new.internal_ips, new.pod_cidrs) == (("10.10.11.13",), ("10.244.3.0/24",))


def test_what_a_file_says_of_an_address_counts() -> None:
    before = lab()
    after = kept(before, nodes=[*NODES[:2], {"name": "b", "internalIP": "10.10.11.77"}])
    assert [p.field for p in lab_update.of_nodes(before, after)] == ["spec.nodes[2].internalIP"]


def test_a_count_of_nodes_is_the_list_it_stands_for() -> None:
    before = lab(nodes=3)
    after = kept(before, nodes=2)
    assert after.nodes == before.nodes[:2]
    assert lab_update.changes(before, after) == lab_update.LabChanges(("nodes",), ("worker002",))


def test_clients_keep_their_addresses() -> None:
    before = lab(external={"clients": [{"name": "one"}, {"name": "two"}]})
    after = kept(before, external={"clients": [{"name": "two"}, {"name": "three"}]})
    ips = {client.name: client.ips[0] for client in after.external.clients}
    assert ips["two"] == before.external.clients[1].ips[0]
    assert ips["three"] not in {c.ips[0] for c in before.external.clients[1:]}


def test_nothing_changed_is_no_change() -> None:
    before = lab()
    assert kept(before) == before
    assert not lab_update.changes(before, kept(before))


def test_labels_and_taints_change_a_node() -> None:
    before = lab()
    taints = [{"key": "k", "effect": "NoSchedule"}]
    after = kept(before, nodes=[*NODES[:2], {"name": "b", "labels": {"z": "1"}, "taints": taints}])
    changed = lab_update.changes(before, after).changed
    assert [(was.name, now.labels) for was, now in changed] == [("b", {"z": "1"})]
    assert list(lab_update.of_nodes(before, after)) == []


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"podCIDR": "10.200.0.0/16"}, "spec.podCIDR"),
        ({"serviceCIDR": "10.97.0.0/16"}, "spec.serviceCIDR"),
        ({"nodeNetwork": "10.9.0.0/24"}, "spec.nodeNetwork"),
        ({"external": {"cidr": "172.20.0.0/24"}}, "spec.external.cidr"),
        ({"ipFamilies": ["IPv4", "IPv6"]}, "spec.ipFamilies"),
    ],
)
def test_ranges_stay(spec: dict[str, Any], field: str) -> None:
    problems = {p.field: p for p in lab_update.of_ranges(lab(), lab(**spec))}
    assert field in problems
    assert problems[field].hint == "sudo netlab down x, then up again"


@pytest.mark.parametrize("role", ["control-plane", "worker"])
def test_a_node_keeps_its_role(role: str) -> None:
    before = lab(nodes=[NODES[0], {"name": "a", "role": role}])
    other = "worker" if role == "control-plane" else "control-plane"
    after = kept(before, nodes=[NODES[0], {"name": "a", "role": other}])
    fields = [problem.field for problem in lab_update.of_nodes(before, after)]
    assert fields == ["spec.nodes[1].role"]


@pytest.mark.parametrize(
    "spec",
    [
        {"proxyMode": "nftables"},
        {"iptables": "legacy"},
        {"proxy": {"masqueradeAll": True}},
        {"dns": {"domain": "lab.test"}},
        {"external": {"names": {"shop.test": ["192.0.2.1"]}}},
        {"loadBalancer": {"pool": "none"}},
    ],
)
def test_these_may_change(spec: dict[str, Any]) -> None:
    before = lab()
    after = kept(before, **spec)
    assert [*lab_update.of_ranges(before, lab(**spec)), *lab_update.of_nodes(before, after)] == []
    assert lab_update.changes(before, after).fields == tuple(spec)
