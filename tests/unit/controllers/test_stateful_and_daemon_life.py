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


def test_numbered_pods_come_in_order_each_waiting_for_the_one_before(in_cluster, make):
    async def scenario(c):
        c.kubelet.unready = lambda pod: meta.name(pod) == "db-1"
        await c.create(stateful(make))
        await c.settle()
        assert await names(c) == ["db-0", "db-1"]
        c.kubelet.unready = lambda _: False
        c.kubelet.look_again()
        await c.settle()
        assert await names(c) == ["db-0", "db-1", "db-2"]
        pod = await c.get("Pod", "db-2")
        assert (pod["spec"]["hostname"], pod["spec"]["subdomain"]) == ("db-2", "db")
        assert meta.labels(pod)["statefulset.kubernetes.io/pod-name"] == "db-2"
        assert meta.labels(pod)["apps.kubernetes.io/pod-index"] == "2"
        status = (await c.get("StatefulSet", "db"))["status"]
        for field in ("replicas", "readyReplicas", "currentReplicas", "updatedReplicas"):
            assert status[field] == 3
        assert status["currentRevision"] == status["updateRevision"]

    in_cluster(scenario)


def test_parallel_pods_do_not_wait(in_cluster, make):
    async def scenario(c):
        c.kubelet.unready = lambda _: True
        await c.create(stateful(make, podManagementPolicy="Parallel"))
        await c.settle()
        assert await names(c) == ["db-0", "db-1", "db-2"]

    in_cluster(scenario)


def test_scaling_down_and_updating_go_from_the_highest_number(in_cluster, make):
    async def scenario(c):
        await c.create(stateful(make, 4))
        await c.settle()
        heard = births_and_deaths(c)
        del heard[:]
        await c.patch("StatefulSet", "db", {"spec": {"replicas": 2}})
        await c.settle()
        assert heard == ["-db-3", "-db-2"]
        del heard[:]
        await c.patch("StatefulSet", "db", new_image("nginx:2"))
        await c.settle()
        assert heard == ["-db-1", "+db-1", "-db-0", "+db-0"]
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:2"] * 2
        status = (await c.get("StatefulSet", "db"))["status"]
        assert status["currentRevision"] == status["updateRevision"]

    in_cluster(scenario)


def test_a_partition_and_on_delete_hold_pods_back(in_cluster, make):
    async def scenario(c):
        strategy = {"rollingUpdate": {"partition": 2}}
        await c.create(stateful(make, updateStrategy=strategy))
        await c.settle()
        await c.patch("StatefulSet", "db", new_image("nginx:2"))
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:1", "nginx:1", "nginx:2"]
        status = (await c.get("StatefulSet", "db"))["status"]
        assert status["currentRevision"] != status["updateRevision"]
        assert (status["currentReplicas"], status["updatedReplicas"]) == (2, 1)
        held = {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}
        await c.patch("StatefulSet", "db", held)
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:1", "nginx:1", "nginx:2"]
        await c.delete("Pod", "db-0")
        await c.settle()
        assert image(await c.get("Pod", "db-0")) == "nginx:2"

    in_cluster(scenario)


def test_a_daemon_runs_on_every_fitting_node_cordoned_or_not(in_cluster, make):
    nodes = [
        make.node("master", taints=[CONTROL_PLANE]),
        make.node("w1"),
        make.node("w2", unschedulable=True),
    ]

    async def scenario(c):
        await c.create(daemon(make))
        await c.settle()
        assert await on_nodes(c) == ["w1", "w2"]
        status = (await c.get("DaemonSet", "agent"))["status"]
        assert status["desiredNumberScheduled"] == status["numberReady"] == 2
        await c.create(make.node("w3"))
        await c.settle()
        assert await on_nodes(c) == ["w1", "w2", "w3"]
        tolerant = {"tolerations": [{"key": CONTROL_PLANE["key"], "operator": "Exists"}]}
        await c.patch("DaemonSet", "agent", {"spec": {"template": {"spec": tolerant}}})
        await c.settle()
        assert await on_nodes(c) == ["master", "w1", "w2", "w3"]
        await c.delete("Node", "w3", namespace="")
        await c.settle()
        assert await on_nodes(c) == ["master", "w1", "w2"]

    in_cluster(scenario, nodes)


def test_a_daemon_follows_its_node_selector_as_labels_change(in_cluster, make):
    async def scenario(c):
        await c.create(daemon(make, template={"nodeSelector": {"disk": "ssd"}}))
        await c.settle()
        assert await on_nodes(c) == []
        await c.patch("Node", "w2", {"metadata": {"labels": {"disk": "ssd"}}}, "")
        await c.settle()
        assert await on_nodes(c) == ["w2"]
        await c.patch("Node", "w2", {"metadata": {"labels": {"disk": None}}}, "")
        await c.settle()
        assert await on_nodes(c) == []

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def test_a_daemon_is_updated_node_by_node(in_cluster, make):
    async def scenario(c):
        await c.create(daemon(make))
        await c.settle()
        lowest = []
        pods = c.running.informers["Pod"]
        pods.add_listener(
            lambda *_: lowest.append(
                sum(meta.is_ready(p) and not meta.is_terminating(p) for p in pods.items())
            )
        )
        await c.patch("DaemonSet", "agent", new_image("nginx:2"))
        await c.settle()
        assert [image(pod) for pod in await c.list("Pod")] == ["nginx:2"] * 3
        assert min(lowest) == 2
        status = (await c.get("DaemonSet", "agent"))["status"]
        assert status["updatedNumberScheduled"] == status["numberAvailable"] == 3

    in_cluster(scenario)
