"""EndpointSlices and what is mirrored into them, as Kubernetes' own end-to-end tests try them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from e2e.conformance import Cluster, Space, agnhost, cluster
from e2e.labs import eventually

pytestmark = pytest.mark.root

V1 = "/apis/discovery.k8s.io/v1"
SERVICE_NAME = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("slices")) as it:
        yield it


@pytest.fixture
def space(lab: Cluster) -> Space:
    return lab.space("slices")


def test_endpoints_and_slices_point_at_the_api_server(lab: Cluster) -> None:
    default = Space(lab.shell, lab.client, "default")
    slices = default.slices("kubernetes")
    (subset,) = default.get("Endpoints", "kubernetes")["subsets"]
    by_slices = {
        (address, port["port"])
        for one in slices
        for endpoint in one["endpoints"]
        for address in endpoint["addresses"]
        for port in one["ports"]
    }
    assert by_slices == {
        (address["ip"], port["port"]) for address in subset["addresses"] for port in subset["ports"]
    }


def test_a_service_that_no_pod_matches_has_both(space: Space) -> None:
    space.service("none", [{"name": "example", "port": 80}])
    eventually(lambda: space.exists("Endpoints", "none"))
    eventually(lambda: space.slices("none"))
    (one,) = space.slices("none")
    assert one["metadata"]["labels"][MANAGED_BY] == "endpointslice-controller.k8s.io"
    assert not one.get("endpoints")
    space.delete("Service", "none")
    eventually(lambda: not space.exists("Endpoints", "none"))
    eventually(lambda: not space.slices("none"))


def test_pods_with_numbered_and_named_ports(space: Space) -> None:
    """Their containers say ports on which nobody answers."""
    for name, ports in (("pod1", {"example": 3000}), ("pod2", {"example": 3001, "other": 3002})):
        written = [{"name": name, "containerPort": port} for name, port in ports.items()]
        container = agnhost(ports=written)
        labels = {name: "on", "shared12": "on"}
        space.pod(name, labels=labels, wait=False, containers=[container])
    every: dict[str, Any] = {"publishNotReadyAddresses": True}
    for name, selector, target in (
        ("number", "pod1", 3000),
        ("named", "shared12", "example"),
        ("no-match", "pod3", 8080),
    ):
        ports = [{"name": "http", "port": 80, "targetPort": target}]
        space.service(name, ports, selector={selector: "on"}, **every)
    space.serving("number", {"pod1": [3000]})
    space.serving("named", {"pod1": [3000], "pod2": [3001]})
    space.serving("no-match", {})
    assert len(space.get("Endpoints", "named")["subsets"]) == len(space.slices("named")) == 2
    assert not space.get("Endpoints", "no-match").get("subsets")
    assert len(space.slices("no-match")) == len(space.slices("number")) == 1
    for one in space.slices("named"):
        space.client.delete("EndpointSlice", space.name, one["metadata"]["name"])
    space.serving("named", {"pod1": [3000], "pod2": [3001]})


def test_the_verbs_of_slices(space: Space) -> None:
    groups = space.client.request("GET", "/apis")["groups"]
    group = space.client.request("GET", "/apis/discovery.k8s.io")
    assert [g["versions"] for g in groups if g["name"] == group["name"]] == [group["versions"]]
    assert "v1" in [version["version"] for version in group["versions"]]
    resources = space.client.request("GET", V1)["resources"]
    assert "endpointslices" in [resource["name"] for resource in resources]

    path = f"{V1}/namespaces/{space.name}/endpointslices"
    query = {"labelSelector": f"special-label={space.name}"}
    template = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"generateName": "example-", "labels": {"special-label": space.name}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["1.2.3.4", "5.6.7.8"]}, {"addresses": ["2.2.3.4"]}],
    }
    made = [space.create(template) for _ in range(3)]
    name, uid = made[0]["metadata"]["name"], made[0]["metadata"]["uid"]
    assert space.get("EndpointSlice", name)["metadata"]["uid"] == uid
    for where in (path, f"{V1}/endpointslices"):
        assert len(space.client.request("GET", where, query=query)["items"]) == 3
    since = space.client.request("GET", path, query=query)["metadata"]["resourceVersion"]

    patch = {"metadata": {"annotations": {"patched": "true"}}}
    patched = space.client.patch("EndpointSlice", space.name, name, patch, content_type=MERGE)
    assert patched["metadata"]["annotations"] == {"patched": "true"}
    updated = space.update(
        "EndpointSlice", name, lambda one: one["endpoints"].append({"addresses": ["9.9.9.9"]})
    )
    assert len(updated["endpoints"]) == 3
    space.delete("EndpointSlice", name)
    space.client.request("DELETE", path, query=query)
    assert space.client.request("GET", path, query=query)["items"] == []
    seen = space.client.watch(
        "EndpointSlice", space.name, query={**query, "resourceVersion": since}
    )
    types = [next(seen)["type"] for _ in range(5)]
    assert types == ["MODIFIED", "MODIFIED", "DELETED", "DELETED", "DELETED"]


def two_servers(space: Space) -> str:
    """A pod with a server on 8090 and one on 9090: its address."""
    containers = [
        {**agnhost("netexec", f"--http-port={port}", f"--udp-port={port + 1}"), "name": f"c{port}"}
        for port in (8090, 9090)
    ]
    return str(space.pod("web", containers=containers)["status"]["podIP"])


PORTS = [{"name": "port80", "port": 80}, {"name": "port81", "port": 81}]


def own_slice(name: str, service: str, address: str, port: str, number: int) -> dict[str, Any]:
    """A slice that no controller wrote."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {SERVICE_NAME: service, MANAGED_BY: "e2e"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address]}],
        "ports": [{"name": port, "port": number, "protocol": "TCP"}],
    }


def test_slices_that_somebody_wrote_for_ports_and_for_addresses(space: Space) -> None:
    for name in ("ports", "addresses"):
        space.service(name, PORTS, selector=None)
    space.pod("box", wait=False)
    address = two_servers(space)
    space.pod("more", "netexec", "--http-port=8090")
    other = str(space.get("Pod", "more")["status"]["podIP"])
    for name, service, ip, port, number in (
        ("a", "ports", address, "port80", 8090),
        ("b", "ports", address, "port81", 9090),
        ("c", "addresses", address, "port80", 8090),
        ("d", "addresses", other, "port80", 8090),
    ):
        space.create(own_slice(name, service, ip, port, number))
    space.answer("box", ("ports", 80), ("ports", 81))
    eventually(lambda: space.hostnames("box", "addresses", 80) == {"web", "more"})


def test_endpoints_that_somebody_wrote_are_mirrored(space: Space) -> None:
    space.service("own", [{"port": 80}], selector=None)
    endpoints = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "own"},
        "subsets": [{"ports": [{"port": 80}], "addresses": [{"ip": "10.1.2.3"}]}],
    }

    def mirrored() -> list[tuple[str, int]]:
        return [
            (endpoint["addresses"][0], one["ports"][0]["port"])
            for one in space.slices("own")
            for endpoint in one["endpoints"]
        ]

    space.create(endpoints)
    eventually(lambda: mirrored() == [("10.1.2.3", 80)])
    (one,) = space.slices("own")
    assert one["metadata"]["labels"][MANAGED_BY] == "endpointslicemirroring-controller.k8s.io"
    addresses = [{"ip": "10.2.3.4"}]
    space.update("Endpoints", "own", lambda obj: obj["subsets"][0].update(addresses=addresses))
    eventually(lambda: mirrored() == [("10.2.3.4", 80)])
    space.delete("Endpoints", "own")
    eventually(lambda: not space.slices("own"))


def test_mirrored_subsets_of_one_address(space: Space) -> None:
    space.service("subsets", PORTS, selector=None)
    space.pod("box", wait=False)
    address = two_servers(space)
    subsets = [
        {"ports": [{"name": name, "port": port}], "addresses": [{"ip": address}]}
        for name, port in (("port80", 8090), ("port81", 9090))
    ]
    metadata = {"name": "subsets"}
    space.create(
        {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}
    )
    space.answer("box", ("subsets", 80), ("subsets", 81))
    space.delete("Endpoints", "subsets")
    eventually(lambda: not space.slices("subsets"))
    space.refuse("box", ("subsets", 80), ("subsets", 81))
