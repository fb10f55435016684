from collections import Counter

import pytest

from netlab.controllers import placement
from netlab.objects.hostports import HostPort


def node(name="n1", labels=None, ready=True, **spec):
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def pod(**spec):
    return {"kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": spec}


def affinity(*terms):
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
AFFINITY = "node(s) didn't match Pod's node affinity/selector"


@pytest.mark.parametrize(
    ("pod_", "node_", "why"),
    [
        (pod(), node(), None),
        (pod(), node(unschedulable=True), "node(s) were unschedulable"),
        (
            pod(),
            node(taints=[CONTROL_PLANE]),
            "node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }",
        ),
        (
            pod(),
            node(taints=[{"key": "k", "value": "v", "effect": "NoExecute"}]),
            "node(s) had untolerated taint {k: v}",
        ),
        (pod(), node(taints=[{"key": "k", "effect": "PreferNoSchedule"}]), None),
        (
            pod(),
            node(ready=False),
            "node(s) had untolerated taint {node.kubernetes.io/not-ready: }",
        ),
        (pod(tolerations=[{"operator": "Exists"}]), node(taints=[CONTROL_PLANE]), None),
        (
            pod(tolerations=[{"key": CONTROL_PLANE["key"], "effect": "NoSchedule"}]),
            node(taints=[CONTROL_PLANE]),
            None,
        ),
        (
            pod(tolerations=[{"key": "k", "value": "other"}]),
            node(taints=[{"key": "k", "value": "v", "effect": "NoSchedule"}]),
            "node(s) had untolerated taint {k: v}",
        ),
        (pod(nodeSelector={"zone": "b"}), node(labels={"zone": "b"}), None),
        (pod(nodeSelector={"zone": "b"}), node(labels={"zone": "a"}), AFFINITY),
        (pod(affinity=affinity(expression("zone", "In", "a", "b"))), node(), AFFINITY),
        (
            pod(affinity=affinity(expression("zone", "In", "a", "b"))),
            node(labels={"zone": "b"}),
            None,
        ),
        (
            pod(affinity=affinity(expression("x", "Exists"), expression("zone", "NotIn", "a"))),
            node(),
            None,
        ),
        (pod(affinity=affinity(expression("cpus", "Gt", "4"))), node(labels={"cpus": "8"}), None),
        (pod(affinity=affinity({})), node(), AFFINITY),
        (
            pod(
                affinity=affinity(
                    {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
                )
            ),
            node("n1"),
            None,
        ),
    ],
)
def test_the_first_filter_that_refuses_names_the_reason(pod_, node_, why):
    assert placement.refusal(pod_, node_) == why


def test_host_ports_are_taken_once():
    wants = pod(containers=[{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}])
    assert placement.refusal(wants, node(), [HostPort("UDP", 80)]) is None
    assert placement.refusal(wants, node(), [HostPort("TCP", 80, "127.0.0.1")]) == (
        "node(s) didn't have free ports for the requested pod ports"
    )


def test_the_refusals_are_told_as_the_scheduler_tells_them():
    reasons = Counter({AFFINITY: 2, "node(s) were unschedulable": 1})
    assert placement.explain(3, reasons) == (
        "0/3 nodes are available: 1 node(s) were unschedulable, "
        "2 node(s) didn't match Pod's node affinity/selector."
    )
    assert placement.explain(0, Counter()) == "no nodes available to schedule pods"


def test_the_owner_s_pods_are_spread_before_the_load_is_looked_at_and_names_decide_ties():
    nodes = [node("c"), node("b"), node("a")]
    loads = {"a": (1, 1, []), "b": (0, 9, []), "c": (0, 9, [])}
    assert placement.place(pod(), nodes, lambda name: loads[name]).node == "b"
    assert placement.place(pod(), nodes, lambda _: (0, 0, [])).node == "a"


def test_preferences_count_before_spreading():
    preferred = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {"weight": 5, "preference": expression("disk", "In", "ssd")}
            ]
        }
    }
    nodes = [
        node("a", taints=[{"key": "k", "effect": "PreferNoSchedule"}], labels={"disk": "ssd"}),
        node("b"),
        node("c", labels={"disk": "ssd"}),
    ]
    loads = {"a": (0, 0, []), "b": (0, 0, []), "c": (3, 3, [])}
    assert placement.place(pod(affinity=preferred), nodes, lambda name: loads[name]).node == "c"


@pytest.mark.parametrize(
    ("tolerations", "seconds"),
    [
        ([], 0),
        ([{"key": "k", "operator": "Exists"}], None),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": 30}], 30),
        ([{"key": "k", "operator": "Exists", "tolerationSeconds": -1}], 0),
        (
            [
                {"key": "k", "operator": "Exists", "tolerationSeconds": 30},
                {"operator": "Exists", "tolerationSeconds": 20},
            ],
            20,
        ),
        ([{"key": "other", "operator": "Exists"}], 0),
    ],
)
def test_how_long_a_pod_bears_a_node(tolerations, seconds):
    tainted = node(
        taints=[{"key": "k", "effect": "NoExecute"}, {"key": "o", "effect": "NoSchedule"}]
    )
    assert placement.seconds_borne(pod(tolerations=tolerations), tainted) == seconds
    assert placement.seconds_borne(pod(tolerations=tolerations), node()) is None
