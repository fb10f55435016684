import asyncio

import pytest

from netlab.errors import NotFound
from netlab.objects import meta


async def names(c, kind, namespace="default"):
    return [meta.name(one) for one in await c.list(kind, namespace)]


async def test_what_a_deployment_owns_goes_with_it(cluster, make):
    await cluster.create(make.deployment(), make.deployment("other", 1))
    await cluster.settle()
    await cluster.delete("Deployment", "web")
    await cluster.settle()
    assert await names(cluster, "Deployment") == ["other"]
    assert len(await names(cluster, "ReplicaSet")) == 1
    assert [name.split("-")[0] for name in await names(cluster, "Pod")] == ["other"]


async def test_foreground_deletion_keeps_the_owner_until_its_pods_are_gone(cluster, make):
    await cluster.create(make.deployment(replicas=2))
    await cluster.settle()
    cluster.kubelet.undying = lambda _: True
    await cluster.delete("Deployment", "web", propagation="Foreground")
    await cluster.settle()
    assert await names(cluster, "Deployment") == ["web"]
    assert len(await names(cluster, "ReplicaSet")) == 1
    pods = await cluster.list("Pod")
    assert len(pods) == 2 and all(map(meta.is_terminating, pods))
    cluster.kubelet.undying = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    for kind in ("Deployment", "ReplicaSet", "Pod"):
        assert await names(cluster, kind) == []


async def test_a_circle_of_owners_goes_with_any_of_them(cluster, make):
    for name in ("a", "b", "c"):
        await cluster.create(make.pod(name))
    await cluster.settle()
    pods = {meta.name(pod): pod for pod in await cluster.list("Pod")}
    for name, owner in (("a", "c"), ("b", "a"), ("c", "b")):
        reference = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": owner,
            "uid": meta.uid(pods[owner]),
            "controller": True,
            "blockOwnerDeletion": True,
        }
        await cluster.patch("Pod", name, {"metadata": {"ownerReferences": [reference]}})
    await cluster.settle()
    await cluster.delete("Pod", "a", propagation="Foreground")
    await cluster.settle()
    assert await names(cluster, "Pod") == []


async def test_orphaned_dependents_stay_and_are_adopted_by_a_successor(cluster, make):
    await cluster.create(make.deployment(replicas=2))
    await cluster.settle()
    pods = {meta.uid(pod) for pod in await cluster.list("Pod")}
    await cluster.delete("Deployment", "web", propagation="Orphan")
    await cluster.settle()
    assert await names(cluster, "Deployment") == []
    (replica_set,) = await cluster.list("ReplicaSet")
    assert meta.controller_of(replica_set) is None
    await cluster.create(make.deployment(replicas=2))
    await cluster.settle()
    (adopted,) = await cluster.list("ReplicaSet")
    assert meta.uid(adopted) == meta.uid(replica_set)
    assert meta.controller_of(adopted)["name"] == "web"
    assert {meta.uid(pod) for pod in await cluster.list("Pod")} == pods


def config(name, *owners):
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": meta.name(one), "uid": meta.uid(one)}
        for one in owners
    ]
    metadata = {"name": name, "namespace": "default", "ownerReferences": references}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


async def test_an_object_with_two_owners_lives_as_long_as_one_of_them(cluster, make):
    first, second = await cluster.api.create(config("a")), await cluster.api.create(config("b"))
    await cluster.create(config("c", first, second))
    await cluster.settle()
    await cluster.delete("ConfigMap", "a")
    await cluster.settle()
    child = await cluster.get("ConfigMap", "c")
    assert [r["name"] for r in child["metadata"]["ownerReferences"]] == ["b"]
    await cluster.delete("ConfigMap", "b")
    await cluster.settle()
    assert await names(cluster, "ConfigMap") == []


async def test_an_object_born_to_an_owner_already_gone_is_collected(cluster, make):
    owner = await cluster.api.create(config("a"))
    await cluster.delete("ConfigMap", "a")
    again = await cluster.api.create(config("a"))
    assert meta.uid(again) != meta.uid(owner)
    await cluster.create(config("late", owner))
    await cluster.settle()
    assert await names(cluster, "ConfigMap") == ["a"]


async def test_an_owner_of_a_kind_that_is_not_served_counts_as_staying(cluster):
    child = config("child")
    job = {"apiVersion": "acme.example/v1", "kind": "Widget", "name": "j", "uid": "1"}
    child["metadata"]["ownerReferences"] = [job]
    await cluster.create(child)
    await cluster.settle()
    assert await names(cluster, "ConfigMap") == ["child"]


async def test_a_namespace_is_emptied_then_gone(cluster, make):
    def inside(obj):
        return {**obj, "metadata": {**obj["metadata"], "namespace": "shop"}}

    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    await cluster.settle()
    assert await names(cluster, "ServiceAccount", "shop") == ["default"]
    await cluster.create(inside(make.deployment()), inside(make.service()), make.pod("elsewhere"))
    await cluster.settle()
    cluster.kubelet.undying = lambda _: True
    await cluster.delete("Namespace", "shop", namespace="")
    await cluster.settle()
    namespace = await cluster.get("Namespace", "shop", "")
    assert namespace["status"]["phase"] == "Terminating"
    assert await names(cluster, "Service", "shop") == ["web"]  # what pods may need goes after them
    assert len(await names(cluster, "Pod", "shop")) == 3
    assert await cluster.events("FailedCreate") == []
    cluster.kubelet.undying = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    with pytest.raises(NotFound):
        await cluster.get("Namespace", "shop", "")
    assert await names(cluster, "Pod") == ["elsewhere"]


async def test_a_namespace_s_default_service_account_comes_back(cluster, make):
    await cluster.settle()
    before = await cluster.get("ServiceAccount", "default")
    await cluster.delete("ServiceAccount", "default")
    await cluster.settle()
    assert meta.uid(await cluster.get("ServiceAccount", "default")) != meta.uid(before)


async def test_pods_of_a_node_that_failed_are_not_ready_and_of_one_that_went_are_gone(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.create(make.service(), make.deployment(replicas=4))
        await cluster.settle()
        cluster.kubelet.unready = lambda pod: pod["spec"].get("nodeName") == "w2"
        await cluster.api.patch_status("Node", "", "w2", {"conditions": [make.ready("False")]})
        await cluster.settle()
        taints = (await cluster.get("Node", "w2", ""))["spec"]["taints"]
        not_ready = "node.kubernetes.io/not-ready"
        assert [(one["key"], one["effect"]) for one in taints] == [
            (not_ready, "NoSchedule"),
            (not_ready, "NoExecute"),
        ]
        ready = {p["spec"]["nodeName"]: meta.is_ready(p) for p in await cluster.list("Pod")}
        assert ready == {"w1": True, "w2": False}
        await cluster.delete("Node", "w2", namespace="")
        await cluster.settle()
        assert [p["spec"]["nodeName"] for p in await cluster.list("Pod")] == ["w1"] * 4


async def test_who_keeps_a_pod_of_a_node_that_went_sees_that_it_failed(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        kept = make.pod("kept", nodeName="w2")
        kept["metadata"]["finalizers"] = ["example.com/kept"]
        await cluster.create(kept)
        await cluster.settle()
        await cluster.delete("Node", "w2", namespace="")
        await cluster.settle()
        left = await cluster.get("Pod", "kept")
        assert meta.is_terminating(left) and left["status"]["phase"] == "Failed"
        assert meta.condition(left, "DisruptionTarget")["reason"] == "DeletionByPodGC"


async def test_taints_follow_a_node_s_state_and_leave_others_alone(make):
    own = {"key": "mine", "effect": "NoSchedule"}
    async with make.cluster([make.node("w1", taints=[own])]) as cluster:
        await cluster.patch("Node", "w1", {"spec": {"unschedulable": True}}, "")
        await cluster.settle()
        assert [t["key"] for t in (await cluster.get("Node", "w1", ""))["spec"]["taints"]] == [
            "mine",
            "node.kubernetes.io/unschedulable",
        ]
        await cluster.patch("Node", "w1", {"spec": {"unschedulable": None}}, "")
        await cluster.settle()
        assert (await cluster.get("Node", "w1", ""))["spec"]["taints"] == [own]


async def test_a_namespace_tells_what_it_waits_for(cluster, make):
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})

    async def finalizers(*names):
        namespace = await cluster.get("Namespace", "shop", "")
        new = {**namespace, "spec": {"finalizers": [*names]}}
        await cluster.api.update(new, subresource="finalize")

    await finalizers("kubernetes", "example.com/mine")
    held = {"name": "held", "namespace": "shop", "finalizers": ["example.com/hold"]}
    await cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": held})
    await cluster.settle()
    await cluster.delete("Namespace", "shop", namespace="")

    async def said():
        await cluster.settle()
        status = (await cluster.get("Namespace", "shop", ""))["status"]
        return {c["type"]: (c["status"], c["message"]) for c in status.get("conditions", ())}

    while not (conditions := await said()):
        await asyncio.sleep(0.1)
    assert list(conditions) == [
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
        "NamespaceDeletionContentFailure",
        "NamespaceContentRemaining",
        "NamespaceFinalizersRemaining",
    ]
    remaining = "Some resources are remaining: configmaps. has 1 resource instances"
    assert conditions["NamespaceContentRemaining"] == ("True", remaining)
    assert conditions["NamespaceFinalizersRemaining"] == (
        "True",
        "Some content in the namespace has finalizers remaining: "
        "example.com/hold in 1 resource instances",
    )
    await cluster.patch("ConfigMap", "held", {"metadata": {"finalizers": None}}, namespace="shop")
    conditions = await said()
    assert {status for status, _ in conditions.values()} == {"False"}
    namespace = await cluster.get("Namespace", "shop", "")
    assert namespace["spec"]["finalizers"] == ["example.com/mine"]
    await finalizers()
    with pytest.raises(NotFound):
        await cluster.get("Namespace", "shop", "")
