"""Addresses of Services of type LoadBalancer: given, kept, asked for, given back, waited for."""

import asyncio
import functools

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
def balancing(in_cluster):
    """Runs a scenario where there are three addresses to give, and two of IPv6."""
    return functools.partial(in_cluster, pools=POOLS)


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


def test_each_service_gets_the_lowest_free_address(balancing, make):
    async def scenario(c):
        await c.create(balanced(make, "s1"), balanced(make, "s2"), make.service("plain"))
        await c.settle()
        status = (await c.get("Service", "s1"))["status"]
        assert status == {"loadBalancer": {"ingress": [{"ip": A, "ipMode": "VIP"}]}}
        assert await addresses(c, "s2") == (B,)
        assert await addresses(c, "plain") == ()
        assert await said(c, "IPAllocated") == [
            ("s1", "Normal", f'Assigned IP ["{A}"]'),
            ("s2", "Normal", f'Assigned IP ["{B}"]'),
        ]

    balancing(scenario)


def test_one_too_many_waits_until_another_goes(balancing, make):
    async def scenario(c):
        for name in ("s1", "s2", "s3", "s4", "s5"):
            await c.create(balanced(make, name))
            await c.settle()
        assert await addresses(c, "s4") == await addresses(c, "s5") == ()
        assert ("s4", "Warning", 'Failed to allocate IP for "default/s4": no available IPs') in (
            await said(c, "AllocationFailed")
        )
        await c.delete("Service", "s2")
        await c.settle()
        assert (await addresses(c, "s4"), await addresses(c, "s5")) == ((B,), ())
        assert [await addresses(c, one) for one in ("s1", "s3")] == [(A,), (C,)]

    balancing(scenario)


def test_an_update_keeps_the_address_and_another_type_gives_it_back(balancing, make):
    async def scenario(c):
        await c.create(balanced(make))
        await c.settle()
        await c.patch("Service", "lb", {"spec": {"sessionAffinity": "ClientIP"}})
        await c.settle()
        assert await addresses(c) == (A,)
        await c.patch("Service", "lb", {"spec": {"type": "NodePort"}})
        await c.settle()
        assert (await c.get("Service", "lb"))["status"] == {"loadBalancer": {}}
        await c.create(balanced(make, "next"))
        await c.settle()
        assert await addresses(c, "next") == (A,)

    balancing(scenario)


def test_an_address_asked_for_is_given_if_it_can_be(balancing, make):
    async def scenario(c):
        await c.create(balanced(make, "mine", loadBalancerIP=B))
        other = balanced(make, "late")
        other["metadata"]["annotations"] = {"metallb.io/loadBalancerIPs": B}
        await c.create(other, balanced(make, "far", loadBalancerIP="172.16.110.9"))
        await c.create(balanced(make, "odd", loadBalancerIP="anything"))
        await c.create(balanced(make, "v6", loadBalancerIP=V6))
        await c.settle()
        assert await addresses(c, "mine") == (B,)
        assert sorted(message for _, _, message in await said(c, "AllocationFailed")) == [
            'Failed to allocate IP for "default/far": ["172.16.110.9"] is not allowed in config',
            'Failed to allocate IP for "default/late": can\'t change sharing key for '
            '"default/late", address also in use by default/mine',
            'Failed to allocate IP for "default/odd": invalid loadBalancerIP "anything"',
            f'Failed to allocate IP for "default/v6": requested loadBalancer IP(s) ["{V6}"] '
            "does not match the ipFamily of the service",
        ]
        await c.patch("Service", "mine", {"spec": {"loadBalancerIP": C}})
        await c.settle()
        assert (await addresses(c, "mine"), await addresses(c, "late")) == ((C,), (B,))

    balancing(scenario)


def test_a_service_of_a_class_is_somebody_else_s(balancing, make):
    async def scenario(c):
        await c.create(balanced(make, loadBalancerClass="example.com/lb"))
        await c.settle()
        assert await addresses(c) == ()
        await give(c, "lb", "203.0.113.7")
        await c.settle()
        assert await addresses(c) == ("203.0.113.7",)

    balancing(scenario)


def test_no_two_services_keep_one_address(balancing, make):
    async def scenario(c):
        await c.create(balanced(make, "s1"), balanced(make, "s2"))
        await c.settle()
        await give(c, "s2", A)
        await c.settle()
        assert (await addresses(c, "s1"), await addresses(c, "s2")) == ((A,), (B,))

    balancing(scenario)


def test_an_address_that_is_in_no_pool_is_replaced(balancing, make):
    async def scenario(c):
        await c.create(balanced(make))
        await c.settle()
        await give(c, "lb", "203.0.113.7")
        await c.settle()
        assert await addresses(c) == (A,)

    balancing(scenario)


def test_one_address_of_each_family(balancing, make):
    async def scenario(c):
        both = {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6", "IPv4"]}
        await c.create(balanced(make, "s1", **both), balanced(make, "s2"))
        await c.settle()
        assert await addresses(c, "s1") == (V6, A)
        assert await addresses(c, "s2") == (B,)
        await c.patch("Service", "s2", {"spec": {"ipFamilyPolicy": "PreferDualStack"}})
        await c.settle()
        assert await addresses(c, "s2") == (B, V6[:-1] + "1")
        await c.create(balanced(make, "s3", **both))
        await c.settle()
        assert await addresses(c, "s3") == ()  # there is no IPv6 left: nothing is given by halves
        await c.patch("Service", "s2", {"spec": {"ipFamilyPolicy": "SingleStack"}})
        await c.patch("Service", "s2", {"spec": {"ipFamilies": ["IPv4"], "clusterIPs": None}})
        await c.settle()
        assert (await addresses(c, "s2"), await addresses(c, "s3")) == ((B,), (V6[:-1] + "1", C))

    balancing(scenario, podCIDR="10.244.0.0/16,fd00:10:244::/56")


def test_a_preferred_family_that_no_pool_has_is_done_without(in_cluster, make):
    async def scenario(c):
        for policy in ("PreferDualStack", "RequireDualStack"):
            await c.create(balanced(make, policy[:3].lower(), ipFamilyPolicy=policy))
        await c.settle()
        assert (await addresses(c, "pre"), await addresses(c, "req")) == ((A,), ())

    in_cluster(scenario, pools=POOLS[:1], podCIDR="10.244.0.0/16,fd00:10:244::/56")


def test_a_controller_started_anew_goes_on_from_the_statuses(balancing, make):
    async def scenario(c):
        await c.create(*(balanced(make, name) for name in ("s1", "s2", "s3", "s4")))
        await c.settle()
        await c.delete("Service", "s1")
        before = {name: await addresses(c, name) for name in ("s2", "s3")}
        await c.running.stop()
        api = InProcessApi(c.registry)
        again = await start_controllers(api, Informers(api), load_balancer_pools=POOLS)
        async with asyncio.timeout(5):
            await again.wait_idle()
        assert {name: await addresses(c, name) for name in before} == before
        assert await addresses(c, "s4") == (A,)
        await again.stop()

    balancing(scenario)


def test_without_pools_they_stay_pending(in_cluster, make):
    async def scenario(c):
        await c.create(balanced(make))
        await c.settle()
        assert (await c.get("Service", "lb"))["status"] == {"loadBalancer": {}}
        assert await c.events("AllocationFailed") == []

    in_cluster(scenario)
