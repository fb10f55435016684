import asyncio
from collections import Counter

from netlab.objects import meta

TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def per_node(pods):
    return Counter(pod["spec"].get("nodeName") for pod in pods)


def test_a_deployment_is_spread_evenly_over_ready_workers(in_cluster, make):
    nodes = [make.node("master", taints=[TAINT]), make.node("w1"), make.node("w2")]

    async def scenario(c):
        await c.create(make.deployment(replicas=7))
        await c.settle()
        assert sorted(per_node(await c.list("Pod")).items()) == [("w1", 4), ("w2", 3)]
        await c.create(make.deployment("second", replicas=3))
        await c.settle()
        assert sorted(per_node(await c.list("Pod")).items()) == [("w1", 5), ("w2", 5)]
        for pod in await c.list("Pod"):
            assert meta.condition(pod, "PodScheduled")["status"] == "True"
        texts = {one["message"] for one in await c.events("Scheduled")}
        first = (await c.list("Pod"))[0]
        assert (
            f"Successfully assigned default/{meta.name(first)} to {first['spec']['nodeName']}"
            in texts
        )

    in_cluster(scenario, nodes)


def test_the_only_node_of_a_lab_takes_pods(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=2))
        await c.settle()
        assert per_node(await c.list("Pod")) == {"only": 2}

    in_cluster(scenario, [make.node("only")])


def test_a_pod_that_fits_nowhere_says_why_and_is_tried_again_when_a_node_changes(in_cluster, make):
    nodes = [make.node("master", taints=[TAINT]), make.node("w1"), make.node("w2")]

    async def scenario(c):
        await c.create(make.pod("picky", nodeSelector={"disk": "ssd"}))
        await c.settle()
        picky = await c.get("Pod", "picky")
        condition = meta.condition(picky, "PodScheduled")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == (
            "0/3 nodes are available: "
            "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "2 node(s) didn't match Pod's node affinity/selector."
        )
        assert picky["status"]["phase"] == "Pending"
        (event,) = await c.events("FailedScheduling")
        assert event["type"] == "Warning" and event["message"] == condition["message"]
        assert event["source"] == {"component": "default-scheduler"}
        await c.patch("Node", "w2", {"metadata": {"labels": {"disk": "ssd"}}}, "")
        await c.settle()
        assert (await c.get("Pod", "picky"))["spec"]["nodeName"] == "w2"

    in_cluster(scenario, nodes)


def test_cordoned_and_failed_nodes_take_no_pods_until_they_are_back(in_cluster, make):
    async def scenario(c):
        await c.patch("Node", "w1", {"spec": {"unschedulable": True}}, "")
        await c.api.patch_status("Node", "", "w2", {"conditions": [make.ready("False")]})
        await c.create(make.deployment(replicas=2))
        await c.settle()
        assert per_node(await c.list("Pod")) == {None: 2}
        message = meta.condition((await c.list("Pod"))[0], "PodScheduled")["message"]
        assert message == (
            "0/2 nodes are available: "
            "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, "
            "1 node(s) were unschedulable."
        )
        await c.patch("Node", "w1", {"spec": {"unschedulable": None}}, "")
        await c.settle()
        assert per_node(await c.list("Pod")) == {"w1": 2}

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def test_a_named_node_another_scheduler_and_gates_are_respected(in_cluster, make):
    async def scenario(c):
        await c.create(
            make.pod("named", nodeName="w2"),
            make.pod("foreign", schedulerName="mine"),
            make.pod("gated", schedulingGates=[{"name": "wait"}]),
        )
        await c.settle()
        placed = {meta.name(p): p["spec"].get("nodeName") for p in await c.list("Pod")}
        assert placed == {"named": "w2", "foreign": None, "gated": None}

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def test_host_ports_go_one_to_a_node_and_wait_for_room(in_cluster, make):
    def wanting(name):
        ports = [{"containerPort": 80, "hostPort": 8080}]
        return make.pod(name, containers=[{"name": "c", "image": "nginx", "ports": ports}])

    async def scenario(c):
        await c.create(*map(wanting, ("a", "b", "c")))
        await c.settle()
        placed = per_node(await c.list("Pod"))
        assert placed == {"w1": 1, "w2": 1, None: 1}
        await c.delete("Pod", "a")
        await c.settle()
        assert per_node(await c.list("Pod")) == {"w1": 1, "w2": 1}

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def apart(app="web", key="kubernetes.io/hostname"):
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"podAntiAffinity": required}}


def test_pods_that_avoid_each_other_go_one_to_a_node_and_wait_for_room(in_cluster, make):
    async def scenario(c):
        await c.create(make.deployment(replicas=3, template=apart()))
        await c.settle()
        assert per_node(await c.list("Pod")) == {"w1": 1, "w2": 1, None: 1}
        (waiting,) = [pod for pod in await c.list("Pod") if not pod["spec"].get("nodeName")]
        assert meta.condition(waiting, "PodScheduled")["message"] == (
            "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules."
        )
        await c.patch("Deployment", "web", {"spec": {"replicas": 2}})
        await c.create(make.pod("other", {"app": "web"}))
        await c.settle()
        assert per_node(await c.list("Pod")) == {"w1": 1, "w2": 1, None: 1}
        await c.delete("Deployment", "web")
        await c.settle()
        assert [p["spec"]["nodeName"] for p in await c.list("Pod")] == ["w1"]

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def test_a_pod_waits_for_the_company_it_wants(in_cluster, make):
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "d"}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}

    async def scenario(c):
        await c.create(make.pod("cache", affinity={"podAffinity": required}))
        await c.settle()
        assert not (await c.get("Pod", "cache"))["spec"].get("nodeName")
        await c.create(make.pod("db", nodeName="w2"))
        await c.settle()
        assert not (await c.get("Pod", "cache"))["spec"].get("nodeName")
        await c.patch("Pod", "db", {"metadata": {"labels": {"app": "d"}}})
        await c.settle()
        assert (await c.get("Pod", "cache"))["spec"]["nodeName"] == "w2"

    in_cluster(scenario, [make.node("w1"), make.node("w2")])


def test_pods_are_spread_over_zones(in_cluster, make):
    rule = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    nodes = [make.node("a1", {"zone": "a"}), make.node("a2", {"zone": "a"})]
    nodes.append(make.node("b1", {"zone": "b"}))

    async def scenario(c):
        template = {"topologySpreadConstraints": [rule]}
        await c.create(make.deployment(replicas=6, template=template))
        await c.settle()
        placed = per_node(await c.list("Pod"))
        assert (placed["a1"] + placed["a2"], placed["b1"]) == (3, 3)

    in_cluster(scenario, nodes)


def test_a_no_execute_taint_drives_out_those_who_do_not_bear_it(in_cluster, make):
    taint = {"key": "maintenance", "effect": "NoExecute"}

    def bearing(name, **more):
        tolerations = [{"key": "maintenance", "operator": "Exists", **more}]
        return make.pod(name, {"app": name}, tolerations=tolerations)

    async def scenario(c):
        await c.create(make.pod("plain"), bearing("patient"), bearing("brief", tolerationSeconds=1))
        await c.settle()
        await c.patch("Node", "w1", {"spec": {"taints": [taint]}}, "")
        await c.settle(5)
        assert [meta.name(pod) for pod in await c.list("Pod")] == ["patient"]
        messages = [event["message"] for event in await c.events("TaintManagerEviction")]
        assert messages == [f"Marking for deletion Pod default/{n}" for n in ("brief", "plain")]

    in_cluster(scenario, [make.node("w1")])


def test_pods_stay_if_the_taint_goes_in_time(in_cluster, make):
    toleration = {"key": "k", "operator": "Exists", "tolerationSeconds": 1}

    async def scenario(c):
        await c.create(make.pod("p", tolerations=[toleration]))
        await c.settle()
        taints = [{"key": "k", "effect": "NoExecute"}]
        await c.patch("Node", "w1", {"spec": {"taints": taints}}, "")
        await asyncio.sleep(0.1)
        await c.patch("Node", "w1", {"spec": {"taints": None}}, "")
        await asyncio.sleep(1.2)
        await c.settle()
        assert [meta.name(pod) for pod in await c.list("Pod")] == ["p"]

    in_cluster(scenario, [make.node("w1")])
