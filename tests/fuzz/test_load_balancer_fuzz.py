"""Whatever Services come, go and ask for: no address twice, none idle while somebody waits."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.errors import AlreadyExists, NotFound
from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips, requested_ips
from netlab.objects.pools import address_range

_PATH = Path(__file__).parents[1] / "unit" / "controllers" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("controllers_balanced", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

POOL = address_range("172.16.110.200-172.16.110.202")
OUTSIDE = "203.0.113.7"

name = st.sampled_from(["s1", "s2", "s3", "s4", "s5"])
address = st.sampled_from([*POOL, OUTSIDE])
type_ = st.sampled_from(["LoadBalancer", "LoadBalancer", "ClusterIP"])
actions = st.one_of(
    st.tuples(st.just("create"), name, type_),
    st.tuples(st.just("delete"), name),
    st.tuples(st.just("change"), name, type_),
    st.tuples(st.just("ask"), name, st.none() | address),
    st.tuples(st.just("stamp"), name, address),
)


async def act(c, action):
    match action:
        case ("create", name, type_):
            await c.create(make.service(name, type=type_))
        case ("delete", name):
            await c.delete("Service", name)
        case ("change", name, type_):
            await c.patch("Service", name, {"spec": {"type": type_}})
        case ("ask", name, ip):
            await c.patch("Service", name, {"spec": {"loadBalancerIP": ip}})
        case ("stamp", name, ip):
            status = {"status": {"loadBalancer": {"ingress": [{"ip": ip}]}}}
            await c.api.patch("Service", "default", name, status, subresource="status")


async def holders(c):
    return {meta.name(one): ingress_ips(one) for one in await c.list("Service")}


def assert_kept(before, after, burst):
    """Whoever has an address and was left alone still has it."""
    touched = {action[1] for action in burst}
    if not any(action[0] == "stamp" for action in burst):
        for name, ips in before.items():
            assert name in touched or not ips or after[name] == ips


def assert_fair(services):
    held = [ip for one in services for ip in ingress_ips(one)]
    assert len(set(held)) == len(held) and set(held) <= set(POOL)
    for one in services:
        if meta.spec(one)["type"] != "LoadBalancer":
            assert ingress_ips(one) == ()
        elif asked := requested_ips(one):
            waits = OUTSIDE in asked or asked[0] in held
            assert ingress_ips(one) == asked or (waits and ingress_ips(one) == ())
        else:
            assert ingress_ips(one) or set(held) == set(POOL)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(actions, min_size=1, max_size=5), min_size=1, max_size=6))
async def test_addresses_are_shared_out(bursts):
    async with make.new_cluster(pools=[POOL]) as c:
        for burst in bursts:
            before = await holders(c)
            for action in burst:
                with contextlib.suppress(NotFound, AlreadyExists):
                    await act(c, action)
            await c.settle()
            assert_kept(before, await holders(c), burst)
        assert_fair(await c.list("Service"))
