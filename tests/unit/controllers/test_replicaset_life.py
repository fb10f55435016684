import asyncio

import pytest

from netlab.controllers import replicaset
from netlab.objects import meta


@pytest.fixture(params=["ReplicaSet", "ReplicationController"])
def kind(request):
    """Both work alike, but for how they spell a selector."""
    return request.param


def replica_set(make, name="web", replicas=3, kind="ReplicaSet"):
    one = make.deployment(name, replicas)
    if kind == "ReplicaSet":
        return {**one, "kind": kind}
    spec = {**one["spec"], "selector": one["spec"]["selector"]["matchLabels"]}
    return {**one, "apiVersion": "v1", "kind": kind, "spec": spec}


async def test_orphans_that_match_are_adopted_and_surplus_ones_deleted(cluster, make, kind):
    await cluster.create(*(make.pod(f"lone-{n}") for n in range(4)), make.pod("else", {"app": "x"}))
    await cluster.settle()
    await cluster.create(replica_set(make, replicas=3, kind=kind))
    await cluster.settle()
    owned = [pod for pod in await cluster.list("Pod") if meta.controller_of(pod)]
    assert len(owned) == 3
    assert all(meta.name(pod).startswith("lone-") for pod in owned)
    assert meta.controller_of(await cluster.get("Pod", "else")) is None


async def test_a_pod_whose_label_is_changed_is_released_and_replaced(cluster, make, kind):
    await cluster.create(replica_set(make, replicas=2, kind=kind))
    await cluster.settle()
    first = meta.name((await cluster.list("Pod"))[0])
    await cluster.patch("Pod", first, {"metadata": {"labels": {"app": "debug"}}})
    await cluster.settle()
    assert "ownerReferences" not in (await cluster.get("Pod", first))["metadata"]
    owned = [pod for pod in await cluster.list("Pod") if meta.controller_of(pod)]
    assert len(owned) == 2


async def test_a_deleted_pod_is_replaced_before_it_is_gone(cluster, make):
    await cluster.create(replica_set(make, replicas=2))
    await cluster.settle()
    cluster.kubelet.undying = lambda _: True
    victim = meta.name((await cluster.list("Pod"))[0])
    await cluster.delete("Pod", victim)
    await cluster.settle()
    pods = await cluster.list("Pod")
    assert len(pods) == 3
    assert [meta.name(pod) for pod in pods if meta.is_terminating(pod)] == [victim]
    status = (await cluster.get("ReplicaSet", "web"))["status"]
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)


async def test_a_finished_pod_is_replaced(cluster, make):
    await cluster.create(replica_set(make, replicas=1))
    await cluster.settle()
    (pod,) = await cluster.list("Pod")
    await cluster.api.patch_status("Pod", "default", meta.name(pod), {"phase": "Failed"})
    await cluster.settle()
    phases = sorted(pod["status"]["phase"] for pod in await cluster.list("Pod"))
    assert phases == ["Failed", "Running"]


async def test_never_more_pods_are_created_than_asked_for_however_often_it_looks(cluster, make):
    await cluster.create(replica_set(make, replicas=40))
    controller = next(one for one in cluster.running.controllers if "replicaset" in one.name)
    created = []
    cluster.running.informers["Pod"].add_listener(lambda old, _: created.append(old is None))
    for _ in range(50):
        controller.queue.add("default/web")
        await asyncio.sleep(0)
    await cluster.settle()
    assert sum(created) == 40
    assert len(await cluster.list("Pod")) == 40


async def test_refused_pods_are_told_in_an_event_and_made_up_for_later(cluster, make, kind):
    bad = replica_set(make, replicas=5, kind=kind)
    await cluster.create(bad)
    await cluster.settle()
    real, refused = cluster.running.informers.api.create, []

    async def refuse(obj):
        if obj["kind"] == "Pod" and len(refused) < 3:
            refused.append(obj)
            raise replicaset.ApiError("quota says no", code=403, reason="Forbidden")
        return await real(obj)

    cluster.running.informers.api.create = refuse
    await cluster.patch(kind, "web", {"spec": {"replicas": 9}})
    await cluster.settle()
    status = (await cluster.get(kind, "web"))["status"]
    assert status["readyReplicas"] == 9
    assert not status.get("conditions")
    failed = await cluster.events("FailedCreate")
    assert failed[0]["message"] == "Error creating: quota says no"
    assert failed[0]["type"] == "Warning"


async def test_pods_that_are_still_refused_are_told_in_a_condition(cluster, make, kind):
    real = cluster.running.informers.api.create

    async def refuse(obj):
        if obj["kind"] == "Pod":
            raise replicaset.ApiError("quota says no", code=403, reason="Forbidden")
        return await real(obj)

    cluster.running.informers.api.create = refuse
    await cluster.create(replica_set(make, replicas=2, kind=kind))
    while not (found := (await cluster.get(kind, "web"))["status"].get("conditions")):
        await asyncio.sleep(0.01)
    (told,) = found
    assert (told["type"], told["status"]) == ("ReplicaFailure", "True")
    assert (told["reason"], told["message"]) == ("FailedCreate", "quota says no")


async def test_pods_that_are_refused_by_name_are_not_tried_again_at_once(cluster, make, kind):
    """What refuses a pod names it, and each has another name."""
    real, refused = cluster.running.informers.api.create, []

    async def refuse(obj):
        if obj["kind"] != "Pod":
            return await real(obj)
        refused.append(obj)
        why = f'pods "web-{len(refused)}" is forbidden: exceeded quota'
        raise replicaset.ApiError(why, code=403, reason="Forbidden")

    cluster.running.informers.api.create = refuse
    await cluster.create(replica_set(make, replicas=1, kind=kind))
    await asyncio.sleep(0.3)
    assert 1 < len(refused) < 12
    (told,) = (await cluster.get(kind, "web"))["status"]["conditions"]
    assert told["message"] == 'pods "web-1" is forbidden: exceeded quota'


def a_pod(name, node="n1", ready=True, phase="Running", since=10, created=0, **annotations):
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": f"2026-01-01T00:00:{created:02}Z",
            "annotations": annotations,
        },
        "spec": {"nodeName": node},
        "status": {
            "phase": phase,
            "conditions": [
                {
                    "type": "Ready",
                    "status": "True" if ready else "False",
                    "lastTransitionTime": f"2026-01-01T00:01:{since:02}Z",
                }
            ],
        },
    }


def test_the_order_in_which_scaling_down_takes_pods():
    cheap = {"controller.kubernetes.io/pod-deletion-cost": "-5"}
    expected = [
        (a_pod("unscheduled", node="", ready=False, phase="Pending"), 0),
        (a_pod("pending", ready=False, phase="Pending"), 1),
        (a_pod("unready", ready=False), 1),
        (a_pod("cheap", **cheap), 1),
        (a_pod("doubled"), 2),
        (a_pod("ready-later", since=20), 1),
        (a_pod("newer", created=30), 1),
        (a_pod("older", created=10), 1),
    ]
    shuffled = sorted(expected, key=lambda item: meta.name(item[0]))
    ordered = sorted(shuffled, key=lambda item: replicaset.deletion_rank(*item))
    assert [meta.name(pod) for pod, _ in ordered] == [meta.name(pod) for pod, _ in expected]


async def test_scaling_down_evens_out_the_nodes(cluster, make):
    await cluster.create(replica_set(make, replicas=9))
    await cluster.settle()
    await cluster.patch("ReplicaSet", "web", {"spec": {"replicas": 3}})
    await cluster.settle()
    nodes = sorted(pod["spec"]["nodeName"] for pod in await cluster.list("Pod"))
    assert nodes == ["worker001", "worker002", "worker003"]
