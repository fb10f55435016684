import asyncio

import pytest

from netlab.controllers import history
from netlab.controllers.manager import start_controllers
from netlab.objects import meta, names

OWNERS = ("StatefulSet", "DaemonSet")


def owner(make, kind, name="db", **spec):
    made = {**make.deployment(name, 2), "kind": kind}
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    else:
        made["spec"]["serviceName"] = name
    made["spec"] |= spec
    return made


def new_image(name):
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": name}]}}}}


def image(pod):
    return pod["spec"]["containers"][0]["image"]


def kept_image(revision):
    return image(history.template_of(revision))


async def roll(c, kind, *images, name="db"):
    for one in images:
        await c.patch(kind, name, new_image(one))
        await c.settle()


async def numbered(c):
    """Number → image, of all revisions."""
    found = history.by_number(await c.list("ControllerRevision"))
    return {history.number(one): kept_image(one) for one in found}


async def images(c):
    return [image(pod) for pod in await c.list("Pod")]


@pytest.mark.parametrize("kind", OWNERS)
def test_a_revision_is_as_kubernetes_makes_it(in_cluster, make, kind):
    cause = {"kubernetes.io/change-cause": "because", "mine": "x"}

    async def scenario(c):
        made = owner(make, kind)
        made["metadata"]["annotations"] = dict(cause)
        await c.create(made)
        await c.settle()
        (revision,) = await c.list("ControllerRevision")
        one = await c.get(kind, "db")
        template = one["spec"]["template"]
        digest = names.template_hash(template)
        label = {"DaemonSet": "controller-revision-hash"}.get(kind, "controller.kubernetes.io/hash")
        assert meta.name(revision) == f"db-{digest}"
        assert meta.labels(revision) == {"app": "db", label: digest}
        assert meta.annotations(revision) == cause
        assert revision["metadata"]["ownerReferences"] == [meta.owner_reference(one)]
        assert revision["revision"] == 1
        metadata = {"creationTimestamp": None, "labels": {"app": "db"}}
        assert revision["data"] == {
            "spec": {"template": {"$patch": "replace", **template, "metadata": metadata}}
        }
        assert history.template_of(revision) == template
        of_pods = meta.name(revision) if kind == "StatefulSet" else digest
        assert {history.of(pod) for pod in await c.list("Pod")} == {of_pods}
        # The cause of the next change is the next revision's, and not this one's.
        later = {"metadata": {"annotations": {"kubernetes.io/change-cause": "later"}}}
        await c.patch(kind, "db", later | new_image("nginx:2"))
        await c.settle()
        causes = {
            history.number(one): meta.annotations(one)["kubernetes.io/change-cause"]
            for one in await c.list("ControllerRevision")
        }
        assert causes == {1: "because", 2: "later"}

    in_cluster(scenario)


def test_an_owner_without_annotations_gives_none(make):
    revision = history.new_revision(owner(make, "DaemonSet"), 1, "hash")
    assert "annotations" not in revision["metadata"]


def test_a_revision_that_somebody_made_has_no_template():
    for data in ({}, {"spec": None}, {"spec": {"template": None}}):
        assert history.template_of({"data": data}) == {}


def test_the_data_is_written_in_the_order_of_its_keys():
    template = {"spec": {"b": [{"z": 1, "a": {"y": 1, "x": 1}}], "a": 1}, "metadata": {"z": {}}}
    spec = history.data_of({"spec": {"template": template}})["spec"]["template"]
    assert list(spec) == ["$patch", "metadata", "spec"]
    assert list(spec["metadata"]) == ["creationTimestamp", "z"]
    assert list(spec["spec"]) == ["a", "b"]
    assert list(spec["spec"]["b"][0]["a"]) == ["x", "y"]


@pytest.mark.parametrize("kind", OWNERS)
def test_a_template_that_comes_back_is_numbered_anew(in_cluster, make, kind):
    async def scenario(c):
        await c.create(owner(make, kind))
        await c.settle()
        await roll(c, kind, "nginx:2", "nginx:3")
        before = {meta.uid(one) for one in await c.list("ControllerRevision")}
        assert await numbered(c) == {1: "nginx:1", 2: "nginx:2", 3: "nginx:3"}
        oldest = history.by_number(await c.list("ControllerRevision"))[0]
        strategic = "application/strategic-merge-patch+json"
        c.registry.patch(kind, "default", "db", oldest["data"], content_type=strategic)
        await c.settle()
        assert await numbered(c) == {2: "nginx:2", 3: "nginx:3", 4: "nginx:1"}
        assert {meta.uid(one) for one in await c.list("ControllerRevision")} == before
        assert set(await images(c)) == {"nginx:1"}

    in_cluster(scenario)


@pytest.mark.parametrize("kind", OWNERS)
def test_the_oldest_that_no_pod_has_are_forgotten(in_cluster, make, kind):
    async def scenario(c):
        held = {"type": "OnDelete", "rollingUpdate": None}
        await c.create(owner(make, kind, revisionHistoryLimit=2))
        await c.settle()
        await roll(c, kind, "nginx:2", "nginx:3", "nginx:4")
        assert await numbered(c) == {2: "nginx:2", 3: "nginx:3", 4: "nginx:4"}
        await c.patch(kind, "db", {"spec": {"updateStrategy": held}})
        await roll(c, kind, "nginx:5", "nginx:6", "nginx:7", "nginx:8")
        kept = await numbered(c)
        assert set(await images(c)) == {"nginx:4"}
        assert kept.pop(4) == "nginx:4"
        # A DaemonSet counts what pods still have among what it may keep, a StatefulSet does not.
        assert list(kept) == ([6, 7, 8] if kind == "StatefulSet" else [7, 8])
        await c.patch(kind, "db", {"spec": {"revisionHistoryLimit": 0}})
        await c.settle()
        assert list(await numbered(c)) == [4, 8]

    in_cluster(scenario)


@pytest.mark.parametrize("kind", OWNERS)
def test_a_name_that_is_taken_is_hashed_anew(in_cluster, make, kind):
    async def scenario(c):
        await c.create(owner(make, kind, "first"))
        await c.settle()
        template = (await c.get(kind, "first"))["spec"]["template"]
        template = {**template, "metadata": {"labels": {"app": "db"}}}
        taken = f"db-{names.template_hash(template)}"
        stranger = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {"name": taken, "namespace": "default"},
            "data": {},
        }
        await c.create(stranger, owner(make, kind))
        await c.settle()
        one = await c.get(kind, "db")
        assert one["spec"]["template"] == template
        assert one["status"]["collisionCount"] == 1
        found = await c.list("ControllerRevision", label_selector="app=db")
        assert [meta.name(one) for one in found] == [f"db-{names.template_hash(template, 1)}"]
        pods = await c.list("Pod", label_selector="app=db")
        assert pods and all(map(meta.is_ready, pods))

    in_cluster(scenario)


def test_two_owners_of_one_name_do_not_share_a_revision(in_cluster, make):
    async def scenario(c):
        await c.create(owner(make, "StatefulSet"))
        await c.settle()
        other = owner(make, "DaemonSet")
        await c.create(other)
        await c.settle()
        found = await c.list("ControllerRevision")
        assert sorted(meta.controller_of(one)["kind"] for one in found) == sorted(OWNERS)

    in_cluster(scenario)


@pytest.mark.parametrize("kind", OWNERS)
def test_history_goes_with_its_owner_unless_orphaned(in_cluster, make, kind):
    async def scenario(c):
        await c.create(owner(make, kind))
        await c.settle()
        await roll(c, kind, "nginx:2")
        before = {meta.uid(one): history.number(one) for one in await c.list("ControllerRevision")}
        pods = {meta.uid(pod) for pod in await c.list("Pod")}
        await c.delete(kind, "db", propagation="Orphan")
        await c.settle()
        left = await c.list("ControllerRevision")
        assert len(left) == 2 and not any(map(meta.controller_of, left))
        again = owner(make, kind)
        again["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
        await c.create(again)
        await c.settle()
        adopted = await c.list("ControllerRevision")
        assert {meta.uid(one): history.number(one) for one in adopted} == before
        assert {meta.controller_of(one)["uid"] for one in adopted} == {
            meta.uid(await c.get(kind, "db"))
        }
        assert {meta.uid(pod) for pod in await c.list("Pod")} == pods
        await c.delete(kind, "db", propagation="Foreground")
        await c.settle()
        assert await c.list("ControllerRevision") == await c.list("Pod") == []

    in_cluster(scenario)


@pytest.mark.parametrize("kind", OWNERS)
def test_an_owner_created_anew_at_once_replaces_its_namesakes_history(in_cluster, make, kind):
    async def scenario(c):
        await c.create(owner(make, kind))
        await c.settle()
        (former,) = await c.list("ControllerRevision")
        await c.delete(kind, "db")
        await c.create(owner(make, kind))
        await c.settle()
        (revision,) = await c.list("ControllerRevision")
        assert meta.name(revision) == meta.name(former)
        assert meta.controller_of(revision)["uid"] == meta.uid(await c.get(kind, "db"))

    in_cluster(scenario)


@pytest.mark.parametrize("kind", OWNERS)
def test_a_restart_adds_nothing_to_history(in_cluster, make, kind):
    async def scenario(c):
        await c.create(owner(make, kind))
        await c.settle()
        await roll(c, kind, "nginx:2")
        await c.running.stop()
        revision = c.registry.store.revision
        again = await start_controllers(c.api)
        async with asyncio.timeout(5):
            await again.wait_idle()
        await again.stop()
        assert c.registry.store.revision == revision

    in_cluster(scenario)


@pytest.mark.parametrize("kind", OWNERS)
def test_a_present_revision_that_is_lost_is_made_again(in_cluster, make, kind):
    async def scenario(c):
        await c.create(owner(make, kind))
        await c.settle()
        (revision,) = await c.list("ControllerRevision")
        pods = {meta.uid(pod) for pod in await c.list("Pod")}
        await c.delete("ControllerRevision", meta.name(revision))
        await c.settle()
        (again,) = await c.list("ControllerRevision")
        assert (meta.name(again), again["data"]) == (meta.name(revision), revision["data"])
        assert {meta.uid(pod) for pod in await c.list("Pod")} == pods

    in_cluster(scenario)


def partitioned(number):
    return {"spec": {"updateStrategy": {"rollingUpdate": {"partition": number}}}}


def test_a_pod_below_the_partition_comes_back_with_its_old_template(in_cluster, make):
    async def scenario(c):
        strategy = {"rollingUpdate": {"partition": 2}}
        await c.create(owner(make, "StatefulSet", replicas=3, updateStrategy=strategy))
        await c.settle()
        await roll(c, "StatefulSet", "nginx:2")
        for pod in ("db-0", "db-1", "db-2"):
            await c.delete("Pod", pod)
            await c.settle()
        assert await images(c) == ["nginx:1", "nginx:1", "nginx:2"]
        # The current revision stays until all have the newest: a third template changes none.
        await roll(c, "StatefulSet", "nginx:3")
        await c.delete("Pod", "db-0")
        await c.settle()
        assert await images(c) == ["nginx:1", "nginx:1", "nginx:3"]
        current, _, update = history.by_number(await c.list("ControllerRevision"))
        status = (await c.get("StatefulSet", "db"))["status"]
        assert status["currentRevision"] == meta.name(current)
        assert status["updateRevision"] == meta.name(update)
        assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
        await c.patch("StatefulSet", "db", partitioned(0))
        await c.settle()
        assert await images(c) == ["nginx:3"] * 3
        status = (await c.get("StatefulSet", "db"))["status"]
        assert status["currentRevision"] == status["updateRevision"] == meta.name(update)
        assert status["currentReplicas"] == status["updatedReplicas"] == 3

    in_cluster(scenario)


def test_the_partition_counts_from_the_first_ordinal(in_cluster, make):
    async def scenario(c):
        spec = {"ordinals": {"start": 5}, "updateStrategy": {"rollingUpdate": {"partition": 1}}}
        await c.create(owner(make, "StatefulSet", **spec))
        await c.settle()
        await roll(c, "StatefulSet", "nginx:2")
        for pod in ("db-5", "db-6"):
            await c.delete("Pod", pod)
            await c.settle()
        assert await images(c) == ["nginx:1", "nginx:2"]

    in_cluster(scenario)


def test_on_delete_leaves_the_current_revision_as_it_was(in_cluster, make):
    async def scenario(c):
        await c.create(owner(make, "StatefulSet", updateStrategy={"type": "OnDelete"}))
        await c.settle()
        await roll(c, "StatefulSet", "nginx:2")
        for pod in ("db-0", "db-1"):
            await c.delete("Pod", pod)
            await c.settle()
        assert await images(c) == ["nginx:2"] * 2
        status = (await c.get("StatefulSet", "db"))["status"]
        assert status["currentRevision"] != status["updateRevision"]
        assert "currentReplicas" not in status
        assert status["updatedReplicas"] == 2

    in_cluster(scenario)
