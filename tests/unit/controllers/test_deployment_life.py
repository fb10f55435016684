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


def test_names_labels_owners_and_status_are_as_kubernetes_makes_them(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment("hostname-deployment", 3))
        await c.settle()
        (replica_set,) = await c.list("ReplicaSet")
        deployment = await c.get("Deployment", "hostname-deployment")
        digest = names.template_hash(deployment["spec"]["template"])
        assert meta.name(replica_set) == f"hostname-deployment-{digest}"
        assert meta.labels(replica_set)["pod-template-hash"] == digest
        assert meta.controller_of(replica_set)["uid"] == meta.uid(deployment)
        pods = await c.list("Pod")
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

    in_cluster(scenario)


def test_scaling_up_and_down_keeps_the_replica_set_and_tells(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=2))
        await c.settle()
        before = {meta.uid(pod) for pod in await c.list("Pod")}
        await c.patch("Deployment", "web", {"spec": {"replicas": 5}})
        await c.settle()
        grown = {meta.uid(pod) for pod in await c.list("Pod")}
        assert len(grown) == 5 and before < grown
        await c.patch("Deployment", "web", {"spec": {"replicas": 1}})
        await c.settle()
        left = await c.list("Pod")
        assert len(left) == 1 and meta.uid(left[0]) in grown
        assert len(await c.list("ReplicaSet")) == 1
        texts = [one["message"] for one in await c.events("ScalingReplicaSet")]
        assert sorted(text.split(" from ")[1] for text in texts) == ["0 to 2", "2 to 5", "5 to 1"]

    in_cluster(scenario)


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


def test_a_rolling_update_never_has_too_few_ready_nor_too_many_pods(in_cluster, make):
    async def scenario(c):
        strategy = {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 1}}
        await c.create(make.deployment(replicas=6, strategy=strategy))
        await c.settle()
        seen = watch_rollout(c)
        del seen[:]
        await c.patch("Deployment", "web", new_image("nginx:2"))
        await c.settle()
        assert {image(pod) for pod in await c.list("Pod")} == {"nginx:2"}
        assert min(ready for ready, _ in seen) >= 5
        assert max(asked for _, asked in seen) == 8
        sizes = sorted(rollout.replicas(s) for s in await c.list("ReplicaSet"))
        assert sizes == [0, 6]
        assert meta.annotations(await c.get("Deployment", "web"))[rollout.REVISION] == "2"

    in_cluster(scenario)


def test_a_bad_image_stops_the_rollout_with_the_old_pods_still_there(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=4))
        await c.settle()
        c.kubelet.unready = lambda pod: image(pod) == "broken"
        await c.patch("Deployment", "web", new_image("broken"))
        await c.settle()
        images = sorted(image(pod) for pod in await c.list("Pod"))
        assert images == ["broken", "broken", "nginx:1", "nginx:1", "nginx:1"]
        deployment = await c.get("Deployment", "web")
        assert deployment["status"]["unavailableReplicas"] == 2
        assert meta.condition(deployment, "Available")["status"] == "True"
        assert progressing(deployment)["reason"] == "ReplicaSetUpdated"
        # Undone, it needs no new ReplicaSet, and the broken pods go.
        await c.patch("Deployment", "web", new_image("nginx:1"))
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:1"] * 4
        assert len(await c.list("ReplicaSet")) == 2

    in_cluster(scenario)


def test_rolling_back_gives_the_old_replica_set_a_new_revision(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment())
        await c.settle()
        (first,) = await c.list("ReplicaSet")
        for name in ("nginx:2", "nginx:1"):
            await c.patch("Deployment", "web", new_image(name))
            await c.settle()
        revisions = {
            image(s): meta.annotations(s)[rollout.REVISION] for s in await c.list("ReplicaSet")
        }
        assert revisions == {"nginx:1": "3", "nginx:2": "2"}
        again = await c.get("ReplicaSet", meta.name(first))
        assert meta.uid(again) == meta.uid(first)
        assert meta.annotations(again)[rollout.REVISION_HISTORY] == "1"
        assert meta.annotations(await c.get("Deployment", "web"))[rollout.REVISION] == "3"

    in_cluster(scenario)


def test_a_restart_is_a_change_of_template(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=2))
        await c.settle()
        before = {meta.uid(pod) for pod in await c.list("Pod")}
        annotations = {"kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z"}
        restart = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        await c.patch("Deployment", "web", restart)
        await c.settle()
        after = await c.list("Pod")
        assert len(after) == 2 and not before & {meta.uid(pod) for pod in after}
        assert all(meta.annotations(pod) == annotations for pod in after)

    in_cluster(scenario)


def test_recreate_starts_nothing_new_before_the_old_are_gone(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(strategy={"type": "Recreate"}))
        await c.settle()
        c.kubelet.undying = lambda pod: image(pod) == "nginx:1"
        await c.patch("Deployment", "web", new_image("nginx:2"))
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:1"] * 3
        c.kubelet.undying = lambda _: False
        c.kubelet.look_again()
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:2"] * 3

    in_cluster(scenario)


def test_a_paused_deployment_scales_but_does_not_roll(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=2))
        await c.settle()
        await c.patch("Deployment", "web", {"spec": {"paused": True}})
        await c.patch("Deployment", "web", new_image("nginx:2"))
        await c.patch("Deployment", "web", {"spec": {"replicas": 4}})
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:1"] * 4
        assert progressing(await c.get("Deployment", "web"))["reason"] == "DeploymentPaused"
        await c.patch("Deployment", "web", {"spec": {"paused": None}})
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:2"] * 4

    in_cluster(scenario)


def test_history_is_cut_to_its_limit(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=1, revisionHistoryLimit=2))
        for number in range(2, 7):
            await c.settle()
            await c.patch("Deployment", "web", new_image(f"nginx:{number}"))
        await c.settle()
        left = {image(s) for s in await c.list("ReplicaSet")}
        assert left == {"nginx:4", "nginx:5", "nginx:6"}

    in_cluster(scenario)


def test_a_rollout_that_makes_no_progress_in_time_is_told(in_cluster, make):
    async def scenario(c):
        c.kubelet.unready = lambda _: True
        await c.create(make.deployment(progressDeadlineSeconds=1))
        await c.settle()
        later = [c.running.recorder._clock() + 10]
        for controller in c.running.controllers:
            controller.context = replace(controller.context, clock=lambda: later[0])
        c.running.controllers[0].queue.add("default/web")
        await c.settle()
        condition = progressing(await c.get("Deployment", "web"))
        assert (condition["status"], condition["reason"]) == ("False", "ProgressDeadlineExceeded")
        assert "has timed out progressing." in condition["message"]

    in_cluster(scenario)


def test_a_name_taken_by_another_replica_set_counts_as_collision(in_cluster, make):
    async def scenario(c):
        wanted = make.deployment()
        stored = await c.api.create({**wanted, "spec": {**wanted["spec"], "paused": True}})
        digest = names.template_hash(stored["spec"]["template"])
        taken = {
            **make.deployment("other", 0),
            "kind": "ReplicaSet",
            "metadata": {"name": f"web-{digest}", "namespace": "default"},
        }
        await c.create(taken)
        await c.patch("Deployment", "web", {"spec": {"paused": None}})
        await c.settle()
        deployment = await c.get("Deployment", "web")
        assert deployment["status"]["collisionCount"] == 1
        assert deployment["status"]["readyReplicas"] == 3
        other = names.template_hash(deployment["spec"]["template"], 1)
        assert f"web-{other}" in {meta.name(s) for s in await c.list("ReplicaSet")}

    in_cluster(scenario)


def test_a_settled_deployment_is_left_alone(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(), make.service())
        await c.settle()
        await c.running.recorder.flush()
        revision = c.registry.store.revision
        for controller in c.running.controllers:
            for key in ("default/web", "worker001", "default"):
                controller.queue.add(key if "garbage" not in controller.name else f"Pod {key}")
        await c.settle()
        assert c.registry.store.revision == revision

    in_cluster(scenario)
