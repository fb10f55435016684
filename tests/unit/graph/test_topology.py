"""A lab's objects → its picture."""

from __future__ import annotations

from typing import Any

from netlab.graph.model import Arrow, Box, Picture, boxes
from netlab.graph.planned import planned
from netlab.graph.topology import MANY, Objects, topology
from netlab.objects.lab import lab_from_object

LAB = lab_from_object(
    {
        "apiVersion": "netlab/v1",
        "kind": "Lab",
        "metadata": {"name": "t"},
        "spec": {"nodes": [{"name": "n1", "role": "control-plane"}, {"name": "n2"}]},
    }
)


def pod(name: str, number: int, *, node: str = "n2", ready: bool = True, owner: str = "") -> Any:
    owners = [{"kind": "ReplicaSet", "name": owner, "controller": True}] if owner else []
    return {
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "default", "ownerReferences": owners,
            "labels": {"pod-template-hash": "5d4"} if owner else {},
        },
        "spec": {"nodeName": node},
        "status": {
            "phase": "Running",
            "podIPs": [{"ip": f"10.244.1.{number}"}],
            "conditions": [{"type": "Ready", "status": str(ready)}],
        },
    }  # fmt: skip


def service(name: str, **spec: Any) -> Any:
    whole = {"clusterIP": "10.96.0.7", "ports": [{"port": 80}]} | spec
    return {"metadata": {"name": name, "namespace": "default"}, "spec": whole}


def backed(name: str, *addresses: str, ready: bool = True) -> Any:
    return {
        "metadata": {
            "name": f"{name}-1", "namespace": "default",
            "labels": {"kubernetes.io/service-name": name},
        },
        "endpoints": [
            {"addresses": [each], "conditions": {"ready": ready}} for each in addresses
        ],
    }  # fmt: skip


def box(picture: Picture, name: str) -> Box:
    return next(one for one in boxes(picture) if one.lines[0] == name)


def arrows(picture: Picture, kind: str) -> list[tuple[str, str, str]]:
    names = {one.key: one.lines[0] for one in boxes(picture)}
    return [
        (names[arrow.tail], names[arrow.head], arrow.label)
        for arrow in picture.arrows
        if arrow.kind == kind
    ]


def test_a_small_lab() -> None:
    objects = Objects(
        (pod("web-1", 2), pod("web-2", 3, ready=False), pod("waits", 4, node="")),
        (
            service("web", ports=[{"port": 80, "nodePort": 30080}]),
            service("head", clusterIP="None"),
            service("away", type="ExternalName"),
        ),
        (backed("web", "10.244.1.2"), backed("web", "10.244.1.3", ready=False)),
    )
    picture = topology(LAB, objects)
    assert box(picture, "web-1").lines == ("web-1", "10.244.1.2")
    assert box(picture, "web-2").lines == ("web-2", "10.244.1.3", "not ready")
    assert box(picture, "web").lines == ("web", "10.96.0.7", "80/TCP, nodes' 30080")
    assert box(picture, "head").lines[1:] == ("headless", "80/TCP", "no endpoint is ready")
    kinds = [box(picture, name).kind for name in ("web-1", "web-2", "web", "head")]
    assert kinds == ["pod", "bad", "service", "bad"]
    assert not [one for one in boxes(picture) if one.lines[0] == "away"]
    assert box(picture, "n2").lines[1].startswith("eth0 10.")
    assert arrows(picture, "backs") == [("web-1", "web", ""), ("web-2", "web", "0 of 1 ready")]
    wires = arrows(picture, "wire")
    assert ("n2", "web-1", "") in wires
    assert ("node network", "n2", "eth0") in wires
    assert box(picture, "waits") in picture.boxes, "on no node"
    (group,) = [one for one in picture.groups if one.title == "n2 (worker)"]
    assert [one.lines[0] for one in group.groups[0].boxes] == ["web-1", "web-2"]


def test_a_node_may_back_a_service() -> None:
    address = LAB.nodes[0].internal_ips[0]
    picture = topology(LAB, Objects((), (service("api"),), (backed("api", address),)))
    assert arrows(picture, "backs") == [("n1", "api", "")]


def test_replicas_are_one_box_where_there_are_many() -> None:
    many = [pod(f"web-5d4-{n}", n, owner="web-5d4", ready=n > 3) for n in range(1, MANY + 2)]
    addresses = [f"10.244.1.{n}" for n in range(1, MANY + 2)]
    objects = Objects(many, (service("front"),), (backed("front", *addresses),))
    folded = topology(LAB, objects)
    assert box(folded, "web").kind == "pod"
    assert [one.lines for one in boxes(folded) if one.kind == "pod"] == [
        ("web", "25 pods", "10.244.1.1, 10.244.1.2, 10.244.1.3, … 22 more", "22 of 25 ready")
    ]
    assert [arrow for arrow in folded.arrows if arrow.kind == "backs"] == [
        Arrow("pods n2 web ", "service default/front", "", "backs")
    ]
    each = topology(LAB, objects, folded=False)
    kinds = [one.kind for one in boxes(each) if one.lines[0].startswith("web-")]
    assert (kinds.count("pod"), kinds.count("bad")) == (MANY - 2, 3)
    columns = [column for column in each.columns if column]
    assert list(map(len, columns)) == [8, 8, 8, 1]
    assert len(topology(LAB, Objects(many[:2]), folded=True).groups[-1].groups[0].boxes) == 1


def test_what_files_say() -> None:
    """Workloads that no node has, and who selects them."""
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"nodeName": "n2"}}
    objects: list[Any] = [
        {
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"replicas": 3, "template": template},
        },
        {"kind": "Pod", "metadata": {"name": "p", "namespace": "x", "labels": labels}},
        {"kind": "DaemonSet", "metadata": {"name": "d", "namespace": "x"}, "spec": {}},
        {"kind": "Service"} | service("front", selector=labels, clusterIP=""),
        {"kind": "Service"} | service("none", clusterIP=""),
    ]
    picture = planned(objects)
    assert box(picture, "web").lines == ("web", "Deployment, 3 pods, on n2")
    assert box(picture, "x/p").lines == ("x/p", "Pod")
    assert box(picture, "x/d").lines[1] == "DaemonSet, one on each node"
    assert box(picture, "front").lines == ("front", "80/TCP")
    assert arrows(picture, "backs") == [("web", "front", "")]
