"""Claims, volumes, classes, and the pods that wait for them."""

from __future__ import annotations

import asyncio

import pytest

from netlab.errors import Invalid
from netlab.objects import meta, storage

UNHELPFUL = "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {storage.DEFAULT_CLASS: "true"}},
    "provisioner": storage.PROVISIONER,
}


def claim(name="data", size="1Gi", **spec):
    wanted = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**wanted, **spec},
    }


def volume(name, size="1Gi", **spec):
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/x"},
            **spec,
        },
    }


def pod(make, name="p", claimed="data"):
    made = make.pod(name)
    made["spec"]["volumes"] = [{"name": "v", "persistentVolumeClaim": {"claimName": claimed}}]
    made["spec"].pop("nodeName", None)
    made["metadata"].pop("ownerReferences", None)
    made.pop("status", None)
    return made


async def phases(cluster):
    found = {}
    for kind in ("PersistentVolumeClaim", "PersistentVolume"):
        for one in await cluster.list(kind):
            found[meta.name(one)] = meta.status(one)["phase"]
    return found


async def test_a_claim_of_the_default_class_gets_a_volume_of_its_own(cluster):
    await cluster.create(CLASS, claim())
    await cluster.settle()
    bound = await cluster.get("PersistentVolumeClaim", "data")
    name = f"pvc-{meta.uid(bound)}"
    assert bound["spec"]["storageClassName"] == "standard"
    assert bound["spec"]["volumeName"] == name
    assert bound["status"] == {
        "phase": "Bound", "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
    }  # fmt: skip
    assert bound["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    made = await cluster.get("PersistentVolume", name, namespace="")
    assert made["status"]["phase"] == "Bound"
    assert made["spec"]["claimRef"]["uid"] == meta.uid(bound)
    await cluster.delete("PersistentVolumeClaim", "data")
    await cluster.settle()
    assert await phases(cluster) == {}


async def test_a_claim_takes_the_smallest_volume_that_will_do(cluster):
    await cluster.create(
        volume("small", "100Mi"),
        volume("large", "10Gi"),
        volume("fitting", "2Gi"),
        volume("of-a-class", "1Gi", storageClassName="fast"),
        claim(storageClassName=""),
    )
    await cluster.settle()
    assert await phases(cluster) == {
        "data": "Bound", "small": "Available", "large": "Available", "fitting": "Bound",
        "of-a-class": "Available",
    }  # fmt: skip
    await cluster.delete("PersistentVolumeClaim", "data")
    await cluster.settle()
    assert (await phases(cluster))["fitting"] == "Released"


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"storageClassName": ""}, "FailedBinding"),
        ({"storageClassName": "unknown"}, "ProvisioningFailed"),
        ({"storageClassName": "elsewhere"}, "ExternalProvisioning"),
        ({"storageClassName": "later"}, "WaitForFirstConsumer"),
    ],
)
async def test_a_claim_that_has_to_wait_says_for_what(cluster, spec, reason):
    classes = (
        {"name": "elsewhere", "provisioner": "ebs.csi.aws.com"},
        {
            "name": "later",
            "provisioner": storage.PROVISIONER,
            "volumeBindingMode": "WaitForFirstConsumer",
        },
    )
    for one in classes:
        rest = {key: value for key, value in one.items() if key != "name"}
        await cluster.create({**CLASS, "metadata": {"name": one["name"]}, **rest})
    await cluster.create(claim(**spec))
    await cluster.settle()
    assert await phases(cluster) == {"data": "Pending"}
    events = await cluster.events()
    assert reason in {event["reason"] for event in events}


async def test_a_pod_waits_for_its_claim(cluster, make):
    await cluster.create(pod(make))
    await cluster.settle()
    waiting = await cluster.get("Pod", "p")
    assert meta.condition(waiting, "PodScheduled")["message"] == (
        '0/3 nodes are available: persistentvolumeclaim "data" not found. ' + UNHELPFUL
    )
    await cluster.create(claim(storageClassName="unknown"))
    await cluster.settle()
    waiting = await cluster.get("Pod", "p")
    assert meta.condition(waiting, "PodScheduled")["message"] == (
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. " + UNHELPFUL
    )
    await cluster.create({**CLASS, "metadata": {"name": "unknown"}})
    await cluster.settle()
    assert meta.spec(await cluster.get("Pod", "p"))["nodeName"]


async def test_a_claim_that_waits_for_its_first_consumer_is_bound_for_it(cluster, make):
    later = {**CLASS, "volumeBindingMode": "WaitForFirstConsumer"}
    await cluster.create(later, claim())
    await cluster.settle()
    assert await phases(cluster) == {"data": "Pending"}
    await cluster.create(pod(make))
    await cluster.settle()
    assert meta.spec(await cluster.get("Pod", "p"))["nodeName"]
    bound = await cluster.get("PersistentVolumeClaim", "data")
    assert bound["status"]["phase"] == "Bound"
    node = meta.spec(await cluster.get("Pod", "p"))["nodeName"]
    assert meta.annotations(bound)[storage.SELECTED_NODE] == node


async def test_a_claim_in_use_goes_with_its_pod(cluster, make):
    await cluster.create(CLASS, claim(), pod(make))
    await cluster.settle()
    await cluster.delete("PersistentVolumeClaim", "data")
    await cluster.settle()
    assert meta.is_terminating(await cluster.get("PersistentVolumeClaim", "data"))
    await cluster.delete("Pod", "p")
    await cluster.settle()
    assert await phases(cluster) == {}


async def test_a_local_volume_says_on_which_node(cluster, make):
    term = {"matchExpressions": [
        {"key": "kubernetes.io/hostname", "operator": "In", "values": ["worker002"]}
    ]}  # fmt: skip
    affinity = {"required": {"nodeSelectorTerms": [term]}}
    local = volume("l", hostPath=None, local={"path": "/mnt"}, nodeAffinity=affinity)
    await cluster.create(local)
    await cluster.create(claim(storageClassName=""), pod(make))
    await cluster.settle()
    assert meta.spec(await cluster.get("Pod", "p"))["nodeName"] == "worker002"


@pytest.mark.parametrize(
    ("deleted", "scaled", "left"),
    [
        ("Retain", "Retain", ["data-db-0", "data-db-1"]),
        ("Retain", "Delete", ["data-db-0"]),
        ("Delete", "Delete", []),
    ],
)
async def test_the_claims_of_a_set_outlive_its_pods_as_it_says(
    cluster, make, deleted, scaled, left
):
    await cluster.create(CLASS, stateful(make, 2, whenDeleted=deleted, whenScaled=scaled))
    await cluster.settle()
    first = await cluster.get("Pod", "db-0")
    assert first["spec"]["volumes"][0]["persistentVolumeClaim"] == {"claimName": "data-db-0"}
    assert await named(cluster) == ["data-db-0", "data-db-1"]
    await cluster.patch("StatefulSet", "db", {"spec": {"replicas": 1}})
    await cluster.settle()
    await cluster.delete("StatefulSet", "db")
    await cluster.settle()
    assert await named(cluster) == left


def stateful(make, replicas, **policy):
    made = make.deployment("db", replicas)
    owner = {**made, "kind": "StatefulSet", "spec": {**made["spec"], "serviceName": "db"}}
    owner["spec"]["volumeClaimTemplates"] = [
        {"metadata": {"name": "data"}, "spec": claim()["spec"]}
    ]
    owner["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = [
        {"name": "data", "mountPath": "/data"}
    ]
    owner["spec"]["persistentVolumeClaimRetentionPolicy"] = policy
    return owner


PLAIN = ("apiVersion", "kind", "name", "uid")


async def test_a_set_controls_its_claims_but_those_that_others_control(cluster, make):
    await cluster.create(CLASS, stateful(make, 4))
    await cluster.settle()
    metadata = {"name": "k", "namespace": "default"}
    await cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    keeper = await cluster.get("ConfigMap", "k")
    plain = {key: value for key, value in meta.owner_reference(keeper).items() if key in PLAIN}
    former = {**meta.owner_reference(await cluster.get("StatefulSet", "db")), "uid": "was"}
    theirs = {1: [plain], 2: [meta.owner_reference(keeper)], 3: [former]}
    for number, owners in theirs.items():
        change = {"metadata": {"ownerReferences": owners, "finalizers": ["example.com/kept"]}}
        await cluster.patch("PersistentVolumeClaim", f"data-db-{number}", change)
    policy = {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}}
    await cluster.patch("StatefulSet", "db", {"spec": policy})
    await cluster.settle()
    ours = meta.owner_reference(await cluster.get("StatefulSet", "db"))
    assert ours["controller"] and ours["blockOwnerDeletion"]
    found = [await cluster.get("PersistentVolumeClaim", f"data-db-{number}") for number in range(4)]
    assert [one["metadata"]["ownerReferences"] for one in found] == [
        [ours], [plain, ours], theirs[2], theirs[3],
    ]  # fmt: skip


async def test_a_pod_waits_until_the_claim_of_the_one_before_is_gone(cluster, make):
    await cluster.create(CLASS, stateful(make, 2, whenScaled="Delete"))
    await cluster.settle()
    kept = {"metadata": {"finalizers": ["example.com/kept"]}}
    await cluster.patch("PersistentVolumeClaim", "data-db-1", kept)
    first = meta.uid(await cluster.get("PersistentVolumeClaim", "data-db-1"))
    await cluster.patch("StatefulSet", "db", {"spec": {"replicas": 1}})
    await cluster.settle()
    await cluster.patch("StatefulSet", "db", {"spec": {"replicas": 2}})
    await cluster.settle()
    assert [meta.name(one) for one in await cluster.list("Pod")] == ["db-0"]
    free = {"metadata": {"finalizers": None}}
    await cluster.patch("PersistentVolumeClaim", "data-db-1", free)
    await cluster.settle()
    assert [meta.name(one) for one in await cluster.list("Pod")] == ["db-0", "db-1"]
    assert meta.uid(await cluster.get("PersistentVolumeClaim", "data-db-1")) != first


async def test_a_pod_that_waits_gets_the_claim_that_was_deleted_meanwhile(make):
    async with make.cluster([make.node("w1", unschedulable=True)]) as cluster:
        await cluster.create(CLASS, stateful(make, 1))
        await cluster.settle()
        first = meta.uid(await cluster.get("PersistentVolumeClaim", "data-db-0"))
        await cluster.delete("PersistentVolumeClaim", "data-db-0")
        await cluster.settle()
        assert meta.uid(await cluster.get("PersistentVolumeClaim", "data-db-0")) != first


async def named(cluster):
    return sorted(meta.name(one) for one in await cluster.list("PersistentVolumeClaim"))


def ephemeral(make, **template):
    made = pod(make)
    template = {"metadata": {"labels": {"a": "b"}}, "spec": claim()["spec"], **template}
    made["spec"]["volumes"] = [{"name": "v", "ephemeral": {"volumeClaimTemplate": template}}]
    return made


async def test_a_pods_own_claim_comes_and_goes_with_it(cluster, make):
    await cluster.create(make.node("n1"), CLASS, ephemeral(make))
    await cluster.settle()
    placed = await cluster.get("Pod", "p")
    made = await cluster.get("PersistentVolumeClaim", "p-v")
    assert placed["spec"]["nodeName"] == "n1"
    assert placed["spec"]["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"] == {
        **claim()["spec"], "volumeMode": "Filesystem",
    }  # fmt: skip
    assert made["metadata"]["labels"] == {"a": "b"}
    assert made["status"]["phase"] == "Bound"
    owner = made["metadata"]["ownerReferences"][0]
    assert (owner["uid"], owner["controller"], owner["kind"]) == (meta.uid(placed), True, "Pod")
    await cluster.delete("Pod", "p", grace_period=0)
    await cluster.settle()
    assert await phases(cluster) == {}


async def test_a_pods_own_claim_is_made_again_and_is_nobody_elses(cluster, make):
    await cluster.create(CLASS, claim("p-v"), ephemeral(make), make.node("n1"))
    await cluster.settle()
    not_its = "PVC default/p-v was not created for pod default/p (pod is not owner)"
    waiting = await cluster.get("Pod", "p")
    assert not_its in meta.condition(waiting, "PodScheduled")["message"]
    (event,) = await cluster.events("FailedBinding")
    assert (event["type"], event["message"]) == ("Warning", f"ephemeral volume v: {not_its}")
    await cluster.delete("PersistentVolumeClaim", "p-v")
    for _ in range(100):  # tried again in a while
        await cluster.settle()
        if (await cluster.get("Pod", "p"))["spec"].get("nodeName"):
            break
        await asyncio.sleep(0.1)
    bound = await cluster.get("PersistentVolumeClaim", "p-v")
    assert meta.controller_of(bound)["kind"] == "Pod"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"spec": {}}, "volumeClaimTemplate.spec.accessModes: Required value"),
        ({"metadata": {"name": "x"}}, "metadata: Forbidden: only annotations and labels are allow"),
    ],
)
async def test_a_template_of_a_pods_own_claim_is_a_claim(cluster, make, wrong, words):
    with pytest.raises(Invalid, match=words):
        await cluster.create(ephemeral(make, **wrong))
