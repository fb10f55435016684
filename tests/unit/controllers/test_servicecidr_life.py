"""ServiceCIDRs become ready, and stay while Services need them; addresses come back."""

from __future__ import annotations

import asyncio
from typing import Any

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
