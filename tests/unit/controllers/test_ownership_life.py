import pytest

from netlab.errors import NotFound
from netlab.objects import meta


async def names(c, kind, namespace="default"):
    return [meta.name(one) for one in await c.list(kind, namespace)]


def test_what_a_deployment_owns_goes_with_it(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(), make.deployment("other", 1))
        await c.settle()
        await c.delete("Deployment", "web")
        await c.settle()
        assert await names(c, "Deployment") == ["other"]
        assert len(await names(c, "ReplicaSet")) == 1
        assert [name.split("-")[0] for name in await names(c, "Pod")] == ["other"]

    in_cluster(scenario)


def test_foreground_deletion_keeps_the_owner_until_its_pods_are_gone(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=2))
        await c.settle()
        c.kubelet.undying = lambda _: True
        await c.delete("Deployment", "web", propagation="Foreground")
        await c.settle()
        assert await names(c, "Deployment") == ["web"]
        assert len(await names(c, "ReplicaSet")) == 1
        pods = await c.list("Pod")
        assert len(pods) == 2 and all(map(meta.is_terminating, pods))
        c.kubelet.undying = lambda _: False
        c.kubelet.look_again()
        await c.settle()
        for kind in ("Deployment", "ReplicaSet", "Pod"):
            assert await names(c, kind) == []

    in_cluster(scenario)


def test_orphaned_dependents_stay_and_are_adopted_by_a_successor(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=2))
        await c.settle()
        pods = {meta.uid(pod) for pod in await c.list("Pod")}
        await c.delete("Deployment", "web", propagation="Orphan")
        await c.settle()
        assert await names(c, "Deployment") == []
        (replica_set,) = await c.list("ReplicaSet")
        assert meta.controller_of(replica_set) is None
        await c.create(make.deployment(replicas=2))
        await c.settle()
        (adopted,) = await c.list("ReplicaSet")
        assert meta.uid(adopted) == meta.uid(replica_set)
        assert meta.controller_of(adopted)["name"] == "web"
        assert {meta.uid(pod) for pod in await c.list("Pod")} == pods

    in_cluster(scenario)


def config(name, *owners):
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": meta.name(one), "uid": meta.uid(one)}
        for one in owners
    ]
    metadata = {"name": name, "namespace": "default", "ownerReferences": references}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def test_an_object_with_two_owners_lives_as_long_as_one_of_them(in_cluster, make):
    async def scenario(c):
        first, second = await c.api.create(config("a")), await c.api.create(config("b"))
        await c.create(config("c", first, second))
        await c.settle()
        await c.delete("ConfigMap", "a")
        await c.settle()
        child = await c.get("ConfigMap", "c")
        assert [r["name"] for r in child["metadata"]["ownerReferences"]] == ["b"]
        await c.delete("ConfigMap", "b")
        await c.settle()
        assert await names(c, "ConfigMap") == []

    in_cluster(scenario)


def test_an_object_born_to_an_owner_already_gone_is_collected(in_cluster, make):
    async def scenario(c):
        owner = await c.api.create(config("a"))
        await c.delete("ConfigMap", "a")
        again = await c.api.create(config("a"))
        assert meta.uid(again) != meta.uid(owner)
        await c.create(config("late", owner))
        await c.settle()
        assert await names(c, "ConfigMap") == ["a"]

    in_cluster(scenario)


def test_an_owner_of_a_kind_that_is_not_served_counts_as_staying(in_cluster):
    async def scenario(c):
        child = config("child")
        job = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "1"}
        child["metadata"]["ownerReferences"] = [job]
        await c.create(child)
        await c.settle()
        assert await names(c, "ConfigMap") == ["child"]

    in_cluster(scenario)


def test_a_namespace_is_emptied_then_gone(in_cluster, make):
    def inside(obj):
        return {**obj, "metadata": {**obj["metadata"], "namespace": "shop"}}

    async def scenario(c):
        await c.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        await c.settle()
        assert await names(c, "ServiceAccount", "shop") == ["default"]
        await c.create(inside(make.deployment()), inside(make.service()), make.pod("elsewhere"))
        await c.settle()
        c.kubelet.undying = lambda _: True
        await c.delete("Namespace", "shop", namespace="")
        await c.settle()
        namespace = await c.get("Namespace", "shop", "")
        assert namespace["status"]["phase"] == "Terminating"
        assert await names(c, "Service", "shop") == []
        assert len(await names(c, "Pod", "shop")) == 3
        c.kubelet.undying = lambda _: False
        c.kubelet.look_again()
        await c.settle()
        with pytest.raises(NotFound):
            await c.get("Namespace", "shop", "")
        assert await names(c, "Pod") == ["elsewhere"]

    in_cluster(scenario)


def test_a_namespace_s_default_service_account_comes_back(in_cluster, make):
    async def scenario(c):
        await c.settle()
        before = await c.get("ServiceAccount", "default")
        await c.delete("ServiceAccount", "default")
        await c.settle()
        assert meta.uid(await c.get("ServiceAccount", "default")) != meta.uid(before)

    in_cluster(scenario)


def test_pods_of_a_node_that_failed_are_not_ready_and_of_one_that_went_are_gone(in_cluster, make):
    async def scenario(c):
        await c.create(make.service(), make.deployment(replicas=4))
        await c.settle()
        c.kubelet.unready = lambda pod: pod["spec"].get("nodeName") == "w2"
        await c.api.patch_status("Node", "", "w2", {"conditions": [make.ready("False")]})
        await c.settle()
        taints = (await c.get("Node", "w2", ""))["spec"]["taints"]
        assert taints == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
        ready = {p["spec"]["nodeName"]: meta.is_ready(p) for p in await c.list("Pod")}
        assert ready == {"w1": True, "w2": False}
        await c.delete("Node", "w2", namespace="")
        await c.settle()
        assert [p["spec"]["nodeName"] for p in await c.list("Pod")] == ["w1"] * 4

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def test_taints_follow_a_node_s_state_and_leave_others_alone(in_cluster, make):
    own = {"key": "mine", "effect": "NoSchedule"}

    async def scenario(c):
        await c.patch("Node", "w1", {"spec": {"unschedulable": True}}, "")
        await c.settle()
        assert [t["key"] for t in (await c.get("Node", "w1", ""))["spec"]["taints"]] == [
            "mine",
            "node.kubernetes.io/unschedulable",
        ]
        await c.patch("Node", "w1", {"spec": {"unschedulable": None}}, "")
        await c.settle()
        assert (await c.get("Node", "w1", ""))["spec"]["taints"] == [own]

    in_cluster(scenario, [make.node("w1", taints=[own])])
