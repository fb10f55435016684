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
async def test_a_revision_is_as_kubernetes_makes_it(cluster, make, kind):
    cause = {"kubernetes.io/change-cause": "because", "mine": "x"}
    made = owner(make, kind)
    made["metadata"]["annotations"] = dict(cause)
    await cluster.create(made)
    await cluster.settle()
    (revision,) = await cluster.list("ControllerRevision")
    one = await cluster.get(kind, "db")
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
    assert {history.of(pod) for pod in await cluster.list("Pod")} == {of_pods}
    # The cause of the next change is the next revision's, and not this one's.
    later = {"metadata": {"annotations": {"kubernetes.io/change-cause": "later"}}}
    await cluster.patch(kind, "db", later | new_image("nginx:2"))
    await cluster.settle()
    causes = {
        history.number(one): meta.annotations(one)["kubernetes.io/change-cause"]
        for one in await cluster.list("ControllerRevision")
    }
    assert causes == {1: "because", 2: "later"}


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
async def test_a_template_that_comes_back_is_numbered_anew(cluster, make, kind):
    await cluster.create(owner(make, kind))
    await cluster.settle()
    await roll(cluster, kind, "nginx:2", "nginx:3")
    before = {meta.uid(one) for one in await cluster.list("ControllerRevision")}
    assert await numbered(cluster) == {1: "nginx:1", 2: "nginx:2", 3: "nginx:3"}
    oldest = history.by_number(await cluster.list("ControllerRevision"))[0]
    strategic = "application/strategic-merge-patch+json"
    cluster.registry.patch(kind, "default", "db", oldest["data"], content_type=strategic)
    await cluster.settle()
    assert await numbered(cluster) == {2: "nginx:2", 3: "nginx:3", 4: "nginx:1"}
    assert {meta.uid(one) for one in await cluster.list("ControllerRevision")} == before
    assert set(await images(cluster)) == {"nginx:1"}


@pytest.mark.parametrize("kind", OWNERS)
async def test_the_oldest_that_no_pod_has_are_forgotten(cluster, make, kind):
    held = {"type": "OnDelete", "rollingUpdate": None}
    await cluster.create(owner(make, kind, revisionHistoryLimit=2))
    await cluster.settle()
    await roll(cluster, kind, "nginx:2", "nginx:3", "nginx:4")
    assert await numbered(cluster) == {2: "nginx:2", 3: "nginx:3", 4: "nginx:4"}
    await cluster.patch(kind, "db", {"spec": {"updateStrategy": held}})
    await roll(cluster, kind, "nginx:5", "nginx:6", "nginx:7", "nginx:8")
    kept = await numbered(cluster)
    assert set(await images(cluster)) == {"nginx:4"}
    assert kept.pop(4) == "nginx:4"
    # A DaemonSet counts what pods still have among what it may keep, a StatefulSet does not.
    assert list(kept) == ([6, 7, 8] if kind == "StatefulSet" else [7, 8])
    await cluster.patch(kind, "db", {"spec": {"revisionHistoryLimit": 0}})
    await cluster.settle()
    assert list(await numbered(cluster)) == [4, 8]


@pytest.mark.parametrize("kind", OWNERS)
async def test_a_name_that_is_taken_is_hashed_anew(cluster, make, kind):
    await cluster.create(owner(make, kind, "first"))
    await cluster.settle()
    template = (await cluster.get(kind, "first"))["spec"]["template"]
    template = {**template, "metadata": {"labels": {"app": "db"}}}
    taken = f"db-{names.template_hash(template)}"
    stranger = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": taken, "namespace": "default"},
        "data": {},
    }
    await cluster.create(stranger, owner(make, kind))
    await cluster.settle()
    one = await cluster.get(kind, "db")
    assert one["spec"]["template"] == template
    assert one["status"]["collisionCount"] == 1
    found = await cluster.list("ControllerRevision", label_selector="app=db")
    assert [meta.name(one) for one in found] == [f"db-{names.template_hash(template, 1)}"]
    pods = await cluster.list("Pod", label_selector="app=db")
    assert pods and all(map(meta.is_ready, pods))


async def test_two_owners_of_one_name_do_not_share_a_revision(cluster, make):
    await cluster.create(owner(make, "StatefulSet"))
    await cluster.settle()
    other = owner(make, "DaemonSet")
    await cluster.create(other)
    await cluster.settle()
    found = await cluster.list("ControllerRevision")
    assert sorted(meta.controller_of(one)["kind"] for one in found) == sorted(OWNERS)


@pytest.mark.parametrize("kind", OWNERS)
async def test_history_goes_with_its_owner_unless_orphaned(cluster, make, kind):
    await cluster.create(owner(make, kind))
    await cluster.settle()
    await roll(cluster, kind, "nginx:2")
    before = {
        meta.uid(one): history.number(one) for one in await cluster.list("ControllerRevision")
    }
    pods = {meta.uid(pod) for pod in await cluster.list("Pod")}
    await cluster.delete(kind, "db", propagation="Orphan")
    await cluster.settle()
    left = await cluster.list("ControllerRevision")
    assert len(left) == 2 and not any(map(meta.controller_of, left))
    again = owner(make, kind)
    again["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    await cluster.create(again)
    await cluster.settle()
    adopted = await cluster.list("ControllerRevision")
    assert {meta.uid(one): history.number(one) for one in adopted} == before
    assert {meta.controller_of(one)["uid"] for one in adopted} == {
        meta.uid(await cluster.get(kind, "db"))
    }
    assert {meta.uid(pod) for pod in await cluster.list("Pod")} == pods
    await cluster.delete(kind, "db", propagation="Foreground")
    await cluster.settle()
    assert await cluster.list("ControllerRevision") == await cluster.list("Pod") == []


@pytest.mark.parametrize("kind", OWNERS)
async def test_an_owner_created_anew_at_once_replaces_its_namesakes_history(cluster, make, kind):
    await cluster.create(owner(make, kind))
    await cluster.settle()
    (former,) = await cluster.list("ControllerRevision")
    await cluster.delete(kind, "db")
    await cluster.create(owner(make, kind))
    await cluster.settle()
    (revision,) = await cluster.list("ControllerRevision")
    assert meta.name(revision) == meta.name(former)
    assert meta.controller_of(revision)["uid"] == meta.uid(await cluster.get(kind, "db"))


@pytest.mark.parametrize("kind", OWNERS)
async def test_a_restart_adds_nothing_to_history(cluster, make, kind):
    await cluster.create(owner(make, kind))
    await cluster.settle()
    await roll(cluster, kind, "nginx:2")
    await cluster.running.stop()
    revision = cluster.registry.store.revision
    again = await start_controllers(cluster.api)
    async with asyncio.timeout(5):
        await again.wait_idle()
    await again.stop()
    assert cluster.registry.store.revision == revision


@pytest.mark.parametrize("kind", OWNERS)
async def test_a_present_revision_that_is_lost_is_made_again(cluster, make, kind):
    await cluster.create(owner(make, kind))
    await cluster.settle()
    (revision,) = await cluster.list("ControllerRevision")
    pods = {meta.uid(pod) for pod in await cluster.list("Pod")}
    await cluster.delete("ControllerRevision", meta.name(revision))
    await cluster.settle()
    (again,) = await cluster.list("ControllerRevision")
    assert (meta.name(again), again["data"]) == (meta.name(revision), revision["data"])
    assert {meta.uid(pod) for pod in await cluster.list("Pod")} == pods


def partitioned(number):
    return {"spec": {"updateStrategy": {"rollingUpdate": {"partition": number}}}}


async def test_a_pod_below_the_partition_comes_back_with_its_old_template(cluster, make):
    strategy = {"rollingUpdate": {"partition": 2}}
    await cluster.create(owner(make, "StatefulSet", replicas=3, updateStrategy=strategy))
    await cluster.settle()
    await roll(cluster, "StatefulSet", "nginx:2")
    for pod in ("db-0", "db-1", "db-2"):
        await cluster.delete("Pod", pod)
        await cluster.settle()
    assert await images(cluster) == ["nginx:1", "nginx:1", "nginx:2"]
    # The current revision stays until all have the newest: a third template changes none.
    await roll(cluster, "StatefulSet", "nginx:3")
    await cluster.delete("Pod", "db-0")
    await cluster.settle()
    assert await images(cluster) == ["nginx:1", "nginx:1", "nginx:3"]
    current, _, update = history.by_number(await cluster.list("ControllerRevision"))
    status = (await cluster.get("StatefulSet", "db"))["status"]
    assert status["currentRevision"] == meta.name(current)
    assert status["updateRevision"] == meta.name(update)
    assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
    await cluster.patch("StatefulSet", "db", partitioned(0))
    await cluster.settle()
    assert await images(cluster) == ["nginx:3"] * 3
    status = (await cluster.get("StatefulSet", "db"))["status"]
    assert status["currentRevision"] == status["updateRevision"] == meta.name(update)
    assert status["currentReplicas"] == status["updatedReplicas"] == 3


async def test_the_partition_counts_from_the_first_ordinal(cluster, make):
    spec = {"ordinals": {"start": 5}, "updateStrategy": {"rollingUpdate": {"partition": 1}}}
    await cluster.create(owner(make, "StatefulSet", **spec))
    await cluster.settle()
    await roll(cluster, "StatefulSet", "nginx:2")
    for pod in ("db-5", "db-6"):
        await cluster.delete("Pod", pod)
        await cluster.settle()
    assert await images(cluster) == ["nginx:1", "nginx:2"]


async def test_on_delete_leaves_the_current_revision_as_it_was(cluster, make):
    await cluster.create(owner(make, "StatefulSet", updateStrategy={"type": "OnDelete"}))
    await cluster.settle()
    await roll(cluster, "StatefulSet", "nginx:2")
    for pod in ("db-0", "db-1"):
        await cluster.delete("Pod", pod)
        await cluster.settle()
    assert await images(cluster) == ["nginx:2"] * 2
    status = (await cluster.get("StatefulSet", "db"))["status"]
    assert status["currentRevision"] != status["updateRevision"]
    assert "currentReplicas" not in status
    assert status["updatedReplicas"] == 2
