import re

from msgspec.structs import replace

from netlab.controllers import rollout
from netlab.objects import meta, names


def image(obj):
    template = obj["spec"].get("template") or obj
    return template["spec"]["containers"][0]["image"]


def new_image(name):
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": name}]}}}}


def progressing(deployment):
    return meta.condition(deployment, "Progressing")


async def test_names_labels_owners_and_status_are_as_kubernetes_makes_them(cluster, make):
    await cluster.create(make.deployment("hostname-deployment", 3))
    await cluster.settle()
    (replica_set,) = await cluster.list("ReplicaSet")
    deployment = await cluster.get("Deployment", "hostname-deployment")
    digest = names.template_hash(deployment["spec"]["template"])
    assert meta.name(replica_set) == f"hostname-deployment-{digest}"
    assert meta.labels(replica_set)["pod-template-hash"] == digest
    assert meta.controller_of(replica_set)["uid"] == meta.uid(deployment)
    pods = await cluster.list("Pod")
    assert len(pods) == 3
    for pod in pods:
        assert re.fullmatch(
            rf"hostname-deployment-{digest}-[bcdfghjklmnpqrstvwxz2456789]{{5}}", meta.name(pod)
        )
        assert meta.labels(pod) == {"app": "hostname-deployment", "pod-template-hash": digest}
        assert meta.controller_of(pod)["name"] == meta.name(replica_set)
        assert pod["metadata"]["generateName"] == f"hostname-deployment-{digest}-"
    status = {k: v for k, v in deployment["status"].items() if k != "conditions"}
    assert status == {
        "observedGeneration": 1,
        "replicas": 3,
        "updatedReplicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
    }
    assert progressing(deployment)["reason"] == "NewReplicaSetAvailable"
    assert progressing(deployment)["message"] == (
        f'ReplicaSet "{meta.name(replica_set)}" has successfully progressed.'
    )
    assert meta.annotations(deployment)[rollout.REVISION] == "1"


async def test_scaling_up_and_down_keeps_the_replica_set_and_tells(cluster, make):
    await cluster.create(make.deployment(replicas=2))
    await cluster.settle()
    before = {meta.uid(pod) for pod in await cluster.list("Pod")}
    await cluster.patch("Deployment", "web", {"spec": {"replicas": 5}})
    await cluster.settle()
    grown = {meta.uid(pod) for pod in await cluster.list("Pod")}
    assert len(grown) == 5 and before < grown
    await cluster.patch("Deployment", "web", {"spec": {"replicas": 1}})
    await cluster.settle()
    left = await cluster.list("Pod")
    assert len(left) == 1 and meta.uid(left[0]) in grown
    assert len(await cluster.list("ReplicaSet")) == 1
    texts = [one["message"] for one in await cluster.events("ScalingReplicaSet")]
    assert sorted(text.split(" from ")[1] for text in texts) == ["0 to 2", "2 to 5", "5 to 1"]


def watch_rollout(c):
    """At every event of a pod or ReplicaSet: (pods ready and staying, replicas asked for)."""
    seen = []
    pods, sets = c.running.informers["Pod"], c.running.informers["ReplicaSet"]

    def look(old, new):
        ready = [p for p in pods.items() if meta.is_ready(p) and not meta.is_terminating(p)]
        seen.append((len(ready), sum(map(rollout.replicas, sets.items()))))

    pods.add_listener(look)
    sets.add_listener(look)
    return seen


async def test_a_rolling_update_never_has_too_few_ready_nor_too_many_pods(cluster, make):
    strategy = {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
    await cluster.create(make.deployment(replicas=6, strategy=strategy))
    await cluster.settle()
    seen = watch_rollout(cluster)
    del seen[:]
    await cluster.patch("Deployment", "web", new_image("nginx:2"))
    await cluster.settle()
    assert {image(pod) for pod in await cluster.list("Pod")} == {"nginx:2"}
    assert min(ready for ready, _ in seen) >= 5
    assert max(asked for _, asked in seen) == 8
    sizes = sorted(rollout.replicas(s) for s in await cluster.list("ReplicaSet"))
    assert sizes == [0, 6]
    assert meta.annotations(await cluster.get("Deployment", "web"))[rollout.REVISION] == "2"


async def test_a_bad_image_stops_the_rollout_with_the_old_pods_still_there(cluster, make):
    await cluster.create(make.deployment(replicas=4))
    await cluster.settle()
    cluster.kubelet.unready = lambda pod: image(pod) == "broken"
    await cluster.patch("Deployment", "web", new_image("broken"))
    await cluster.settle()
    images = sorted(image(pod) for pod in await cluster.list("Pod"))
    assert images == ["broken", "broken", "nginx:1", "nginx:1", "nginx:1"]
    deployment = await cluster.get("Deployment", "web")
    assert deployment["status"]["unavailableReplicas"] == 2
    assert meta.condition(deployment, "Available")["status"] == "True"
    assert progressing(deployment)["reason"] == "ReplicaSetUpdated"
    # Undone, it needs no new ReplicaSet, and the broken pods go.
    await cluster.patch("Deployment", "web", new_image("nginx:1"))
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:1"] * 4
    assert len(await cluster.list("ReplicaSet")) == 2


async def test_rolling_back_gives_the_old_replica_set_a_new_revision(cluster, make):
    await cluster.create(make.deployment())
    await cluster.settle()
    (first,) = await cluster.list("ReplicaSet")
    for name in ("nginx:2", "nginx:1"):
        await cluster.patch("Deployment", "web", new_image(name))
        await cluster.settle()
    revisions = {
        image(s): meta.annotations(s)[rollout.REVISION] for s in await cluster.list("ReplicaSet")
    }
    assert revisions == {"nginx:1": "3", "nginx:2": "2"}
    again = await cluster.get("ReplicaSet", meta.name(first))
    assert meta.uid(again) == meta.uid(first)
    assert meta.annotations(again)[rollout.REVISION_HISTORY] == "1"
    assert meta.annotations(await cluster.get("Deployment", "web"))[rollout.REVISION] == "3"


async def test_a_restart_is_a_change_of_template(cluster, make):
    await cluster.create(make.deployment(replicas=2))
    await cluster.settle()
    before = {meta.uid(pod) for pod in await cluster.list("Pod")}
    annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
    restart = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
    await cluster.patch("Deployment", "web", restart)
    await cluster.settle()
    after = await cluster.list("Pod")
    assert len(after) == 2 and not before & {meta.uid(pod) for pod in after}
    assert all(meta.annotations(pod) == annotations for pod in after)


async def test_recreate_starts_nothing_new_before_the_old_are_gone(cluster, make):
    await cluster.create(make.deployment(strategy={"type": "Recreate"}))
    await cluster.settle()
    cluster.kubelet.undying = lambda pod: image(pod) == "nginx:1"
    await cluster.patch("Deployment", "web", new_image("nginx:2"))
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:1"] * 3
    cluster.kubelet.undying = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:2"] * 3


async def test_a_paused_deployment_scales_but_does_not_roll(cluster, make):
    await cluster.create(make.deployment(replicas=2))
    await cluster.settle()
    await cluster.patch("Deployment", "web", {"spec": {"paused": True}})
    await cluster.patch("Deployment", "web", new_image("nginx:2"))
    await cluster.patch("Deployment", "web", {"spec": {"replicas": 4}})
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:1"] * 4
    assert progressing(await cluster.get("Deployment", "web"))["reason"] == "DeploymentPaused"
    await cluster.patch("Deployment", "web", {"spec": {"paused": None}})
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:2"] * 4


async def test_history_is_cut_to_its_limit(cluster, make):
    await cluster.create(make.deployment(replicas=1, revisionHistoryLimit=2))
    for number in range(2, 7):
        await cluster.settle()
        await cluster.patch("Deployment", "web", new_image(f"nginx:{number}"))
    await cluster.settle()
    left = {image(s) for s in await cluster.list("ReplicaSet")}
    assert left == {"nginx:4", "nginx:5", "nginx:6"}


async def test_a_rollout_that_makes_no_progress_in_time_is_told(cluster, make):
    cluster.kubelet.unready = lambda _: True
    await cluster.create(make.deployment(progressDeadlineSeconds=1))
    await cluster.settle()
    later = [cluster.running.recorder._clock() + 10]
    for controller in cluster.running.controllers:
        controller.context = replace(controller.context, clock=lambda: later[0])
    cluster.running.controllers[0].queue.add("default/web")
    await cluster.settle()
    condition = progressing(await cluster.get("Deployment", "web"))
    assert (condition["status"], condition["reason"]) == ("False", "ProgressDeadlineExceeded")
    assert "has timed out progressing." in condition["message"]


async def test_a_name_taken_by_another_replica_set_counts_as_collision(cluster, make):
    wanted = make.deployment()
    stored = await cluster.api.create({**wanted, "spec": {**wanted["spec"], "paused": True}})
    digest = names.template_hash(stored["spec"]["template"])
    taken = {
        **make.deployment("other", 0),
        "kind": "ReplicaSet",
        "metadata": {"name": f"web-{digest}", "namespace": "default"},
    }
    await cluster.create(taken)
    await cluster.patch("Deployment", "web", {"spec": {"paused": None}})
    await cluster.settle()
    deployment = await cluster.get("Deployment", "web")
    assert deployment["status"]["collisionCount"] == 1
    assert deployment["status"]["readyReplicas"] == 3
    other = names.template_hash(deployment["spec"]["template"], 1)
    assert f"web-{other}" in {meta.name(s) for s in await cluster.list("ReplicaSet")}


async def test_a_settled_deployment_is_left_alone(cluster, make):
    await cluster.create(make.deployment(), make.service())
    await cluster.settle()
    await cluster.running.recorder.flush()
    revision = cluster.registry.store.revision
    for controller in cluster.running.controllers:
        for key in ("default/web", "worker001", "default"):
            controller.queue.add(key if "garbage" not in controller.name else f"Pod {key}")
    await cluster.settle()
    assert cluster.registry.store.revision == revision
