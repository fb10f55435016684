"""Addresses of Services of type LoadBalancer: given, kept, asked for, given back, waited for."""

import asyncio

import pytest

from netlab.client.informer import Informers
from netlab.client.inprocess import InProcessApi
from netlab.controllers.manager import start_controllers
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.pools import address_range

POOLS = (address_range("172.16.110.200-172.16.110.202"), address_range("fd00:172:16:110::200/127"))
A, B, C = "172.16.110.200", "172.16.110.201", "172.16.110.202"
V6 = "fd00:172:16:110::200"


@pytest.fixture
async def cluster(make):
    """One where there are three addresses to give, and two of IPv6."""
    async with make.cluster(pools=POOLS) as cluster:
        yield cluster


def balanced(make, name="lb", **spec):
    return make.service(name, type="LoadBalancer", **spec)


async def addresses(c, name="lb"):
    return ingress_ips(await c.get("Service", name))


async def give(c, name, *ips):
    """Write a status by hand, as somebody may."""
    status = {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}}
    await c.api.patch("Service", "default", name, {"status": status}, subresource="status")


async def said(c, reason):
    return [(meta.name(e)[:2], e["type"], e["message"]) for e in await c.events(reason)]


async def test_each_service_gets_the_lowest_free_address(cluster, make):
    await cluster.create(balanced(make, "s1"), balanced(make, "s2"), make.service("plain"))
    await cluster.settle()
    status = (await cluster.get("Service", "s1"))["status"]
    assert status == {"loadBalancer": {"ingress": [{"ip": A, "ipMode": "VIP"}]}}
    assert await addresses(cluster, "s2") == (B,)
    assert await addresses(cluster, "plain") == ()
    assert await said(cluster, "IPAllocated") == [
        ("s1", "Normal", f'Assigned IP ["{A}"]'),
        ("s2", "Normal", f'Assigned IP ["{B}"]'),
    ]


async def test_one_too_many_waits_until_another_goes(cluster, make):
    for name in ("s1", "s2", "s3", "s4", "s5"):
        await cluster.create(balanced(make, name))
        await cluster.settle()
    assert await addresses(cluster, "s4") == await addresses(cluster, "s5") == ()
    assert ("s4", "Warning", 'Failed to allocate IP for "default/s4": no available IPs') in (
        await said(cluster, "AllocationFailed")
    )
    await cluster.delete("Service", "s2")
    await cluster.settle()
    assert (await addresses(cluster, "s4"), await addresses(cluster, "s5")) == ((B,), ())
    assert [await addresses(cluster, one) for one in ("s1", "s3")] == [(A,), (C,)]


async def test_an_update_keeps_the_address_and_another_type_gives_it_back(cluster, make):
    await cluster.create(balanced(make))
    await cluster.settle()
    await cluster.patch("Service", "lb", {"spec": {"sessionAffinity": "ClientIP"}})
    await cluster.settle()
    assert await addresses(cluster) == (A,)
    await cluster.patch("Service", "lb", {"spec": {"type": "NodePort"}})
    await cluster.settle()
    assert (await cluster.get("Service", "lb"))["status"] == {"loadBalancer": {}}
    await cluster.create(balanced(make, "next"))
    await cluster.settle()
    assert await addresses(cluster, "next") == (A,)


async def test_an_address_asked_for_is_given_if_it_can_be(cluster, make):
    await cluster.create(balanced(make, "mine", loadBalancerIP=B))
    other = balanced(make, "late")
    other["metadata"]["annotations"] = {"metallb.io/loadBalancerIPs": B}
    await cluster.create(other, balanced(make, "far", loadBalancerIP="172.16.110.9"))
    await cluster.create(balanced(make, "odd", loadBalancerIP="anything"))
    await cluster.create(balanced(make, "v6", loadBalancerIP=V6))
    await cluster.settle()
    assert await addresses(cluster, "mine") == (B,)
    assert sorted(message for _, _, message in await said(cluster, "AllocationFailed")) == [
        'Failed to allocate IP for "default/far": ["172.16.110.9"] is not allowed in config',
        'Failed to allocate IP for "default/late": can\'t change sharing key for '
        '"default/late", address also in use by default/mine',
        'Failed to allocate IP for "default/odd": invalid loadBalancerIP "anything"',
        f'Failed to allocate IP for "default/v6": requested loadBalancer IP(s) ["{V6}"] '
        "does not match the ipFamily of the service",
    ]
    await cluster.patch("Service", "mine", {"spec": {"loadBalancerIP": C}})
    await cluster.settle()
    assert (await addresses(cluster, "mine"), await addresses(cluster, "late")) == ((C,), (B,))


async def test_a_service_of_a_class_is_somebody_else_s(cluster, make):
    await cluster.create(balanced(make, loadBalancerClass="example.com/lb"))
    await cluster.settle()
    assert await addresses(cluster) == ()
    await give(cluster, "lb", "203.0.113.7")
    await cluster.settle()
    assert await addresses(cluster) == ("203.0.113.7",)


async def test_no_two_services_keep_one_address(cluster, make):
    await cluster.create(balanced(make, "s1"), balanced(make, "s2"))
    await cluster.settle()
    await give(cluster, "s2", A)
    await cluster.settle()
    assert (await addresses(cluster, "s1"), await addresses(cluster, "s2")) == ((A,), (B,))


async def test_an_address_that_is_in_no_pool_is_replaced(cluster, make):
    await cluster.create(balanced(make))
    await cluster.settle()
    await give(cluster, "lb", "203.0.113.7")
    await cluster.settle()
    assert await addresses(cluster) == (A,)


async def test_one_address_of_each_family(make):
    async with make.cluster(pools=POOLS, podCIDR="10.244.0.0/16,fd00:10:244::/56") as cluster:
        both = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}
        await cluster.create(balanced(make, "s1", **both), balanced(make, "s2"))
        await cluster.settle()
        assert await addresses(cluster, "s1") == (V6, A)
        assert await addresses(cluster, "s2") == (B,)
        await cluster.patch("Service", "s2", {"spec": {"ipFamilyPolicy": "PreferDualStack"}})
        await cluster.settle()
        assert await addresses(cluster, "s2") == (B, V6[:-1] + "1")
        await cluster.create(balanced(make, "s3", **both))
        await cluster.settle()
        assert (
            await addresses(cluster, "s3") == ()
        )  # there is no IPv6 left: nothing is given by halves
        await cluster.patch("Service", "s2", {"spec": {"ipFamilyPolicy": "SingleStack"}})
        await cluster.patch("Service", "s2", {"spec": {"ipFamilies": ["IPv4"], "clusterIPs": None}})
        await cluster.settle()
        assert (await addresses(cluster, "s2"), await addresses(cluster, "s3")) == (
            (B,),
            (V6[:-1] + "1", C),
        )


async def test_a_preferred_family_that_no_pool_has_is_done_without(make):
    async with make.cluster(pools=POOLS[:1], podCIDR="10.244.0.0/16,fd00:10:244::/56") as cluster:
        for policy in ("PreferDualStack", "RequireDualStack"):
            await cluster.create(balanced(make, policy[:3].lower(), ipFamilyPolicy=policy))
        await cluster.settle()
        assert (await addresses(cluster, "pre"), await addresses(cluster, "req")) == ((A,), ())


async def test_a_controller_started_anew_goes_on_from_the_statuses(cluster, make):
    await cluster.create(*(balanced(make, name) for name in ("s1", "s2", "s3", "s4")))
    await cluster.settle()
    await cluster.delete("Service", "s1")
    before = {name: await addresses(cluster, name) for name in ("s2", "s3")}
    await cluster.running.stop()
    api = InProcessApi(cluster.registry)
    again = await start_controllers(api, Informers(api), load_balancer_pools=POOLS)
    async with asyncio.timeout(5):
        await again.wait_idle()
    assert {name: await addresses(cluster, name) for name in before} == before
    assert await addresses(cluster, "s4") == (A,)
    await again.stop()


async def test_without_pools_they_stay_pending(make):
    async with make.cluster() as cluster:
        await cluster.create(balanced(make))
        await cluster.settle()
        assert (await cluster.get("Service", "lb"))["status"] == {"loadBalancer": {}}
        assert await cluster.events("AllocationFailed") == []


SHARED = {"metallb.io/allow-shared-ip": "one"}


def sharing(make, name, port, **spec):
    service = balanced(make, name, ports=[{"port": port}], **spec)
    service["metadata"]["annotations"] = dict(SHARED)
    return service


async def test_services_with_one_key_have_one_address(cluster, make):
    await cluster.create(balanced(make, "own"), sharing(make, "s1", 80), sharing(make, "s2", 81))
    await cluster.settle()
    await cluster.create(sharing(make, "s3", 80), sharing(make, "s4", 82, loadBalancerIP=B))
    await cluster.settle()
    found = [(name, await addresses(cluster, name)) for name in ("own", "s1", "s2", "s3", "s4")]
    assert found == [("own", (A,)), ("s1", (B,)), ("s2", (B,)), ("s3", (C,)), ("s4", (B,))]


async def test_who_may_not_share_an_address_is_told_why(cluster, make):
    await cluster.create(sharing(make, "s1", 80, loadBalancerIP=A))
    await cluster.create(sharing(make, "s2", 80, loadBalancerIP=A))
    await cluster.create(sharing(make, "s3", 81, loadBalancerIP=A, externalTrafficPolicy="Local"))
    await cluster.settle()
    assert [await addresses(cluster, name) for name in ("s1", "s2", "s3")] == [(A,), (), ()]
    assert sorted(message for _, _, message in await said(cluster, "AllocationFailed")) == [
        f'Failed to allocate IP for "default/s2": port TCP/80 is already in use on "{A}"',
        'Failed to allocate IP for "default/s3": can\'t change sharing key for "default/s3", '
        "address also in use by default/s1",
    ]
    await cluster.patch("Service", "s3", {"spec": {"externalTrafficPolicy": "Cluster"}})
    await cluster.settle()
    assert await addresses(cluster, "s3") == (A,)


async def test_who_shares_no_longer_goes(cluster, make):
    await cluster.create(sharing(make, "s1", 80))
    await cluster.settle()
    await cluster.create(sharing(make, "s2", 81))
    await cluster.settle()
    assert (await addresses(cluster, "s1"), await addresses(cluster, "s2")) == ((A,), (A,))
    other = {"metadata": {"annotations": {"metallb.io/allow-shared-ip": "two"}}}
    await cluster.patch("Service", "s1", other)
    await cluster.settle()
    assert {await addresses(cluster, "s1"), await addresses(cluster, "s2")} == {(A,), (B,)}


async def test_those_who_share_are_adopted_as_they_are(make):
    async with make.cluster(pools=POOLS) as cluster:
        await cluster.create(sharing(make, "s1", 80), sharing(make, "s2", 81))
        await cluster.settle()
        for name in ("s1", "s2"):
            await cluster.patch("Service", name, {"metadata": {"labels": {"x": "y"}}})
        await cluster.settle()
        assert (await addresses(cluster, "s1"), await addresses(cluster, "s2")) == ((A,), (A,))
