import asyncio

from netlab.controllers import replicaset
from netlab.objects import meta


def replica_set(make, name="web", replicas=3):
    one = make.deployment(name, replicas)
    return {**one, "kind": "ReplicaSet"}


def test_orphans_that_match_are_adopted_and_surplus_ones_deleted(in_cluster, make):
    async def scenario(c):
        await c.create(*(make.pod(f"lone-{n}") for n in range(4)), make.pod("else", {"app": "x"}))
        await c.settle()
        await c.create(replica_set(make, replicas=3))
        await c.settle()
        owned = [pod for pod in await c.list("Pod") if meta.controller_of(pod)]
        assert len(owned) == 3
        assert all(meta.name(pod).startswith("lone-") for pod in owned)
        assert meta.controller_of(await c.get("Pod", "else")) is None

    in_cluster(scenario)


def test_a_pod_whose_label_is_changed_is_released_and_replaced(in_cluster, make):
    async def scenario(c):
        await c.create(replica_set(make, replicas=2))
        await c.settle()
        first = meta.name((await c.list("Pod"))[0])
        await c.patch("Pod", first, {"metadata": {"labels": {"app": "debug"}}})
        await c.settle()
        assert "ownerReferences" not in (await c.get("Pod", first))["metadata"]
        owned = [pod for pod in await c.list("Pod") if meta.controller_of(pod)]
        assert len(owned) == 2

    in_cluster(scenario)


def test_a_deleted_pod_is_replaced_before_it_is_gone(in_cluster, make):
    async def scenario(c):
        await c.create(replica_set(make, replicas=2))
        await c.settle()
        c.kubelet.undying = lambda _: True
        victim = meta.name((await c.list("Pod"))[0])
        await c.delete("Pod", victim)
        await c.settle()
        pods = await c.list("Pod")
        assert len(pods) == 3
        assert [meta.name(pod) for pod in pods if meta.is_terminating(pod)] == [victim]
        status = (await c.get("ReplicaSet", "web"))["status"]
        assert (status["replicas"], status["readyReplicas"]) == (2, 2)

    in_cluster(scenario)


def test_a_finished_pod_is_replaced(in_cluster, make):
    async def scenario(c):
        await c.create(replica_set(make, replicas=1))
        await c.settle()
        (pod,) = await c.list("Pod")
        await c.api.patch_status("Pod", "default", meta.name(pod), {"phase": "Failed"})
        await c.settle()
        phases = sorted(pod["status"]["phase"] for pod in await c.list("Pod"))
        assert phases == ["Failed", "Running"]

    in_cluster(scenario)


def test_never_more_pods_are_created_than_asked_for_however_often_it_looks(in_cluster, make):
    async def scenario(c):
        await c.create(replica_set(make, replicas=40))
        controller = next(one for one in c.running.controllers if "replicaset" in one.name)
        created = []
        c.running.informers["Pod"].add_listener(lambda old, _: created.append(old is None))
        for _ in range(50):
            controller.queue.add("default/web")
            await asyncio.sleep(0)
        await c.settle()
        assert sum(created) == 40
        assert len(await c.list("Pod")) == 40

    in_cluster(scenario)


def test_refused_pods_are_told_in_condition_and_event_and_made_up_for_later(in_cluster, make):
    async def scenario(c):
        bad = replica_set(make, replicas=5)
        await c.create(bad)
        await c.settle()
        real, refused = c.running.informers.api.create, []

        async def refuse(obj):
            if obj["kind"] == "Pod" and len(refused) < 3:
                refused.append(obj)
                raise replicaset.ApiError("quota says no", code=403, reason="Forbidden")
            return await real(obj)

        c.running.informers.api.create = refuse
        await c.patch("ReplicaSet", "web", {"spec": {"replicas": 9}})
        await c.settle()
        status = (await c.get("ReplicaSet", "web"))["status"]
        assert status["readyReplicas"] == 9
        assert not status.get("conditions")
        failed = await c.events("FailedCreate")
        assert failed[0]["message"] == "Error creating: quota says no"
        assert failed[0]["type"] == "Warning"

    in_cluster(scenario)


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


def test_scaling_down_evens_out_the_nodes(in_cluster, make):
    async def scenario(c):
        await c.create(replica_set(make, replicas=9))
        await c.settle()
        await c.patch("ReplicaSet", "web", {"spec": {"replicas": 3}})
        await c.settle()
        nodes = sorted(pod["spec"]["nodeName"] for pod in await c.list("Pod"))
        assert nodes == ["worker001", "worker002", "worker003"]

    in_cluster(scenario)
