"""What answers while pods end, as Kubernetes' own end-to-end tests try it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e.conformance import INTERNAL, WORKERS, Cluster, Space, cluster
from e2e.labs import eventually

pytestmark = pytest.mark.root

HERE, THERE = WORKERS
PORT = {"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}
READY = {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}}}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("terminating")) as it:
        yield it


@pytest.fixture
def space(lab: Cluster) -> Space:
    """A client on each node, and a server that ends slowly on one of them."""
    space = lab.space("ending")
    for name, node in (("near", HERE), ("far", THERE)):
        space.pod(name, node=node, wait=False)
    return space


def ending(space: Space, **spec: Any) -> Any:
    """A Service whose only pod has been told to end, and goes on for a while."""
    svc = space.service("web", [PORT], **spec)
    args = ("netexec", "--http-port=80", "--delay-shutdown=100")
    labels = {"app": "web"}
    grace = {"terminationGracePeriodSeconds": 100}
    space.pod("web", *args, node=HERE, labels=labels, **grace)
    space.serving("web", {"web": [80]})
    for client in ("near", "far"):
        eventually(lambda client=client: space.ready(client))
    space.client.delete("Pod", space.name, "web")
    eventually(lambda: "web" not in space.by_slices("web"))
    return svc["spec"]


def condition(space: Space) -> dict[str, bool]:
    """What its EndpointSlice says of it."""
    return dict(space.slices("web")[0]["endpoints"][0]["conditions"])


def test_serving_though_terminating(space: Space) -> None:
    spec = ending(space)
    assert condition(space) == {"ready": False, "serving": True, "terminating": True}
    for client in ("near", "far"):
        assert space.hostnames(client, spec["clusterIP"], 80, 3) == {"web"}


def test_serving_on_its_own_node(space: Space) -> None:
    spec = ending(space, internalTrafficPolicy="Local")
    assert space.hostnames("near", spec["clusterIP"], 80, 3) == {"web"}
    assert space.hostnames("far", spec["clusterIP"], 80, 2) == set()


def test_serving_at_node_ports(space: Space) -> None:
    spec = ending(space, type="NodePort")
    for client in ("near", "far"):
        port = spec["ports"][0]["nodePort"]
        assert space.hostnames(client, INTERNAL[HERE], port, 3) == {"web"}


def test_serving_at_the_node_ports_of_its_node(space: Space) -> None:
    spec = ending(space, type="NodePort", externalTrafficPolicy="Local")
    port = spec["ports"][0]["nodePort"]
    for client in ("near", "far"):
        assert space.hostnames(client, INTERNAL[HERE], port, 3) == {"web"}
    assert space.hostnames("near", INTERNAL[THERE], port, 2) == set()


def test_load_balancers_are_sent_elsewhere(space: Space) -> None:
    """Its node fails their health check, while what still comes is answered."""
    spec = ending(space, type="LoadBalancer", externalTrafficPolicy="Local")
    check = (
        f"curl -s -o /dev/null -w '%{{http_code}}' {INTERNAL[HERE]}:{spec['healthCheckNodePort']}"
    )
    eventually(lambda: space.says("near", check) == "503")
    assert space.hostnames("near", INTERNAL[HERE], spec["ports"][0]["nodePort"], 3) == {"web"}


@pytest.mark.parametrize("published", [True, False])
def test_unready_and_terminating(space: Space, published: bool) -> None:
    svc = space.service("web", [PORT], type="NodePort", publishNotReadyAddresses=published)
    args = ("netexec", "--http-port=80", "--delay-shutdown=100")
    probe = {"readinessProbe": {"httpGet": {"path": "/readyz", "port": 80}, "periodSeconds": 1}}
    grace = {"terminationGracePeriodSeconds": 100}
    space.pod("web", *args, node=HERE, labels={"app": "web"}, container=probe, **grace)
    space.serving("web", {"web": [80]})
    eventually(lambda: space.ready("near") and space.ready("far"))
    space.client.delete("Pod", space.name, "web")
    eventually(lambda: not space.ready("web"), 30.0)
    port = svc["spec"]["ports"][0]["nodePort"]
    asked = [(svc["spec"]["clusterIP"], 80), *((host, port) for host in INTERNAL.values())]
    (space.answer if published else space.refuse)("far", *asked)


def test_an_evicted_pod_is_no_endpoint(space: Space) -> None:
    space.service("evicted", [PORT], publishNotReadyAddresses=True)
    container = {
        "command": ["/bin/sh", "-c", "dd if=/dev/zero of=file bs=1M count=10; exec sleep 1000"],
        "args": [],
        "resources": {"limits": {"ephemeral-storage": "5Mi"}},
    }
    space.pod("evicted", labels={"app": "evicted"}, wait=False, container=container)
    eventually(lambda: space.get("Pod", "evicted")["status"].get("reason") == "Evicted", 60.0)
    assert space.get("Pod", "evicted")["status"]["phase"] == "Failed"
    space.serving("evicted", {})
    (one,) = space.slices("evicted")
    assert not one.get("endpoints")
    connect = "/agnhost connect --timeout=3s evicted:80"
    eventually(lambda: space.ready("near"))
    eventually(lambda: "REFUSED" in space.run("near", connect).stdout)
