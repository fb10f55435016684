"""Services, as Kubernetes' own end-to-end tests try them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.conformance import INTERNAL, WORKERS, Cluster, Space, agnhost, cluster
from e2e.labs import eventually

from netlab.errors import ApiError
from netlab.objects import meta

pytestmark = pytest.mark.root

HTTP = {"name": "http", "port": 80, "targetPort": 9376, "protocol": "TCP"}
NETEXEC = ("netexec", "--http-port=9376", "--udp-port=9376")
EXTERNAL = "203.0.113.250"
PROXY_NAME = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("services")) as it:
        yield it


@pytest.fixture
def space(lab: Cluster) -> Space:
    return lab.space("services")


@pytest.fixture(scope="module")
def busy(lab: Cluster) -> Space:
    """A namespace with two pods that serve, labelled `app: web`, and a client on each node."""
    busy = lab.space("busy")
    for node in WORKERS:
        busy.pod(f"client-{node}", node=node, wait=False)
    busy.deployment("web", *NETEXEC, replicas=2, labels={"app": "web"})
    eventually(lambda: all(map(busy.ready, (CLIENT, OTHER_CLIENT))))
    return busy


CLIENT = f"client-{WORKERS[0]}"
OTHER_CLIENT = f"client-{WORKERS[1]}"


def test_the_api_server_has_a_service(lab: Cluster) -> None:
    assert lab.client.get("Service", "default", "kubernetes")["spec"]["clusterIP"]
    everywhere = {
        (item["metadata"]["namespace"], item["metadata"]["name"])
        for item in lab.client.request("GET", "/api/v1/services")["items"]
    }
    assert ("default", "kubernetes") in everywhere


def test_endpoints_follow_pods(space: Space) -> None:
    space.service("both", [{"port": 80, "targetPort": 80}])
    space.serving("both", {})
    space.pod("box", wait=False)
    labels = {"app": "both"}
    space.pod("pod1", "netexec", "--http-port=80", labels=labels)
    space.serving("both", {"pod1": [80]})
    space.reachable("both", "box")
    space.pod("pod2", "netexec", "--http-port=80", labels=labels)
    space.serving("both", {"pod1": [80], "pod2": [80]})
    space.reachable("both", "box")
    space.delete("Pod", "pod1", grace_period=0)
    space.serving("both", {"pod2": [80]})
    space.reachable("both", "box")
    space.delete("Pod", "pod2", grace_period=0)
    space.serving("both", {})


def test_ports_of_a_service_come_and_go(space: Space) -> None:
    """Each pod has one of two named ports."""
    first = {"name": "portname1", "port": 80, "targetPort": "svc1"}
    second = {"name": "portname2", "port": 81, "targetPort": "svc2"}
    space.service("multi", [first])
    space.pod("box", wait=False)
    for name, port_name, port in (("pod1", "svc1", 100), ("pod2", "svc2", 101)):
        container = {"ports": [{"name": port_name, "containerPort": port}]}
        args = ("netexec", f"--http-port={port}")
        space.pod(name, *args, labels={"app": "multi"}, container=container)
    space.serving("multi", {"pod1": [100]})
    space.reachable("multi", "box")
    space.change("Service", "multi", ports=[first, second])
    space.serving("multi", {"pod1": [100], "pod2": [101]})
    space.reachable("multi", "box")
    space.change("Service", "multi", ports=[first])
    space.serving("multi", {"pod1": [100]})
    space.reachable("multi", "box")
    space.refuse("box", ("multi", 81))


def test_a_port_of_an_init_container_that_stays(space: Space) -> None:
    ports = {"svc": ["--http-port=100", "--udp-port=-1"], "side": ["--http-port=101"]}
    one, other = (
        agnhost("netexec", *args, name=name, ports=[{"name": name, "containerPort": 100 + at}])
        for at, (name, args) in enumerate(ports.items())
    )
    init = [{**other, "restartPolicy": "Always"}]
    labels = {"app": "restartable"}
    space.pod("pod1", labels=labels, containers=[one], initContainers=init)
    named = [{"name": n, "port": 80 + at, "targetPort": n} for at, n in enumerate(ports)]
    space.service("restartable", named)
    space.serving("restartable", {"pod1": [100, 101]})
    space.pod("box")
    space.reachable("restartable", "box")


def test_services_are_served_on_another_range_of_addresses(lab: Cluster, space: Space) -> None:
    more = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "more"},
        "spec": {"cidrs": ["198.51.100.0/24"]},
    }
    lab.client.create(more)
    space.pod("pod1", *NETEXEC, labels={"app": "elsewhere"})
    space.pod("box")
    space.service("elsewhere", [HTTP], clusterIP="198.51.100.9", type="NodePort")
    space.reachable("elsewhere", "box")
    held = lab.client.get("IPAddress", "", "198.51.100.9")["spec"]["parentRef"]
    assert (held["resource"], held["name"]) == ("services", "elsewhere")
    lab.client.delete("ServiceCIDR", "", "more")
    going = lab.client.get("ServiceCIDR", "", "more")
    eventually(lambda: not meta.is_ready(lab.client.get("ServiceCIDR", "", "more")))
    assert going["metadata"]["deletionTimestamp"]
    space.reachable("elsewhere", "box")
    space.delete("Service", "elsewhere")
    names = {"kubernetes"}
    eventually(lambda: {meta.name(one) for one in lab.client.list("ServiceCIDR")} == names)


def test_a_pod_is_seen_under_its_own_address(busy: Space) -> None:
    busy.service("source", [HTTP], selector={"app": "web"})
    eventually(lambda: busy.by_slices("source"))
    for client in (CLIENT, OTHER_CLIENT):
        address = busy.get("Pod", client)["status"]["podIP"]
        seen = busy.says(client, "curl -s --retry 3 --retry-connrefused http://source/clientip")
        assert seen.rpartition(":")[0] == address


def test_a_pod_reaches_itself(space: Space) -> None:
    space.service("hairpin", [{"port": 8080, "targetPort": 8080}])
    space.pod("hairpin", "netexec", "--http-port=8080", labels={"app": "hairpin"})
    space.serving("hairpin", {"hairpin": [8080]})
    space.reachable("hairpin", "hairpin")


def all_of(space: Space, service: str, pods: set[str], *clients: str) -> None:
    """All these pods answer at the Service's address, asked from each client."""
    address = space.get("Service", service)["spec"]["clusterIP"]
    eventually(lambda: all(space.hostnames(one, address, 80) == pods for one in clients), 20.0)


@pytest.mark.slow
def test_services_go_up_and_down(space: Space) -> None:
    space.pod("box", wait=False)
    space.pod("host", hostNetwork=True)
    pods = {
        name: set(space.deployment(name, *NETEXEC, replicas=2, labels={"app": name}))
        for name in ("up1", "up2")
    }
    for name in pods:
        space.service(name, [HTTP])
        all_of(space, name, pods[name], "box", "host")
    gone = space.get("Service", "up1")["spec"]["clusterIP"]
    space.client.delete("Deployment", space.name, "up1")
    space.delete("Service", "up1")
    space.refuse("host", (gone, 80))
    space.service("up3", [HTTP], selector={"app": "up2"})
    assert space.get("Service", "up3")["spec"]["clusterIP"] != gone
    for name in ("up2", "up3"):
        all_of(space, name, pods["up2"], "box", "host")
    space.delete("Service", "up2")
    space.service("up2", [HTTP])  # the same once more, at another address
    all_of(space, "up2", pods["up2"], "box", "host")


def test_a_node_port_answers_everywhere(busy: Space) -> None:
    busy.service("np", [HTTP], selector={"app": "web"}, type="NodePort")
    busy.reachable("np", CLIENT)


def test_an_external_ip_that_no_node_has(busy: Space) -> None:
    busy.service("external", [HTTP], selector={"app": "web"}, externalIPs=[EXTERNAL])
    busy.reachable("external", CLIENT)
    busy.answer(CLIENT, (EXTERNAL, 80))


def test_source_ranges_of_a_load_balancer(busy: Space) -> None:
    """Who is not let in waits in vain, and no longer than he says: busybox's wget tries once."""
    mine, other = (
        busy.get("Pod", pod)["status"]["podIP"] + "/32" for pod in (CLIENT, OTHER_CLIENT)
    )
    balanced = {"type": "LoadBalancer", "loadBalancerSourceRanges": [mine]}
    busy.service("ranges", [HTTP], selector={"app": "web"}, **balanced)
    eventually(lambda: busy.get("Service", "ranges")["status"]["loadBalancer"].get("ingress"))
    address = busy.get("Service", "ranges")["status"]["loadBalancer"]["ingress"][0]["ip"]

    def let_in(pod: str) -> bool:
        return busy.run(pod, f"wget -T 1 -qO- http://{address}/hostname").returncode == 0

    eventually(lambda: let_in(CLIENT) and not let_in(OTHER_CLIENT), 30.0)
    busy.change("Service", "ranges", loadBalancerSourceRanges=[other])
    eventually(lambda: let_in(OTHER_CLIENT) and not let_in(CLIENT), 30.0)
    busy.change("Service", "ranges", loadBalancerSourceRanges=None)
    eventually(lambda: let_in(OTHER_CLIENT) and let_in(CLIENT), 30.0)


def test_one_port_number_for_two_protocols(busy: Space) -> None:
    tcp, udp = {**HTTP, "name": "tcp"}, {**HTTP, "name": "udp", "protocol": "UDP"}
    busy.service("dual", [HTTP], selector={"app": "web"})
    change: dict[str, Any] = {"type": "NodePort", "ports": [tcp]}
    busy.change("Service", "dual", **change)
    busy.reachable("dual", CLIENT)
    change = {"ports": [tcp, udp]}
    svc = busy.change("Service", "dual", **change)
    assert all(port["nodePort"] for port in svc["spec"]["ports"])
    busy.reachable("dual", CLIENT)
    busy.service("both-ways", [tcp, udp], selector={"app": "web"})
    busy.reachable("both-ways", CLIENT)
    for kept, other in ((tcp, "UDP"), (udp, "TCP")):
        busy.change("Service", "both-ways", ports=[kept])
        busy.reachable("both-ways", CLIENT)
        busy.refuse(CLIENT, ("both-ways", 80, other))
    busy.service("lb", [tcp, udp], selector={"app": "web"}, type="LoadBalancer")
    busy.reachable("lb", CLIENT)


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_from_an_external_name_and_back(busy: Space, kind: str) -> None:
    name = f"turns-{kind.lower()}"
    svc = busy.service(
        name, [], selector={"app": "web"}, type="ExternalName", externalName="foo.example.com"
    )
    assert "clusterIP" not in svc["spec"]
    change = {"type": kind, "externalName": "", "ports": [HTTP]}
    busy.change("Service", name, **change)
    busy.reachable(name, CLIENT)
    change = {"type": "ExternalName", "externalName": f"np.{busy.name}.svc.cluster.local"}
    svc = busy.change("Service", name, **change)
    assert "clusterIP" not in svc["spec"]
    assert "nodePort" not in svc["spec"]["ports"][0]
    full = f"{name}.{busy.name}.svc.cluster.local"
    eventually(lambda: "canonical name" in busy.run(CLIENT, f"nslookup {full}").stdout)


def refused(space: Space, name: str, port: int) -> str:
    """What is said to a Service that asks for this node port."""
    with pytest.raises(ApiError) as caught:
        space.service(name, [{**HTTP, "nodePort": port}], type="NodePort")
    assert caught.value.code == 422
    return str(caught.value)


def test_node_ports_are_allocated(space: Space) -> None:
    port = space.service("one", [HTTP], type="NodePort")["spec"]["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    assert re.search(rf"{port}.*port is already allocated", refused(space, "two", port))
    space.delete("Service", "one")
    space.pod("host", hostNetwork=True, node=WORKERS[0])
    assert "LISTEN" not in space.says("host", f"ss -ant46 'sport = :{port}'")
    space.service("two", [{**HTTP, "nodePort": port}], type="NodePort")
    assert re.search(r"123.*port is not in the valid range", refused(space, "three", 123))
    with pytest.raises(ApiError, match=r"40000.*port is not in the valid range"):
        space.update("Service", "two", lambda svc: svc["spec"]["ports"][0].update(nodePort=40000))


def test_unready_pods_are_published_on_demand(space: Space) -> None:
    probe = {"exec": {"command": ["/bin/false"]}}
    space.service("unready", [HTTP], publishNotReadyAddresses=True)
    space.pod("box", wait=False)
    labels = {"app": "unready"}
    space.pod("never", *NETEXEC, labels=labels, wait=False, container={"readinessProbe": probe})
    eventually(lambda: space.get("Pod", "never")["status"]["phase"] == "Running")
    eventually(lambda: space.ready("box"))
    space.answer("box", ("unready", 80))
    for published, check in ((False, space.refuse), (True, space.answer)):
        change = {"publishNotReadyAddresses": published}
        space.change("Service", "unready", **change)
        check("box", ("unready", 80))


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort"])
def test_a_client_stays_with_one_pod(busy: Space, kind: str) -> None:
    name = f"sticky-{kind.lower()}"
    svc = busy.service(name, [HTTP], selector={"app": "web"}, type=kind, sessionAffinity="ClientIP")
    host, port = svc["spec"]["clusterIP"], 80
    if kind == "NodePort":
        host, port = INTERNAL[WORKERS[1]], svc["spec"]["ports"][0]["nodePort"]
    busy.reachable(name, CLIENT)
    assert len(busy.hostnames(CLIENT, host, port, 15)) == 1
    busy.change("Service", name, sessionAffinity="None")
    eventually(lambda: len(busy.hostnames(CLIENT, host, port)) == 2)
    busy.change("Service", name, sessionAffinity="ClientIP")
    eventually(lambda: len(busy.hostnames(CLIENT, host, port)) == 1)


@pytest.mark.slow
def test_a_client_is_forgotten_after_its_time(busy: Space) -> None:
    busy.service(
        "forgetful",
        [HTTP],
        selector={"app": "web"},
        sessionAffinity="ClientIP",
        sessionAffinityConfig={"clientIP": {"timeoutSeconds": 1}},
    )
    busy.reachable("forgetful", CLIENT)
    seen: set[str] = set()

    def both() -> bool:
        seen.update(busy.says(CLIENT, "sleep 1.5; curl -s http://forgetful/hostname").split())
        return len(seen) == 2

    eventually(both, 60.0)


@pytest.mark.parametrize("label", [PROXY_NAME, HEADLESS])
def test_labels_that_take_a_service_from_the_proxy(busy: Space, label: str) -> None:
    name = label.rpartition("/")[2]
    address = busy.service(name, [HTTP], selector={"app": "web"})["spec"]["clusterIP"]
    for client in (CLIENT, OTHER_CLIENT):
        busy.answer(client, (address, 80))
    busy.update("Service", name, lambda svc: svc["metadata"].update(labels={label: "foo-bar"}))
    busy.refuse(CLIENT, (address, 80))
    busy.update("Service", name, lambda svc: svc["metadata"].update(labels={}))
    busy.answer(CLIENT, (address, 80))
    never = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{name}-never", "labels": {label: ""}},
        "spec": {"selector": {"app": "web"}, "ports": [HTTP]},
    }
    busy.refuse(CLIENT, (busy.create(never)["spec"]["clusterIP"], 80))


def test_a_service_without_endpoints_refuses(busy: Space) -> None:
    busy.service("no-pods", [{"port": 80}])
    asked = "curl -s --connect-timeout 2 http://no-pods; echo $?"
    eventually(lambda: busy.says(CLIENT, asked) == "7\n")


@pytest.mark.parametrize("client", ["pod", "node"])
@pytest.mark.parametrize("server", ["pod", "node"])
def test_internal_traffic_stays_local(space: Space, client: str, server: str) -> None:
    """`node`: in the network of the node."""
    here, there = WORKERS
    port = 10180 if client == "pod" else 10181
    ports = [{"port": 80, "targetPort": port}]
    svc = space.service("itp", ports, internalTrafficPolicy="Local")
    args = ("netexec", f"--http-port={port}", f"--udp-port={port}")
    networks = {"pod": {}, "node": {"hostNetwork": True}}
    space.pod("web", *args, node=here, labels={"app": "itp"}, **networks[server])
    for name, node in (("near", here), ("far", there)):
        space.pod(name, node=node, **networks[client])
    space.serving("itp", {"web": [port]})
    address = svc["spec"]["clusterIP"]
    space.answer("near", (address, 80))
    assert len(space.hostnames("near", address, 80, 5)) == 1
    assert space.hostnames("far", address, 80, 2) == set()


def test_a_health_check_port_comes_and_goes_with_the_policy(space: Space) -> None:
    space.pod("web", "netexec", node=WORKERS[0], labels={"app": "health"})
    space.pod("node", hostNetwork=True, node=WORKERS[0])
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = space.service("health", [{"port": 80, "targetPort": 8080}], **local)["spec"]
    space.serving("health", {"web": [8080]})
    port, node_port = made["healthCheckNodePort"], made["ports"][0]["nodePort"]
    near, far = (INTERNAL[name] for name in WORKERS)

    def codes(at: int, path: str) -> list[str]:
        ask = "curl -s -o /dev/null -m 1 -w '%{http_code} ' "
        urls = [f"http://{ip}:{at}{path}" for ip in (near, far)]
        return space.run("node", "; ".join(ask + url for url in urls)).stdout.split()[:2]

    eventually(lambda: codes(port, "/healthz") == ["200", "503"])
    assert codes(node_port, "/hostname") == ["200", "000"]
    change = {"externalTrafficPolicy": "Cluster", "healthCheckNodePort": 0}
    assert "healthCheckNodePort" not in space.change("Service", "health", **change)["spec"]
    eventually(lambda: codes(node_port, "/hostname") == ["200", "200"])
    eventually(lambda: codes(port, "/healthz") == ["000", "000"])
    change = {"externalTrafficPolicy": "Local", "healthCheckNodePort": port}
    space.change("Service", "health", **change)
    eventually(lambda: codes(port, "/healthz") == ["200", "503"])


def test_the_life_of_an_endpoints_object(space: Space) -> None:
    labels = {"test-endpoint-static": "true"}
    seen = space.client.request("GET", "/api/v1/endpoints")["metadata"]["resourceVersion"]
    subset = {"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80}]}
    space.create(
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {"name": "testservice", "labels": labels},
            "subsets": [subset],
        }
    )
    change = {"test-service": "updated"}
    space.update("Endpoints", "testservice", lambda eps: eps["metadata"]["labels"].update(change))
    patch = {
        "metadata": {"labels": {"test-service": "patched"}},
        "subsets": [
            {
                "addresses": [{"ip": "10.0.0.25"}],
                "ports": [{"name": "http-test", "port": 8080}],
            }
        ],
    }
    patched = space.client.patch(
        "Endpoints",
        space.name,
        "testservice",
        patch,
        content_type="application/strategic-merge-patch+json",
    )
    assert patched["metadata"]["labels"] == {**labels, "test-service": "patched"}
    port = {"name": "http-test", "port": 8080, "protocol": "TCP"}
    assert patched["subsets"] == [{"addresses": [{"ip": "10.0.0.25"}], "ports": [port]}]
    query = {"labelSelector": "test-endpoint-static=true"}
    space.client.request("DELETE", f"/api/v1/namespaces/{space.name}/endpoints", query=query)
    assert not space.exists("Endpoints", "testservice")
    assert events(space, "Endpoints", seen, query) == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def events(space: Space, kind: str, since: str, query: dict[str, str]) -> list[str]:
    """What a watch from that revision on tells, up to the deletion."""
    asked = {**query, "resourceVersion": since}
    types: list[str] = []
    for event in space.client.watch(kind, space.name, query=asked):
        types.append(event["type"])
        if event["type"] == "DELETED":
            break
    return types


def test_the_status_of_a_service_is_written_by_others(space: Space) -> None:
    """Of a class that nobody here serves."""
    balanced = {"type": "LoadBalancer", "loadBalancerClass": "example.com/internal-vip"}
    space.service("status", [HTTP], **balanced)
    status = space.client.request("GET", f"/api/v1/namespaces/{space.name}/services/status/status")
    assert status["status"] == {"loadBalancer": {}}
    address = {"ip": "203.0.113.1", "ipMode": "VIP"}
    patched = space.client.patch(
        "Service",
        space.name,
        "status",
        {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}},
        subresource="status",
    )
    assert patched["status"]["loadBalancer"]["ingress"] == [address]
    condition = {
        "type": "StatusUpdate",
        "status": "True",
        "reason": "E2E",
        "message": "Set from a test",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    patched["status"]["conditions"] = [condition]
    updated = space.client.update(patched, subresource="status")
    assert updated["status"]["conditions"] == [condition]
    assert updated["status"]["loadBalancer"]["ingress"] == [address]


def test_services_are_deleted_together(space: Space) -> None:
    for name, value in (("a", "delete"), ("b", "delete"), ("c", "keep")):
        labelled = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "labels": {"e2e-test-service": value}},
            "spec": {"ports": [HTTP]},
        }
        space.create(labelled)
    query = {"labelSelector": "e2e-test-service=delete"}
    space.client.request("DELETE", f"/api/v1/namespaces/{space.name}/services", query=query)
    assert [svc["metadata"]["name"] for svc in space.client.list("Service", space.name)] == ["c"]


def test_sctp_has_endpoints(space: Space) -> None:
    space.service("sctp", [{"port": 5060, "protocol": "SCTP"}])
    space.serving("sctp", {})
    ports = [{"containerPort": 5060, "protocol": "SCTP"}]
    space.pod("pod1", labels={"app": "sctp"}, container={"ports": ports})
    space.serving("sctp", {"pod1": [5060]})
    space.delete("Pod", "pod1", grace_period=0)
    space.serving("sctp", {})
