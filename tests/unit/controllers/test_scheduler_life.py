import asyncio
from collections import Counter

from netlab.controllers import preemption
from netlab.objects import meta

TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


def priority_class(name, value, **more):
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **more,
    }


def per_node(pods):
    return Counter(pod["spec"].get("nodeName") for pod in pods)


async def test_a_deployment_is_spread_evenly_over_ready_workers(make):
    nodes = [make.node("master", taints=[TAINT]), make.node("w1"), make.node("w2")]
    async with make.cluster(nodes) as cluster:
        await cluster.create(make.deployment(replicas=7))
        await cluster.settle()
        assert sorted(per_node(await cluster.list("Pod")).items()) == [("w1", 4), ("w2", 3)]
        await cluster.create(make.deployment("second", replicas=3))
        await cluster.settle()
        assert sorted(per_node(await cluster.list("Pod")).items()) == [("w1", 5), ("w2", 5)]
        for pod in await cluster.list("Pod"):
            assert meta.condition(pod, "PodScheduled")["status"] == "True"
        texts = {one["message"] for one in await cluster.events("Scheduled")}
        first = (await cluster.list("Pod"))[0]
        assert (
            f"Successfully assigned default/{meta.name(first)} to {first['spec']['nodeName']}"
            in texts
        )


async def test_the_only_node_of_a_lab_takes_pods(make):
    async with make.cluster([make.node("only")]) as cluster:
        await cluster.create(make.deployment(replicas=2))
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {"only": 2}


async def test_a_pod_that_fits_nowhere_says_why_and_is_tried_again_when_a_node_changes(make):
    nodes = [make.node("master", taints=[TAINT]), make.node("w1"), make.node("w2")]
    async with make.cluster(nodes) as cluster:
        await cluster.create(make.pod("picky", nodeSelector={"disk": "ssd"}))
        await cluster.settle()
        picky = await cluster.get("Pod", "picky")
        condition = meta.condition(picky, "PodScheduled")
        assert (condition["status"], condition["reason"]) == ("False", "Unschedulable")
        assert condition["message"] == (
            "0/3 nodes are available: "
            "1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
            "2 node(s) didn't match Pod's node affinity/selector. "
            "preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
        )
        assert picky["status"]["phase"] == "Pending"
        (event,) = await cluster.events("FailedScheduling")
        assert event["type"] == "Warning" and event["message"] == condition["message"]
        assert event["source"] == {"component": "default-scheduler"}
        await cluster.patch("Node", "w2", {"metadata": {"labels": {"disk": "ssd"}}}, "")
        await cluster.settle()
        assert (await cluster.get("Pod", "picky"))["spec"]["nodeName"] == "w2"


async def test_cordoned_and_failed_nodes_take_no_pods_until_they_are_back(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.patch("Node", "w1", {"spec": {"unschedulable": True}}, "")
        await cluster.api.patch_status("Node", "", "w2", {"conditions": [make.ready("False")]})
        await cluster.create(make.deployment(replicas=2))
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {None: 2}
        message = meta.condition((await cluster.list("Pod"))[0], "PodScheduled")["message"]
        assert message == (
            "0/2 nodes are available: "
            "1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }, "
            "1 node(s) were unschedulable. "
            "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
        )
        await cluster.patch("Node", "w1", {"spec": {"unschedulable": None}}, "")
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {"w1": 2}


async def test_a_named_node_another_scheduler_and_gates_are_respected(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.create(
            make.pod("named", nodeName="w2"),
            make.pod("foreign", schedulerName="mine"),
            make.pod("gated", schedulingGates=[{"name": "wait"}]),
        )
        await cluster.settle()
        placed = {meta.name(p): p["spec"].get("nodeName") for p in await cluster.list("Pod")}
        assert placed == {"named": "w2", "foreign": None, "gated": None}


async def test_host_ports_go_one_to_a_node_and_wait_for_room(make):
    def wanting(name):
        ports = [{"containerPort": 80, "hostPort": 8080}]
        return make.pod(name, containers=[{"name": "c", "image": "nginx", "ports": ports}])

    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.create(*map(wanting, ("a", "b", "c")))
        await cluster.settle()
        placed = per_node(await cluster.list("Pod"))
        assert placed == {"w1": 1, "w2": 1, None: 1}
        await cluster.delete("Pod", "a")
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {"w1": 1, "w2": 1}


def apart(app="web", key="kubernetes.io/hostname"):
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    return {"affinity": {"podAntiAffinity": required}}


async def test_pods_that_avoid_each_other_go_one_to_a_node_and_wait_for_room(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.create(make.deployment(replicas=3, template=apart()))
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {"w1": 1, "w2": 1, None: 1}
        (waiting,) = [pod for pod in await cluster.list("Pod") if not pod["spec"].get("nodeName")]
        assert meta.condition(waiting, "PodScheduled")["message"] == (
            "0/2 nodes are available: 2 node(s) didn't match pod anti-affinity rules. "
            f"preemption: 0/2 nodes are available: 2 {preemption.NO_VICTIMS}."
        )
        await cluster.patch("Deployment", "web", {"spec": {"replicas": 2}})
        await cluster.create(make.pod("other", {"app": "web"}))
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {"w1": 1, "w2": 1, None: 1}
        await cluster.delete("Deployment", "web")
        await cluster.settle()
        assert [p["spec"]["nodeName"] for p in await cluster.list("Pod")] == ["w1"]


async def test_a_pod_waits_for_the_company_it_wants(make):
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "d"}}}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        await cluster.create(make.pod("cache", affinity={"podAffinity": required}))
        await cluster.settle()
        assert not (await cluster.get("Pod", "cache"))["spec"].get("nodeName")
        await cluster.create(make.pod("db", nodeName="w2"))
        await cluster.settle()
        assert not (await cluster.get("Pod", "cache"))["spec"].get("nodeName")
        await cluster.patch("Pod", "db", {"metadata": {"labels": {"app": "d"}}})
        await cluster.settle()
        assert (await cluster.get("Pod", "cache"))["spec"]["nodeName"] == "w2"


async def test_pods_are_spread_over_zones(make):
    rule = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    nodes = [make.node("a1", {"zone": "a"}), make.node("a2", {"zone": "a"})]
    nodes.append(make.node("b1", {"zone": "b"}))
    async with make.cluster(nodes) as cluster:
        template = {"topologySpreadConstraints": [rule]}
        await cluster.create(make.deployment(replicas=6, template=template))
        await cluster.settle()
        placed = per_node(await cluster.list("Pod"))
        assert (placed["a1"] + placed["a2"], placed["b1"]) == (3, 3)


async def test_a_no_execute_taint_drives_out_those_who_do_not_bear_it(make):
    taint = {"key": "maintenance", "effect": "NoExecute"}

    def bearing(name, **more):
        tolerations = [{"key": "maintenance", "operator": "Exists", **more}]
        return make.pod(name, {"app": name}, tolerations=tolerations)

    async with make.cluster([make.node("w1")]) as cluster:
        brief = bearing("brief", effect="NoExecute", tolerationSeconds=1)
        await cluster.create(make.pod("plain"), bearing("patient"), brief)
        await cluster.settle()
        await cluster.patch("Node", "w1", {"spec": {"taints": [taint]}}, "")
        await cluster.settle(5)
        assert [meta.name(pod) for pod in await cluster.list("Pod")] == ["patient"]
        messages = [event["message"] for event in await cluster.events("TaintManagerEviction")]
        assert messages == [f"Marking for deletion Pod default/{n}" for n in ("brief", "plain")]


async def test_pods_stay_if_the_taint_goes_in_time(make):
    toleration = {
        "key": "k", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 1,
    }  # fmt: skip
    async with make.cluster([make.node("w1")]) as cluster:
        await cluster.create(make.pod("p", tolerations=[toleration]))
        await cluster.settle()
        taints = [{"key": "k", "effect": "NoExecute"}]
        await cluster.patch("Node", "w1", {"spec": {"taints": taints}}, "")
        await asyncio.sleep(0.1)
        await cluster.patch("Node", "w1", {"spec": {"taints": None}}, "")
        await asyncio.sleep(1.2)
        await cluster.settle()
        assert [meta.name(pod) for pod in await cluster.list("Pod")] == ["p"]


def asking(**requests):
    resources = {"requests": requests, "limits": requests}
    return [{"name": "c", "image": "nginx", "resources": resources}]


async def test_what_requests_more_than_is_left_waits_until_there_is_room(make):
    async with make.cluster([make.node("w1"), make.node("w2")]) as cluster:
        for name, cpu in (("w1", "2"), ("w2", "1500m")):
            status = {"allocatable": {"cpu": cpu, "memory": "1Gi", "pods": "110"}}
            await cluster.api.patch_status("Node", "", name, status)
        await cluster.create(
            make.pod("one", containers=asking(cpu="1400m")),
            make.pod("two", containers=asking(cpu="1.4")),
        )
        await cluster.settle()
        placed = {p["spec"].get("nodeName") for p in await cluster.list("Pod")}
        assert placed == {"w1", "w2"}
        await cluster.create(
            make.pod("third", containers=asking(cpu="0.7", memory="2Gi")),
            make.pod("fourth", containers=asking(cpu="0.7")),
        )
        await cluster.settle()
        message = meta.condition(await cluster.get("Pod", "third"), "PodScheduled")["message"]
        nobody = f" preemption: 0/2 nodes are available: 2 {preemption.NO_VICTIMS}."
        text = "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory."
        assert message == text + nobody
        message = meta.condition(await cluster.get("Pod", "fourth"), "PodScheduled")["message"]
        assert message == "0/2 nodes are available: 2 Insufficient cpu." + nobody
        assert message in {one["message"] for one in await cluster.events("FailedScheduling")}
        await cluster.api.patch_status("Pod", "default", "two", {"phase": "Succeeded"})
        await cluster.settle()
        assert (await cluster.get("Pod", "fourth"))["spec"]["nodeName"] in ("w1", "w2")
        assert "nodeName" not in (await cluster.get("Pod", "third"))["spec"]


async def test_a_node_has_of_extended_resources_what_its_status_says(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await cluster.create(make.pod("p", containers=asking(**{"example.com/card": "2"})))
        await cluster.settle()
        message = meta.condition(await cluster.get("Pod", "p"), "PodScheduled")["message"]
        assert message == (
            "0/1 nodes are available: 1 Insufficient example.com/card. "
            f"preemption: 0/1 nodes are available: 1 {preemption.NO_VICTIMS}."
        )
        status = {"allocatable": {"example.com/card": "2"}}
        await cluster.api.patch_status("Node", "", "w1", status)
        await cluster.settle()
        assert (await cluster.get("Pod", "p"))["spec"]["nodeName"] == "w1"


async def test_a_node_takes_no_more_pods_than_its_status_says(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await cluster.api.patch_status("Node", "", "w1", {"allocatable": {"pods": "2"}})
        await cluster.create(*(make.pod(name) for name in "abc"))
        await cluster.settle()
        pods = await cluster.list("Pod")
        (waiting,) = [pod for pod in pods if not pod["spec"].get("nodeName")]
        assert meta.condition(waiting, "PodScheduled")["message"] == (
            "0/1 nodes are available: 1 Too many pods. "
            f"preemption: 0/1 nodes are available: 1 {preemption.NO_VICTIMS}."
        )
        await cluster.delete("Pod", next(meta.name(p) for p in pods if p is not waiting))
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {"w1": 2}


async def test_what_waits_is_placed_by_its_priority(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await cluster.api.patch_status("Node", "", "w1", {"allocatable": {"pods": "0"}})
        for name, value in (("low", -1), ("high", 10)):
            await cluster.create(priority_class(name, value))
        await cluster.create(
            make.pod("a", priorityClassName="low"),
            make.pod("b"),
            make.pod("c", priorityClassName="high"),
        )
        await cluster.settle()
        assert per_node(await cluster.list("Pod")) == {None: 3}
        await cluster.api.patch_status("Node", "", "w1", {"allocatable": {"pods": "2"}})
        await cluster.settle()
        placed = {meta.name(p): p["spec"].get("nodeName") for p in await cluster.list("Pod")}
        assert placed == {"a": None, "b": "w1", "c": "w1"}
