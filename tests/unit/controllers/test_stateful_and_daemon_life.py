import pytest

from netlab.objects import meta

CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def stateful(make, replicas=3, **spec):
    one = make.deployment("db", replicas)
    return {**one, "kind": "StatefulSet", "spec": {**one["spec"], "serviceName": "db", **spec}}


def daemon(make, **spec):
    one = make.deployment("agent", template=spec.pop("template", {}))
    rest = {key: value for key, value in one["spec"].items() if key != "replicas"}
    return {**one, "kind": "DaemonSet", "spec": {**rest, **spec}}


def new_image(name):
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": name}]}}}}


def image(pod):
    return pod["spec"]["containers"][0]["image"]


async def names(c):
    return [meta.name(pod) for pod in await c.list("Pod")]


async def on_nodes(c):
    return sorted(pod["spec"]["nodeName"] for pod in await c.list("Pod"))


def births_and_deaths(c):
    heard = []
    c.running.informers["Pod"].add_listener(
        lambda old, new: (
            heard.append(("+" if old is None else "-") + meta.name(new or old))
            if old is None or new is None
            else None
        )
    )
    return heard


async def test_numbered_pods_come_in_order_each_waiting_for_the_one_before(cluster, make):
    cluster.kubelet.unready = lambda pod: meta.name(pod) == "db-1"
    await cluster.create(stateful(make))
    await cluster.settle()
    assert await names(cluster) == ["db-0", "db-1"]
    cluster.kubelet.unready = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    assert await names(cluster) == ["db-0", "db-1", "db-2"]
    pod = await cluster.get("Pod", "db-2")
    assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-2", "db")
    assert meta.labels(pod)["statefulset.kubernetes.io/pod-name"] == "db-2"
    assert meta.labels(pod)["apps.kubernetes.io/pod-index"] == "2"
    status = (await cluster.get("StatefulSet", "db"))["status"]
    for field in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas"):
        assert status[field] == 3
    assert status["currentRevision"] == status["updateRevision"]


async def test_parallel_pods_do_not_wait(cluster, make):
    cluster.kubelet.unready = lambda _: True
    await cluster.create(stateful(make, podManagementPolicy="Parallel"))
    await cluster.settle()
    assert await names(cluster) == ["db-0", "db-1", "db-2"]


async def test_scaling_down_and_updating_go_from_the_highest_number(cluster, make):
    await cluster.create(stateful(make, 4))
    await cluster.settle()
    heard = births_and_deaths(cluster)
    del heard[:]
    await cluster.patch("StatefulSet", "db", {"spec": {"replicas": 2}})
    await cluster.settle()
    assert heard == ["-db-3", "-db-2"]
    del heard[:]
    await cluster.patch("StatefulSet", "db", new_image("nginx:2"))
    await cluster.settle()
    assert heard == ["-db-1", "+db-1", "-db-0", "+db-0"]
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:2"] * 2
    status = (await cluster.get("StatefulSet", "db"))["status"]
    assert status["currentRevision"] == status["updateRevision"]


@pytest.mark.parametrize(
    ("policy", "unwell", "left"),
    [
        ("OrderedReady", {"db-0", "db-1", "db-2"}, ["db-0", "db-1", "db-2"]),
        ("OrderedReady", {"db-0", "db-1"}, ["db-0", "db-1"]),
        ("OrderedReady", {"db-1"}, []),
        ("Parallel", {"db-0", "db-1", "db-2"}, []),
    ],
)
async def test_scaling_down_waits_for_a_pod_unless_it_alone_is_unwell(
    cluster, make, policy, unwell, left
):
    await cluster.create(stateful(make, podManagementPolicy=policy))
    await cluster.settle()
    cluster.kubelet.unready = lambda pod: meta.name(pod) in unwell
    cluster.kubelet.look_again()
    await cluster.settle()
    await cluster.patch("StatefulSet", "db", {"spec": {"replicas": 0}})
    await cluster.settle()
    assert await names(cluster) == left
    cluster.kubelet.unready = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    assert await names(cluster) == []


async def test_a_partition_and_on_delete_hold_pods_back(cluster, make):
    strategy = {"rollingUpdate": {"partition": 2}}
    await cluster.create(stateful(make, updateStrategy=strategy))
    await cluster.settle()
    await cluster.patch("StatefulSet", "db", new_image("nginx:2"))
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:1", "nginx:1", "nginx:2"]
    status = (await cluster.get("StatefulSet", "db"))["status"]
    assert status["currentRevision"] != status["updateRevision"]
    assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
    held = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
    await cluster.patch("StatefulSet", "db", held)
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:1", "nginx:1", "nginx:2"]
    await cluster.delete("Pod", "db-0")
    await cluster.settle()
    assert image(await cluster.get("Pod", "db-0")) == "nginx:2"


async def test_a_daemon_runs_on_every_fitting_node_cordoned_or_not(make):
    nodes = [
        make.node("master", taints=[CONTROL_PLANE]),
        make.node("w1"),
        make.node("w2", unschedulable=True),
    ]
    async with make.cluster(nodes) as cluster:
        await cluster.create(daemon(make))
        await cluster.settle()
        assert await on_nodes(cluster) == ["w1", "w2"]
        status = (await cluster.get("DaemonSet", "agent"))["status"]
        assert status["desiredNumberScheduled"] == status["numberReady"] == 2
        await cluster.create(make.node("w3"))
        await cluster.settle()
        assert await on_nodes(cluster) == ["w1", "w2", "w3"]
        tolerant = {"tolerations": [{"key": CONTROL_PLANE["key"], "operator": "Exists"}]}
        await cluster.patch("DaemonSet", "agent", {"spec": {"template": {"spec": tolerant}}})
        await cluster.settle()
        assert await on_nodes(cluster) == ["master", "w1", "w2", "w3"]
        await cluster.delete("Node", "w3", namespace="")
        await cluster.settle()
        assert await on_nodes(cluster) == ["master", "w1", "w2"]


async def test_a_daemon_follows_its_node_selector_as_labels_change(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.create(daemon(make, template={"nodeSelector": {"disk": "ssd"}}))
        await cluster.settle()
        assert await on_nodes(cluster) == []
        await cluster.patch("Node", "w2", {"metadata": {"labels": {"disk": "ssd"}}}, "")
        await cluster.settle()
        assert await on_nodes(cluster) == ["w2"]
        await cluster.patch("Node", "w2", {"metadata": {"labels": {"disk": None}}}, "")
        await cluster.settle()
        assert await on_nodes(cluster) == []


async def test_a_daemon_is_updated_node_by_node(cluster, make):
    await cluster.create(daemon(make))
    await cluster.settle()
    lowest = []
    pods = cluster.running.informers["Pod"]
    pods.add_listener(
        lambda *_: lowest.append(
            sum(meta.is_ready(p) and not meta.is_terminating(p) for p in pods.items())
        )
    )
    await cluster.patch("DaemonSet", "agent", new_image("nginx:2"))
    await cluster.settle()
    assert [image(pod) for pod in await cluster.list("Pod")] == ["nginx:2"] * 3
    assert min(lowest) == 2
    status = (await cluster.get("DaemonSet", "agent"))["status"]
    assert status["updatedNumberScheduled"] == status["numberAvailable"] == 3
