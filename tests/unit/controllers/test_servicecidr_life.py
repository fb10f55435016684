"""ServiceCIDRs become ready, and stay while Services need them; addresses come back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.controllers import servicecidr
from netlab.controllers.servicecidr import HeldAddresses
from netlab.objects import meta

HELD = "There are still IPAddresses referencing the ServiceCIDR"


def range_of(name: str, *cidrs: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
    }


async def names(cluster: Any) -> list[str]:
    return [meta.name(one) for one in await cluster.list("ServiceCIDR", None)]


async def ready(cluster: Any, name: str) -> tuple[str, str, str]:
    found = await cluster.get("ServiceCIDR", name, "")
    (condition,) = found["status"]["conditions"]
    return condition["status"], condition["reason"], condition["message"]


async def test_a_range_is_ready_and_goes_when_nobody_needs_it(cluster, make):
    await cluster.create(range_of("more", "203.0.113.0/24"))
    await cluster.settle()
    assert await ready(cluster, "more") == ("True", "", "Kubernetes Service CIDR is ready")
    found = await cluster.get("ServiceCIDR", "more", "")
    assert found["metadata"]["finalizers"] == ["networking.k8s.io/service-cidr-finalizer"]
    await cluster.delete("ServiceCIDR", "more", namespace="")
    await cluster.settle()
    assert await names(cluster) == []


async def test_a_range_whose_addresses_are_held_stays(cluster, make):
    await cluster.create(range_of("more", "203.0.113.0/24"))
    await cluster.create(make.service(clusterIP="203.0.113.9"))
    await cluster.delete("ServiceCIDR", "more", namespace="")
    await cluster.settle()
    status, reason, message = await ready(cluster, "more")
    assert (status, reason) == ("False", "Terminating") and message.startswith(HELD)
    await cluster.delete("Service", "web")
    await cluster.settle()
    assert await names(cluster) == []


async def test_a_range_goes_when_a_wider_one_has_its_addresses(cluster, make):
    await cluster.create(range_of("narrow", "203.0.113.0/25"))
    await cluster.create(make.service(clusterIP="203.0.113.9"))
    await cluster.delete("ServiceCIDR", "narrow", namespace="")
    await cluster.settle()
    assert await names(cluster) == ["narrow"]
    await cluster.create(range_of("wide", "203.0.113.0/24"))
    await cluster.settle()
    assert await names(cluster) == ["wide"]


async def test_an_address_that_was_deleted_comes_back(cluster, make):
    await cluster.create(make.service(clusterIP="10.96.0.9"))
    await cluster.settle()
    before = await cluster.get("IPAddress", "10.96.0.9", "")
    await cluster.delete("IPAddress", "10.96.0.9", namespace="")
    while not (found := await cluster.list("IPAddress", None)):
        await asyncio.sleep(0.02)
    (after,) = found
    assert meta.uid(after) != meta.uid(before) and after["spec"] == before["spec"]
    (event,) = await cluster.events("ClusterIPNotAllocated")
    assert event["message"] == "Cluster IP [IPv4]: 10.96.0.9 is not allocated; repairing"
    await cluster.delete("Service", "web")
    await cluster.settle()
    assert await cluster.list("IPAddress", None) == []


def address(name: str, parent: dict[str, str], *, is_managed: bool = True) -> dict[str, Any]:
    labels = {
        "ipaddress.kubernetes.io/ip-family": "IPv4",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": name, "labels": labels if is_managed else {}},
        "spec": {"parentRef": parent},
    }


WEB = {"resource": "services", "namespace": "default", "name": "web"}
OTHERS = [
    {"resource": "services", "namespace": "default", "name": "none"},
    {"group": "gateway.example", "resource": "gateways", "namespace": "default", "name": "web"},
]


async def parents(cluster: Any) -> dict[str, dict[str, str]]:
    found = await cluster.list("IPAddress", None)
    return {meta.name(one): one["spec"]["parentRef"] for one in found}


async def until(cluster: Any, wanted: dict[str, dict[str, str]]) -> None:
    async with asyncio.timeout(30):
        while await parents(cluster) != wanted:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("other", OTHERS)
async def test_an_address_of_a_service_says_so_again_when_somebody_has_put_another_there(
    cluster, make, other
):
    await cluster.create(make.service(clusterIP="10.96.0.9"))
    await cluster.settle()
    await cluster.delete("IPAddress", "10.96.0.9", namespace="")
    await cluster.create(address("10.96.0.9", other, is_managed=False))
    await until(cluster, {"10.96.0.9": WEB})
    (event,) = await cluster.events("ClusterIPNotAllocated")
    assert event["message"] == (
        "the ClusterIP [IPv4]: 10.96.0.9 for Service default/web has a wrong reference; repairing"
    )


async def test_an_address_of_a_service_has_its_labels_again(cluster, make):
    await cluster.create(make.service(clusterIP="10.96.0.9"))
    await cluster.settle()
    there = await cluster.get("IPAddress", "10.96.0.9", "")
    labels = dict.fromkeys(there["metadata"]["labels"])
    await cluster.patch("IPAddress", "10.96.0.9", {"metadata": {"labels": labels}}, "")
    async with asyncio.timeout(30):
        while (await cluster.list("IPAddress", None) or [{}])[0].get("metadata", {}).get(
            "labels"
        ) != there["metadata"]["labels"]:
            await asyncio.sleep(0.02)


async def test_what_says_that_the_api_server_made_it_goes_when_no_service_has_it(cluster, make):
    await cluster.create(make.service(clusterIP="10.96.0.9"))
    await cluster.create(address("10.96.0.10", OTHERS[1]))
    await cluster.create(address("10.96.0.11", OTHERS[1], is_managed=False))
    await until(cluster, {"10.96.0.9": WEB, "10.96.0.11": OTHERS[1]})
    (event,) = await cluster.events("IPAddressNotAllocated")
    assert event["message"].startswith("IPAddress 10.96.0.10 appears to have been modified")


async def test_what_leaks_goes_after_as_long_as_a_request_may_take(make, monkeypatch):
    monkeypatch.setattr(servicecidr, "_REQUEST_SECONDS", 1.5)
    async with make.cluster() as cluster:
        await cluster.create(make.service(clusterIP="10.96.0.9"))
        await cluster.create(address("10.96.0.10", OTHERS[0]), address("10.96.0.11", WEB))
        await until(cluster, {"10.96.0.9": WEB})
        (leaked,) = await cluster.events("IPAddressNotAllocated")
        assert leaked["message"] == (
            "IPAddress: 10.96.0.10 for Service default/none appears to have leaked: cleaning up"
        )
        (wrong,) = await cluster.events("IPAddressWrongReference")
        assert wrong["message"] == (
            "IPAddress: 10.96.0.11 for Service default/web has a wrong reference; cleaning up"
        )


async def test_nobody_waits_for_addresses_to_be_looked_at(cluster, make):
    began = asyncio.get_running_loop().time()
    for number in range(5):
        await cluster.create(make.service(f"web{number}"))
    queues = [one.queue for one in cluster.running.controllers if isinstance(one, HeldAddresses)]
    await cluster.settle()
    assert all(queue.is_idle() for queue in queues)
    assert asyncio.get_running_loop().time() - began < servicecidr._REQUEST_SECONDS


async def test_a_range_that_goes_is_let_go_of_when_its_last_address_is_no_services_any_more(
    cluster, make
):
    await cluster.create(range_of("more", "203.0.113.0/24"))
    await cluster.create(address("203.0.113.9", OTHERS[0]))
    await cluster.delete("ServiceCIDR", "more", namespace="")
    await cluster.settle()
    assert await names(cluster) == ["more"]
    labels = {"ipaddress.kubernetes.io/managed-by": None}
    await cluster.patch("IPAddress", "203.0.113.9", {"metadata": {"labels": labels}}, "")
    await cluster.settle()
    assert await names(cluster) == []
