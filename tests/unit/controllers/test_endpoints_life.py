from netlab.objects import meta

SERVICE_NAME = "kubernetes.io/service-name"


async def slices(c, name="web"):
    return await c.list("EndpointSlice", label_selector=f"{SERVICE_NAME}={name}")


def conditions(slice_):
    return [
        (e["conditions"]["ready"], e["conditions"]["serving"], e["conditions"]["terminating"])
        for e in slice_["endpoints"]
    ]


async def test_a_slice_looks_as_the_controller_manager_makes_it(make):
    nodes = [make.node("w1", {"topology.kubernetes.io/zone": "a"})]
    async with make.cluster(nodes) as cluster:
        service = make.service()
        service["metadata"]["labels"] = {"team": "x"}
        await cluster.create(service, make.deployment(replicas=1))
        await cluster.settle()
        (one,) = await slices(cluster)
        assert meta.name(one).startswith("web-") and len(meta.name(one)) == len("web-") + 5
        assert meta.labels(one) == {
            "team": "x",
            SERVICE_NAME: "web",
            "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        }
        assert meta.controller_of(one)["name"] == "web"
        assert (one["addressType"], one["ports"]) == (
            "IPv4",
            [{"name": "", "protocol": "TCP", "port": 8080}],
        )
        (pod,) = await cluster.list("Pod")
        assert one["endpoints"] == [
            {
                "addresses": [pod["status"]["podIP"]],
                "conditions": {"ready": True, "serving": True, "terminating": False},
                "targetRef": {
                    "kind": "Pod",
                    "namespace": "default",
                    "name": meta.name(pod),
                    "uid": meta.uid(pod),
                },
                "nodeName": "w1",
                "zone": "a",
            }
        ]


async def test_an_endpoint_s_conditions_follow_its_pod_s_life(cluster, make):
    cluster.kubelet.unready = lambda _: True
    await cluster.create(make.service(), make.pod("p"))
    await cluster.settle()
    (one,) = await slices(cluster)
    assert conditions(one) == [(False, False, False)]
    cluster.kubelet.unready = lambda _: False
    cluster.kubelet.undying = lambda _: True
    cluster.kubelet.look_again()
    await cluster.settle()
    assert conditions((await slices(cluster))[0]) == [(True, True, False)]
    await cluster.delete("Pod", "p")
    await cluster.settle()
    assert conditions((await slices(cluster))[0]) == [(False, True, True)]
    cluster.kubelet.undying = lambda _: False
    cluster.kubelet.look_again()
    await cluster.settle()
    (empty,) = await slices(cluster)
    assert not empty.get("endpoints")


async def test_pods_come_and_go_by_their_labels(cluster, make):
    await cluster.create(make.service(), make.pod("p"), make.pod("q", {"app": "other"}))
    await cluster.settle()
    assert [e["targetRef"]["name"] for e in (await slices(cluster))[0]["endpoints"]] == ["p"]
    await cluster.patch("Pod", "p", {"metadata": {"labels": {"app": "other"}}})
    await cluster.patch("Pod", "q", {"metadata": {"labels": {"app": "web"}}})
    await cluster.settle()
    assert [e["targetRef"]["name"] for e in (await slices(cluster))[0]["endpoints"]] == ["q"]
    await cluster.patch("Service", "web", {"spec": {"selector": {"app": "other"}}})
    await cluster.settle()
    assert [e["targetRef"]["name"] for e in (await slices(cluster))[0]["endpoints"]] == ["p"]


async def test_a_service_without_pods_has_an_empty_slice_and_one_without_selector_none(
    cluster, make
):
    await cluster.create(make.service(), make.service("own", selector=None))
    await cluster.settle()
    (one,) = await slices(cluster)
    assert not one.get("endpoints") and not one.get("ports")
    assert await slices(cluster, "own") == []
    assert "own" not in [meta.name(e) for e in await cluster.list("Endpoints")]


async def test_named_ports_that_differ_between_pods_make_several_slices(cluster, make):
    def serving(name, number):
        ports = [{"name": "http", "containerPort": number}]
        return make.pod(name, containers=[{"name": "c", "image": "nginx", "ports": ports}])

    ports = [{"name": "web", "port": 80, "targetPort": "http"}]
    await cluster.create(make.service(ports=ports), serving("old", 8080), serving("new", 9090))
    await cluster.settle()
    found = {
        one["ports"][0]["port"]: [e["targetRef"]["name"] for e in one["endpoints"]]
        for one in await slices(cluster)
    }
    assert found == {8080: ["old"], 9090: ["new"]}


async def test_a_subset_is_of_the_pods_that_serve_the_same_ports(cluster, make):
    def serving(name, *ports):
        named = [{"name": f"p{port}", "containerPort": port} for port in ports]
        return make.pod(name, containers=[{"name": "c", "image": "nginx", "ports": named}])

    ports = [{"name": f"p{port}", "port": port, "targetPort": f"p{port}"} for port in (80, 81, 82)]
    await cluster.create(make.service(ports=ports), serving("a", 80, 81, 82), serving("b", 80))
    await cluster.create(serving("c", 83))
    await cluster.settle()
    found = [
        (
            [one["targetRef"]["name"] for one in subset["addresses"]],
            [port["port"] for port in subset["ports"]],
        )
        for subset in (await cluster.get("Endpoints", "web"))["subsets"]
    ]
    assert found == [(["a", "b"], [80]), (["a"], [81, 82])]


async def test_slices_go_with_their_service_and_come_back_when_somebody_deletes_them(cluster, make):
    await cluster.create(make.service(), make.pod("p"))
    await cluster.settle()
    (one,) = await slices(cluster)
    await cluster.delete("EndpointSlice", meta.name(one))
    await cluster.delete("Endpoints", "web")
    await cluster.settle()
    assert len(await slices(cluster)) == 1
    assert meta.name(await cluster.get("Endpoints", "web")) == "web"
    await cluster.delete("Service", "web")
    await cluster.settle()
    assert await slices(cluster) == []
    assert await cluster.list("Endpoints") == []


async def test_headless_services_are_labelled_and_name_their_pods(cluster, make):
    await cluster.create(
        make.service(clusterIP="None"), make.pod("p", hostname="db-0", subdomain="web")
    )
    await cluster.settle()
    (one,) = await slices(cluster)
    assert meta.labels(one)["service.kubernetes.io/headless"] == ""
    assert one["endpoints"][0]["hostname"] == "db-0"
    endpoints = await cluster.get("Endpoints", "web")
    assert endpoints["subsets"][0]["addresses"][0]["hostname"] == "db-0"


async def test_two_hundred_and_fifty_pods_fill_three_slices_and_one_change_writes_one(
    cluster, make
):
    await cluster.create(make.service(), make.deployment(replicas=250))
    await cluster.settle()
    before = {meta.name(one): one for one in await slices(cluster)}
    assert sorted(len(one["endpoints"]) for one in before.values()) == [50, 100, 100]
    addresses = [e["addresses"][0] for one in before.values() for e in one["endpoints"]]
    assert len(set(addresses)) == 250
    victim = (await cluster.list("Pod"))[0]
    cluster.kubelet.unready = lambda pod: meta.uid(pod) == meta.uid(victim)
    cluster.kubelet.look_again()
    await cluster.settle()
    after = {meta.name(one): one for one in await slices(cluster)}
    changed = [
        name
        for name, one in after.items()
        if one["metadata"]["resourceVersion"] != before[name]["metadata"]["resourceVersion"]
    ]
    assert after.keys() == before.keys() and len(changed) == 1


async def test_the_older_endpoints_object_tells_ready_from_not_ready(cluster, make):
    cluster.kubelet.unready = lambda pod: meta.name(pod) == "b"
    await cluster.create(make.service(), make.pod("a"), make.pod("b"))
    await cluster.settle()
    (subset,) = (await cluster.get("Endpoints", "web"))["subsets"]
    assert [one["targetRef"]["name"] for one in subset["addresses"]] == ["a"]
    assert [one["targetRef"]["name"] for one in subset["notReadyAddresses"]] == ["b"]
    assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]


async def test_the_kubernetes_service_points_at_the_control_plane(make):
    def addressed(node, address):
        node["status"]["addresses"] = [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": meta.name(node)},
        ]
        return node

    master = make.node("master", {"node-role.kubernetes.io/control-plane": ""})
    nodes = [addressed(make.node("a"), "10.10.11.11"), addressed(master, "10.10.11.10")]
    async with make.cluster(nodes) as cluster:
        ports = [{"name": "https", "port": 443, "targetPort": 6443}]
        await cluster.create(make.service("kubernetes", selector=None, ports=ports))
        await cluster.settle()
        one = await cluster.get("EndpointSlice", "kubernetes")
        assert [e["addresses"] for e in one["endpoints"]] == [["10.10.11.10"]]
        assert one["ports"] == [{"name": "https", "protocol": "TCP", "port": 6443}]
        (subset,) = (await cluster.get("Endpoints", "kubernetes"))["subsets"]
        assert subset["addresses"] == [{"ip": "10.10.11.10"}]
        moved = [{"type": "InternalIP", "address": "10.10.11.99"}]
        await cluster.api.patch_status("Node", "", "master", {"addresses": moved})
        await cluster.settle()
        one = await cluster.get("EndpointSlice", "kubernetes")
        assert [e["addresses"] for e in one["endpoints"]] == [["10.10.11.99"]]


async def test_the_kubernetes_service_comes_back(cluster, make):
    cidrs = {"spec": {"cidrs": ["10.96.0.0/12"]}, "metadata": {"name": "kubernetes"}}
    await cluster.create({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", **cidrs})
    await cluster.settle()
    first = await cluster.get("Service", "kubernetes")
    await cluster.delete("Service", "kubernetes")
    await cluster.settle()
    again = await cluster.get("Service", "kubernetes")
    assert meta.uid(again) != meta.uid(first)
    assert again["spec"] == first["spec"] and again["spec"]["clusterIP"] == "10.96.0.1"


async def test_a_service_that_loses_its_selector_keeps_its_endpoints(cluster, make):
    await cluster.create(make.service(), make.pod("p"))
    await cluster.settle()
    (before,) = await slices(cluster)
    await cluster.patch("Service", "web", {"spec": {"selector": None}})
    await cluster.delete("Pod", "p")
    await cluster.settle()
    names = {meta.name(one): one for one in await slices(cluster)}
    assert names[meta.name(before)] == before
    assert (await cluster.get("Endpoints", "web"))["subsets"]
    await cluster.delete("Service", "web")
    await cluster.settle()
    assert await slices(cluster) == []
    assert "web" not in [meta.name(one) for one in await cluster.list("Endpoints")]


async def test_hand_written_endpoints_of_a_service_without_selector_are_mirrored(cluster, make):
    def written(*addresses):
        return {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "outside", "namespace": "default"},
            "subsets": [
                {
                    "addresses": [{"ip": address} for address in addresses],
                    "notReadyAddresses": [{"ip": "192.0.2.99"}],
                    "ports": [{"name": "db", "port": 5432}],
                }
            ],
        }

    await cluster.create(make.service("outside", selector=None), written("192.0.2.1"))
    await cluster.settle()
    (one,) = await slices(cluster, "outside")
    assert meta.labels(one)["endpointslice.kubernetes.io/managed-by"] == (
        "endpointslicemirroring-controller.k8s.io"
    )
    assert [(e["addresses"], e["conditions"]["ready"]) for e in one["endpoints"]] == [
        (["192.0.2.1"], True),
        (["192.0.2.99"], False),
    ]
    assert one["ports"] == [{"name": "db", "protocol": "TCP", "port": 5432}]
    await cluster.patch("Endpoints", "outside", {"subsets": written("192.0.2.2")["subsets"]})
    await cluster.settle()
    (one,) = await slices(cluster, "outside")
    assert sorted(e["addresses"][0] for e in one["endpoints"]) == ["192.0.2.2", "192.0.2.99"]
    await cluster.delete("Endpoints", "outside")
    await cluster.settle()
    assert await slices(cluster, "outside") == []
    await cluster.create(written("192.0.2.3"))
    await cluster.delete("Service", "outside")
    await cluster.settle()
    left = [*await cluster.list("Endpoints"), *await slices(cluster, "outside")]
    assert left == [], "Endpoints go with their Service, whoever wrote them"


def hinted(slices_):
    return sorted(
        (e["zone"], [z["name"] for z in e.get("hints", {}).get("forZones", ())])
        for one in slices_
        for e in one["endpoints"]
    )


async def test_hints_come_and_go_with_what_the_service_says(make):
    zone = "topology.kubernetes.io/zone"
    nodes = [make.node("w1", {zone: "a"}), make.node("w2", {zone: "b"})]
    for node in nodes:
        node["status"]["allocatable"] |= {"cpu": "2"}
    async with make.cluster(nodes) as cluster:
        service = make.service(trafficDistribution="PreferClose")
        await cluster.create(service, make.deployment(replicas=2))
        await cluster.settle()
        assert hinted(await slices(cluster)) == [("a", ["a"]), ("b", ["b"])]
        await cluster.patch("Service", "web", {"spec": {"trafficDistribution": None}})
        await cluster.settle()
        assert hinted(await slices(cluster)) == [("a", []), ("b", [])]
        auto = {"service.kubernetes.io/topology-mode": "Auto"}
        await cluster.patch("Service", "web", {"metadata": {"annotations": auto}})
        await cluster.settle()
        assert hinted(await slices(cluster)) == [("a", ["a"]), ("b", ["b"])]
        (event,) = await cluster.events("TopologyAwareHintsEnabled")
        assert event["message"] == "Topology Aware Hints has been enabled, addressType: IPv4"
        await cluster.patch("Node", "w2", {"metadata": {"labels": {zone: "a"}}}, namespace="")
        await cluster.settle()
        assert hinted(await slices(cluster)) == [("a", []), ("a", [])]
        (event,) = await cluster.events("TopologyAwareHintsDisabled")
        assert event["message"].startswith("Insufficient Node information")


async def test_since_when_a_change_is_under_way_is_written_with_it(cluster, make):
    trigger = "endpoints.kubernetes.io/last-change-trigger-time"
    service = make.service()
    await cluster.create(service, make.pod("p"))
    await cluster.settle()
    # of the Service, or of the pod where that came a second later, after the first slice
    both = [await cluster.get(*one) for one in (("Service", "web"), ("Pod", "p"))]
    created = {one["metadata"]["creationTimestamp"] for one in both}
    (one,) = await slices(cluster)
    assert meta.annotations(one)[trigger] in created
    assert meta.annotations(await cluster.get("Endpoints", "web"))[trigger] in created
    await cluster.patch("Service", "web", {"metadata": {"labels": {"new": "one"}}})
    await cluster.settle()
    (one,) = await slices(cluster)
    assert meta.labels(one)["new"] == "one" and trigger not in meta.annotations(one)
