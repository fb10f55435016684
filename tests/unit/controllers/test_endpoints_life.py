from netlab.objects import meta

SERVICE_NAME = "kubernetes.io/service-name"


async def slices(c, name="web"):
    return await c.list("EndpointSlice", label_selector=f"{SERVICE_NAME}={name}")


def conditions(slice_):
    return [
        (e["conditions"]["ready"], e["conditions"]["serving"], e["conditions"]["terminating"])
        for e in slice_["endpoints"]
    ]


def test_a_slice_looks_as_the_controller_manager_makes_it(in_cluster, make):
    nodes = [make.node("w1", {"topology.kubernetes.io/zone": "a"})]

    async def scenario(c):
        service = make.service()
        service["metadata"]["labels"] = {"team": "x"}
        await c.create(service, make.deployment(replicas=1))
        await c.settle()
        (one,) = await slices(c)
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
        (pod,) = await c.list("Pod")
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

    in_cluster(scenario, nodes)


def test_an_endpoint_s_conditions_follow_its_pod_s_life(in_cluster, make):
    async def scenario(c):
        c.kubelet.unready = lambda _: True
        await c.create(make.service(), make.pod("p"))
        await c.settle()
        (one,) = await slices(c)
        assert conditions(one) == [(False, False, False)]
        c.kubelet.unready = lambda _: False
        c.kubelet.undying = lambda _: True
        c.kubelet.look_again()
        await c.settle()
        assert conditions((await slices(c))[0]) == [(True, True, False)]
        await c.delete("Pod", "p")
        await c.settle()
        assert conditions((await slices(c))[0]) == [(False, True, True)]
        c.kubelet.undying = lambda _: False
        c.kubelet.look_again()
        await c.settle()
        (empty,) = await slices(c)
        assert not empty.get("endpoints")

    in_cluster(scenario)


def test_pods_come_and_go_by_their_labels(in_cluster, make):
    async def scenario(c):
        await c.create(make.service(), make.pod("p"), make.pod("q", {"app": "other"}))
        await c.settle()
        assert [e["targetRef"]["name"] for e in (await slices(c))[0]["endpoints"]] == ["p"]
        await c.patch("Pod", "p", {"metadata": {"labels": {"app": "other"}}})
        await c.patch("Pod", "q", {"metadata": {"labels": {"app": "web"}}})
        await c.settle()
        assert [e["targetRef"]["name"] for e in (await slices(c))[0]["endpoints"]] == ["q"]
        await c.patch("Service", "web", {"spec": {"selector": {"app": "other"}}})
        await c.settle()
        assert [e["targetRef"]["name"] for e in (await slices(c))[0]["endpoints"]] == ["p"]

    in_cluster(scenario)


def test_a_service_without_pods_has_an_empty_slice_and_one_without_selector_none(in_cluster, make):
    async def scenario(c):
        await c.create(make.service(), make.service("own", selector=None))
        await c.settle()
        (one,) = await slices(c)
        assert not one.get("endpoints") and not one.get("ports")
        assert await slices(c, "own") == []
        assert "own" not in [meta.name(e) for e in await c.list("Endpoints")]

    in_cluster(scenario)


def test_named_ports_that_differ_between_pods_make_several_slices(in_cluster, make):
    def serving(name, number):
        ports = [{"name": "http", "containerPort": number}]
        return make.pod(name, containers=[{"name": "c", "image": "nginx", "ports": ports}])

    async def scenario(c):
        ports = [{"name": "web", "port": 80, "targetPort": "http"}]
        await c.create(make.service(ports=ports), serving("old", 8080), serving("new", 9090))
        await c.settle()
        found = {
            one["ports"][0]["port"]: [e["targetRef"]["name"] for e in one["endpoints"]]
            for one in await slices(c)
        }
        assert found == {8080: ["old"], 9090: ["new"]}

    in_cluster(scenario)


def test_slices_go_with_their_service_and_come_back_when_somebody_deletes_them(in_cluster, make):
    async def scenario(c):
        await c.create(make.service(), make.pod("p"))
        await c.settle()
        (one,) = await slices(c)
        await c.delete("EndpointSlice", meta.name(one))
        await c.delete("Endpoints", "web")
        await c.settle()
        assert len(await slices(c)) == 1
        assert meta.name(await c.get("Endpoints", "web")) == "web"
        await c.delete("Service", "web")
        await c.settle()
        assert await slices(c) == []
        assert await c.list("Endpoints") == []

    in_cluster(scenario)


def test_headless_services_are_labelled_and_name_their_pods(in_cluster, make):
    async def scenario(c):
        await c.create(
            make.service(clusterIP="None"), make.pod("p", hostname="db-0", subdomain="web")
        )
        await c.settle()
        (one,) = await slices(c)
        assert meta.labels(one)["service.kubernetes.io/headless"] == ""
        assert one["endpoints"][0]["hostname"] == "db-0"
        endpoints = await c.get("Endpoints", "web")
        assert endpoints["subsets"][0]["addresses"][0]["hostname"] == "db-0"

    in_cluster(scenario)


def test_two_hundred_and_fifty_pods_fill_three_slices_and_one_change_writes_one(in_cluster, make):
    async def scenario(c):
        await c.create(make.service(), make.deployment(replicas=250))
        await c.settle()
        before = {meta.name(one): one for one in await slices(c)}
        assert sorted(len(one["endpoints"]) for one in before.values()) == [50, 100, 100]
        addresses = [e["addresses"][0] for one in before.values() for e in one["endpoints"]]
        assert len(set(addresses)) == 250
        victim = (await c.list("Pod"))[0]
        c.kubelet.unready = lambda pod: meta.uid(pod) == meta.uid(victim)
        c.kubelet.look_again()
        await c.settle()
        after = {meta.name(one): one for one in await slices(c)}
        changed = [
            name
            for name, one in after.items()
            if one["metadata"]["resourceVersion"] != before[name]["metadata"]["resourceVersion"]
        ]
        assert after.keys() == before.keys() and len(changed) == 1

    in_cluster(scenario)


def test_the_older_endpoints_object_tells_ready_from_not_ready(in_cluster, make):
    async def scenario(c):
        c.kubelet.unready = lambda pod: meta.name(pod) == "b"
        await c.create(make.service(), make.pod("a"), make.pod("b"))
        await c.settle()
        (subset,) = (await c.get("Endpoints", "web"))["subsets"]
        assert [one["targetRef"]["name"] for one in subset["addresses"]] == ["a"]
        assert [one["targetRef"]["name"] for one in subset["notReadyAddresses"]] == ["b"]
        assert subset["ports"] == [{"port": 8080, "protocol": "TCP"}]

    in_cluster(scenario)


def test_the_kubernetes_service_points_at_the_control_plane(in_cluster, make):
    def addressed(node, address):
        node["status"]["addresses"] = [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": meta.name(node)},
        ]
        return node

    master = make.node("master", {"node-role.kubernetes.io/control-plane": ""})
    nodes = [addressed(make.node("a"), "10.10.11.11"), addressed(master, "10.10.11.10")]

    async def scenario(c):
        ports = [{"name": "https", "port": 443, "targetPort": 6443}]
        await c.create(make.service("kubernetes", selector=None, ports=ports))
        await c.settle()
        one = await c.get("EndpointSlice", "kubernetes")
        assert [e["addresses"] for e in one["endpoints"]] == [["10.10.11.10"]]
        assert one["ports"] == [{"name": "https", "protocol": "TCP", "port": 6443}]
        (subset,) = (await c.get("Endpoints", "kubernetes"))["subsets"]
        assert subset["addresses"] == [{"ip": "10.10.11.10"}]
        moved = [{"type": "InternalIP", "address": "10.10.11.99"}]
        await c.api.patch_status("Node", "", "master", {"addresses": moved})
        await c.settle()
        one = await c.get("EndpointSlice", "kubernetes")
        assert [e["addresses"] for e in one["endpoints"]] == [["10.10.11.99"]]

    in_cluster(scenario, nodes)


def test_the_kubernetes_service_comes_back(in_cluster, make):
    async def scenario(c):
        cidrs = {"spec": {"cidrs": ["10.96.0.0/12"]}, "metadata": {"name": "kubernetes"}}
        await c.create({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", **cidrs})
        await c.settle()
        first = await c.get("Service", "kubernetes")
        await c.delete("Service", "kubernetes")
        await c.settle()
        again = await c.get("Service", "kubernetes")
        assert meta.uid(again) != meta.uid(first)
        assert again["spec"] == first["spec"] and again["spec"]["clusterIP"] == "10.96.0.1"

    in_cluster(scenario)


def test_a_service_that_loses_its_selector_keeps_its_endpoints(in_cluster, make):
    async def scenario(c):
        await c.create(make.service(), make.pod("p"))
        await c.settle()
        (before,) = await slices(c)
        await c.patch("Service", "web", {"spec": {"selector": None}})
        await c.delete("Pod", "p")
        await c.settle()
        names = {meta.name(one): one for one in await slices(c)}
        assert names[meta.name(before)] == before
        assert (await c.get("Endpoints", "web"))["subsets"]
        await c.delete("Service", "web")
        await c.settle()
        assert await slices(c) == []
        assert "web" not in [meta.name(one) for one in await c.list("Endpoints")]

    in_cluster(scenario)


def test_hand_written_endpoints_of_a_service_without_selector_are_mirrored(in_cluster, make):
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

    async def scenario(c):
        await c.create(make.service("outside", selector=None), written("192.0.2.1"))
        await c.settle()
        (one,) = await slices(c, "outside")
        assert meta.labels(one)["endpointslice.kubernetes.io/managed-by"] == (
            "endpointslicemirroring-controller.k8s.io"
        )
        assert [(e["addresses"], e["conditions"]["ready"]) for e in one["endpoints"]] == [
            (["192.0.2.1"], True),
            (["192.0.2.99"], False),
        ]
        assert one["ports"] == [{"name": "db", "protocol": "TCP", "port": 5432}]
        await c.patch("Endpoints", "outside", {"subsets": written("192.0.2.2")["subsets"]})
        await c.settle()
        (one,) = await slices(c, "outside")
        assert sorted(e["addresses"][0] for e in one["endpoints"]) == ["192.0.2.2", "192.0.2.99"]
        await c.delete("Endpoints", "outside")
        await c.settle()
        assert await slices(c, "outside") == []
        await c.create(written("192.0.2.3"))
        await c.delete("Service", "outside")
        await c.settle()
        left = [*await c.list("Endpoints"), *await slices(c, "outside")]
        assert left == [], "Endpoints go with their Service, whoever wrote them"

    in_cluster(scenario)
