"""By which names and addresses a pod may be asked for over TLS."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from netlab.agents.certificates import ClusterNames, PodCertificates, names_of
from netlab.agents.podrun import PodRun, new_run
from netlab.workload.certificate import SubjectNames

API = ClusterNames(
    "cluster.local",
    frozenset(("kubernetes", "kubernetes.default", "10.96.0.1", "10.10.11.10", "172.16.110.10")),
    frozenset((("10.96.0.1", 443), ("10.10.11.10", 6443), ("172.16.110.10", 6443))),
)
NODE: Any = {
    "kind": "Node",
    "metadata": {"name": "master001"},
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.10.11.10"},
            {"type": "ExternalIP", "address": "172.16.110.10"},
            {"type": "Hostname", "address": "master001"},
        ]
    },
}


def run(**spec: object) -> PodRun:
    metadata = {"name": "web-0", "namespace": "shop", "uid": "u", "labels": {"app": "web"}}
    spec = {"containers": [{"name": "c", "image": "nginx"}], **spec}
    pod: Any = {"metadata": metadata, "spec": spec}
    return new_run(pod, "w1", ("10.244.0.2", "fd00::2"), Path("/n"), Path("/d"))


def service(name: str, namespace: str = "shop", **spec: object) -> Any:
    said = {"selector": {"app": "web"}, "clusterIPs": ["10.96.0.7"], **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": said}


def names(*services: Any, **spec: object) -> set[str]:
    found = names_of(run(**spec), services, [NODE], API)
    return {*found.names, *found.addresses}


OWN = {"web-0", "localhost", "127.0.0.1", "::1", "10.244.0.2", "fd00::2"}
OWN |= {"10-244-0-2.shop.pod.cluster.local", "fd00--2.shop.pod.cluster.local"}
WEB = {"web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "10.96.0.7"}


def test_a_pod_alone_has_its_own() -> None:
    assert names() == OWN
    assert names_of(run(), [], [], API).names[0] == "web-0"


def test_services_that_select_it_add_theirs() -> None:
    assert names(service("web")) == OWN | WEB
    others = [
        service("other", selector={"app": "db"}),
        service("web", namespace="elsewhere"),
        service("outside", selector=None),
    ]
    assert names(*others) == OWN


def test_from_outside_it_is_reached_by_nodes_and_balancers() -> None:
    balanced = service("web", type="LoadBalancer", externalIPs=["192.0.2.1"])
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "172.16.110.200"}]}}
    nodes = {"10.10.11.10", "172.16.110.10"}
    assert names(balanced) == OWN | WEB | nodes | {"192.0.2.1", "172.16.110.200"}
    assert names(service("web", type="NodePort")) == OWN | WEB | nodes


def test_behind_a_headless_service_it_has_a_name_of_its_own() -> None:
    headless = service("web", clusterIPs=["None"])
    found = names(headless, hostname="web-0", subdomain="web")
    assert "web-0.web.shop.svc.cluster.local" in found
    assert "None" not in found


def test_a_short_name_that_others_have_is_nobodys() -> None:
    """Who asks for it in his own namespace means his own."""
    elsewhere = service("web", namespace="elsewhere", clusterIPs=["10.96.0.9"])
    assert names(service("web"), elsewhere) == (OWN | WEB) - {"web"}
    outside = service("web", namespace="elsewhere", type="ExternalName", selector=None)
    assert names(service("web"), outside) == (OWN | WEB) - {"web"}


@pytest.mark.parametrize(
    ("spec", "other"),
    [
        ({"hostname": "payments"}, service("payments", namespace="bank")),
        ({"hostname": "payments"}, service("payments", selector={"app": "db"})),
        ({"hostname": "payments", "subdomain": "bank"}, service("payments", namespace="bank")),
    ],
)
def test_a_pod_takes_no_services_name_for_its_own(spec: Any, other: Any) -> None:
    behind = service("bank", clusterIPs=["None"])
    theirs = {f"payments{rest}" for rest in ("", f".{other['metadata']['namespace']}")}
    theirs |= {f"{name}.svc" for name in theirs if "." in name}
    assert names(behind, other, **spec).isdisjoint(theirs)
    assert "payments" in names(behind, **spec)


def test_a_pod_takes_no_nodes_name_unless_it_is_the_nodes_own() -> None:
    node = {**NODE, "metadata": {"name": "master001"}}
    assert "master001" not in names_of(run(hostname="master001"), [], [node], API).names
    own = run(hostNetwork=True, nodeName="master001")
    assert "master001" in names_of(own, [], [node], API).names


def test_a_subdomain_is_a_services_that_selects_it() -> None:
    spec = {"hostname": "web-0", "subdomain": "web"}
    assert names(**spec) == names(service("web", selector={"app": "db"}), **spec) == OWN


SHARED = "192.0.2.1"


@pytest.mark.parametrize(
    ("namespace", "age", "has_it"),
    [("bank", "2025", False), ("bank", "2027", True), ("shop", "2025", True)],
)
def test_an_address_that_two_claim_is_the_older_ones(
    namespace: str, age: str, has_it: bool
) -> None:
    ours = service("web", externalIPs=[SHARED])
    other = service("pay", namespace=namespace, selector={"app": "db"}, externalIPs=[SHARED])
    ours["metadata"]["creationTimestamp"] = "2026"
    other["metadata"]["creationTimestamp"] = age
    assert (SHARED in names(ours, other)) is has_it


@pytest.mark.parametrize("address", ["10.96.0.9", "10.244.1.9", "172.16.110.100", "172.16.110.1"])
def test_no_external_address_is_one_that_is_somebodys(address: str) -> None:
    """Of a Service, of a pod, of a client, of the way to the internet."""
    cluster = replace(
        API,
        networks=("10.244.0.0/16", "10.96.0.0/12", "fd00::/64"),
        outsiders=frozenset(("172.16.110.100", "172.16.110.1")),
    )
    posing = service("web", externalIPs=[address, SHARED])
    found = names_of(run(), [posing], [NODE], cluster).addresses
    assert address not in found and SHARED in found


@pytest.mark.parametrize(
    ("address", "port"), [("10.96.0.1", 443), ("10.10.11.10", 6443), ("172.16.110.10", 6443)]
)
@pytest.mark.parametrize("how", ["externalIPs", "loadBalancer", "clusterIPs", "somebody else's"])
def test_what_poses_as_the_api_is_not_vouched_for(address: str, port: int, how: str) -> None:
    theirs = {"10.96.0.1", "10.10.11.10", "172.16.110.10", "kubernetes"}
    posing = service("posing", type="NodePort", ports=[{"port": 80}, {"port": port}])
    if how == "loadBalancer":
        posing["status"] = {"loadBalancer": {"ingress": [{"ip": address}]}}
    else:
        posing["spec"]["clusterIPs" if how == "clusterIPs" else "externalIPs"] = [address]
    if how == "somebody else's":
        posing["spec"]["selector"] = None
    assert names(posing, service("web", type="NodePort"), hostname="kubernetes").isdisjoint(theirs)


def test_nor_is_what_poses_as_a_control_plane_that_joined_later() -> None:
    late: Any = {
        "kind": "Node",
        "metadata": {"name": "master002", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.10.11.20"}]},
    }
    posing = service("master002", externalIPs=["10.10.11.20"], ports=[{"port": 6443}])
    found = names_of(run(), [posing], [NODE, late], API)
    assert not {"master002", "10.10.11.20"} & {*found.names, *found.addresses}
    assert "master002" in names_of(run(), [posing], [NODE], API).names


def test_a_service_beside_the_api_is_vouched_for() -> None:
    own = service("kubernetes", "default", selector=None, clusterIPs=["10.96.0.1"])
    own["spec"]["ports"] = [{"port": 443}]
    beside = service("web", externalIPs=["172.16.110.10"], ports=[{"port": 443}])
    assert "172.16.110.10" in names(own, beside)


# -- when a certificate is made anew --------------------------------------------------------------


class Signer:
    def __init__(self) -> None:
        self.issued: list[SubjectNames] = []

    def issue(self, names: SubjectNames) -> str:
        self.issued.append(names)
        return "pem of " + names.names[0]


class Keeper:
    """A responder, as far as it is told of certificates."""

    def __init__(self) -> None:
        self.client = self
        self.certified: list[dict[str, str]] = []

    async def reached(self, call: Any) -> Any:
        return await call()

    async def certify(self, certificates: dict[str, str]) -> None:
        self.certified.append(certificates)


class Objects:
    """The informers of one kind and of all: what there is, and who listens."""

    def __init__(self) -> None:
        self.there: list[Any] = []
        self.listeners: list[Any] = []

    def __getitem__(self, kind: str) -> Any:
        return self if kind == "Service" else Objects()

    def add_listener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def items(self) -> list[Any]:
        return self.there

    def come(self, obj: Any) -> None:
        self.there.append(obj)
        for listener in self.listeners:
            listener(None, {"kind": "Service", **obj})


@pytest.fixture
async def parts() -> AsyncIterator[tuple[PodCertificates, Signer, Keeper, Objects]]:
    signer, keeper, objects = Signer(), Keeper(), Objects()
    made: Any = PodCertificates(signer, objects, keeper, API)  # type: ignore[arg-type]
    yield made, signer, keeper, objects
    await made.stop()


async def test_one_is_made_once_and_again_for_other_names(parts: Any, until: Any) -> None:
    certificates, signer, keeper, objects = parts
    certificates.add("u/c", run())
    pems, errors = await certificates.of(["u/c", "u/other"])
    assert (pems, errors) == ({"u/c": "pem of web-0"}, {})
    objects.come(service("other", selector={"app": "db"}))
    objects.come(service("web"))
    await until(lambda: keeper.certified)
    assert [len(names.names) for names in signer.issued] == [4, 8]
    certificates.forget(["u/c"])
    objects.come(service("third"))
    await asyncio.sleep(0.1)
    assert len(signer.issued) == 2


async def test_of_one_that_was_adopted_the_names_are_not_known(parts: Any, until: Any) -> None:
    certificates, signer, keeper, _ = parts
    certificates.add("u/c", run())
    certificates.adopt("u/c")
    certificates.adopt("plain/c")
    await until(lambda: keeper.certified == [{"u/c": "pem of web-0"}])
    assert len(signer.issued) == 1
