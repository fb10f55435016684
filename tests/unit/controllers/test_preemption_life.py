"""Pods that matter more drive out those that matter less, where there is no room for both."""

from netlab.objects import meta


def priority_class(name, value, **more):
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **more,
    }


def asking(cpu="0", port=None):
    ports = [{"containerPort": 80, "hostPort": port}] if port else []
    resources = {"requests": {"cpu": cpu}}
    return [{"name": "c", "image": "nginx", "resources": resources, "ports": ports}]


async def prepare(cluster, cpus="2", nodes=("w1",)):
    for name in nodes:
        await cluster.api.patch_status("Node", "", name, {"allocatable": {"cpu": cpus}})
    await cluster.create(
        priority_class("high", 100),
        priority_class("middle", 50),
        priority_class("patient", 100, preemptionPolicy="Never"),
    )


async def placed(cluster):
    return {meta.name(p): p["spec"].get("nodeName") for p in await cluster.list("Pod")}


async def test_as_few_as_may_be_go_and_the_least_important_first(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await prepare(cluster)
        await cluster.create(
            make.pod("a", containers=asking("900m"), priorityClassName="middle"),
            make.pod("b", containers=asking("500m")),
            make.pod("c", containers=asking("500m")),
        )
        await cluster.settle()
        await cluster.create(make.pod("urgent", containers=asking("1"), priorityClassName="high"))
        await cluster.settle()
        assert await placed(cluster) == {"a": "w1", "urgent": "w1"}
        urgent = await cluster.get("Pod", "urgent")
        assert "nominatedNodeName" not in urgent["status"]
        events = await cluster.events("Preempted")
        assert {event["involvedObject"]["name"] for event in events} == {"b", "c"}
        assert {(event["type"], event["message"]) for event in events} == {
            ("Normal", f"Preempted by pod {meta.uid(urgent)} on node w1")
        }
        (event,) = await cluster.events("FailedScheduling")
        assert event["message"] == "0/1 nodes are available: 1 Insufficient cpu."


async def test_while_those_driven_out_end_their_node_is_nominated_and_nobody_else_goes(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await prepare(cluster)
        cluster.kubelet.undying = lambda pod: meta.name(pod) == "slow"
        await cluster.create(make.pod("slow", containers=asking("2")))
        await cluster.settle()
        await cluster.create(make.pod("urgent", containers=asking("2"), priorityClassName="high"))
        await cluster.settle()
        urgent, slow = await cluster.get("Pod", "urgent"), await cluster.get("Pod", "slow")
        assert urgent["status"]["nominatedNodeName"] == "w1" and meta.is_terminating(slow)
        condition = meta.condition(slow, "DisruptionTarget")
        assert (condition["status"], condition["reason"], condition["message"]) == (
            "True",
            "PreemptionByScheduler",
            "default-scheduler: preempting to accommodate a higher priority pod",
        )
        await cluster.create(make.pod("late", containers=asking("1")))
        await cluster.patch("Node", "w1", {"metadata": {"labels": {"look": "again"}}}, "")
        await cluster.settle()
        message = meta.condition(await cluster.get("Pod", "urgent"), "PodScheduled")["message"]
        assert message == (
            "0/1 nodes are available: 1 Insufficient cpu. "
            "preemption: not eligible due to a terminating pod on the nominated node."
        )
        cluster.kubelet.undying = lambda _: False
        cluster.kubelet.look_again()
        await cluster.settle()
        assert await placed(cluster) == {"urgent": "w1", "late": None}


async def test_what_is_left_for_one_nobody_takes_who_matters_less(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await prepare(cluster)
        cluster.kubelet.undying = lambda pod: meta.name(pod) == "slow"
        await cluster.create(
            make.pod("slow", containers=asking("1")), make.pod("quick", containers=asking("1"))
        )
        await cluster.settle()
        await cluster.create(make.pod("urgent", containers=asking("2"), priorityClassName="high"))
        await cluster.settle()
        await cluster.create(make.pod("late", containers=asking("1")))
        await cluster.settle()
        assert await placed(cluster) == {"slow": "w1", "urgent": None, "late": None}


async def test_a_class_that_never_preempts_waits(make):
    async with make.cluster([make.node("w1")]) as cluster:
        await prepare(cluster)
        await cluster.create(make.pod("there", containers=asking("2")))
        await cluster.settle()
        await cluster.create(make.pod("p", containers=asking("2"), priorityClassName="patient"))
        await cluster.settle()
        assert await placed(cluster) == {"there": "w1", "p": None}
        message = meta.condition(await cluster.get("Pod", "p"), "PodScheduled")["message"]
        assert message == (
            "0/1 nodes are available: 1 Insufficient cpu. "
            "preemption: not eligible due to preemptionPolicy=Never."
        )


async def test_host_ports_and_company_that_is_not_wanted_are_made_free_too(make):
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "x"}}}
    apart = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    async with make.cluster([make.node("w1")]) as cluster:
        await prepare(cluster)
        await cluster.create(
            make.pod("port", containers=asking(port=80)),
            make.pod("company", {"app": "x"}),
            make.pod("other"),
        )
        await cluster.settle()
        await cluster.create(
            make.pod("server", containers=asking(port=80), priorityClassName="high"),
            make.pod("lonely", affinity=apart, priorityClassName="high"),
        )
        await cluster.settle()
        assert await placed(cluster) == {"server": "w1", "lonely": "w1", "other": "w1"}


async def test_the_node_is_chosen_where_it_does_the_least_harm(make):
    nodes = [make.node(name) for name in ("w1", "w2", "w3")]
    async with make.cluster(nodes) as cluster:
        await prepare(cluster, nodes=("w1", "w2", "w3"))
        await cluster.create(
            make.pod("a", containers=asking("2"), priorityClassName="middle", nodeName="w1"),
            make.pod("b", containers=asking("1"), nodeName="w2"),
            make.pod("c", containers=asking("1"), nodeName="w2"),
            make.pod("d", containers=asking("2"), nodeName="w3"),
        )
        await cluster.settle()
        await cluster.create(make.pod("urgent", containers=asking("2"), priorityClassName="high"))
        await cluster.settle()
        assert await placed(cluster) == {"a": "w1", "b": "w2", "c": "w2", "urgent": "w3"}


async def test_where_nobody_can_help_it_is_said_why(make):
    async with make.cluster([make.node("w1"), make.node("w2", unschedulable=True)]) as cluster:
        await prepare(cluster)
        await cluster.create(make.pod("there", containers=asking("1")))
        await cluster.settle()
        await cluster.create(make.pod("big", containers=asking("3"), priorityClassName="high"))
        await cluster.settle()
        message = meta.condition(await cluster.get("Pod", "big"), "PodScheduled")["message"]
        assert message == (
            "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. "
            "preemption: 0/2 nodes are available: 1 Insufficient cpu, "
            "1 Preemption is not helpful for scheduling."
        )
        assert await placed(cluster) == {"there": "w1", "big": None}
