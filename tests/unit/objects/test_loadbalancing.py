"""Which node answers for a load balancer's addresses."""

from __future__ import annotations

from collections import Counter

import pytest

from netlab.objects.loadbalancing import EXCLUDED, announcing_node, requested_ips, sharing


def node(name, ready="True", **labels):
    conditions = [{"type": "Ready", "status": ready}]
    return {"metadata": {"name": name, "labels": labels}, "status": {"conditions": conditions}}


def service(*ips, **spec):
    return {
        "metadata": {"name": "lb", "namespace": "default"},
        "spec": {"type": "LoadBalancer", **spec},
        "status": {"loadBalancer": {"ingress": [{"ip": ip} for ip in ips]}},
    }


def slices(**conditions):
    """An endpoint on each named node, in these conditions."""
    endpoints = [{"nodeName": name, "conditions": one} for name, one in conditions.items()]
    return [{"metadata": {"name": "s"}, "endpoints": endpoints}]


NODES = [node(name) for name in ("n1", "n2", "n3")]
VIP = "172.16.110.200"
READY, NOT_READY = {"ready": True, "serving": True}, {"ready": False, "serving": False}
TERMINATING = {"ready": False, "serving": True, "terminating": True}


SERVED = slices(elsewhere=READY)


@pytest.mark.parametrize("unserved", [[], slices(), slices(n1=NOT_READY)])
@pytest.mark.parametrize("policy", ["Cluster", "Local"])
def test_nobody_answers_without_an_endpoint_that_serves(unserved, policy):
    assert announcing_node(service(VIP, externalTrafficPolicy=policy), NODES, unserved) is None


@pytest.mark.parametrize("conditions", [READY, TERMINATING, {}, {"ready": True}])
def test_any_endpoint_that_serves_will_do_wherever_it_is(conditions):
    chosen = announcing_node(service(VIP), NODES, slices(elsewhere=conditions))
    assert chosen == announcing_node(service(VIP), NODES, SERVED) is not None


def test_of_unready_addresses_that_are_published_their_readiness_counts():
    published = slices(n1={"ready": True, "serving": False})
    assert announcing_node(service(VIP), NODES, published) is None
    wanted = service(VIP, publishNotReadyAddresses=True, externalTrafficPolicy="Local")
    assert announcing_node(wanted, NODES, published) == "n1"


def test_the_same_one_whatever_their_order():
    chosen = announcing_node(service(VIP), NODES, SERVED)
    assert chosen in ("n1", "n2", "n3")
    assert announcing_node(service(VIP), NODES[::-1], slices(n1=NOT_READY, n2=READY)) == chosen


def test_many_addresses_are_spread_and_stay_where_they_are():
    vips = [f"172.16.{third}.{last}" for third in range(4) for last in range(250)]
    before = {vip: announcing_node(service(vip), NODES, SERVED) for vip in vips}
    assert all(270 < count < 400 for count in Counter(before.values()).values())
    after = {vip: announcing_node(service(vip), NODES[:2], SERVED) for vip in vips}
    assert all(after[vip] == name for vip, name in before.items() if name != "n3")


def test_only_ready_nodes_that_are_not_excluded():
    nodes = [node("n1", ready="False"), node("n2", **{EXCLUDED: ""}), node("n3")]
    assert announcing_node(service(VIP), nodes, SERVED) == "n3"
    assert announcing_node(service(VIP), nodes[:2], SERVED) is None


@pytest.mark.parametrize(
    ("endpoints", "chosen"),
    [
        ({"n1": READY, "n2": NOT_READY}, "n1"),
        ({"n2": READY, "n1": TERMINATING}, "n2"),
        ({"n1": READY, "n2": TERMINATING}, "n2"),
        ({"n3": TERMINATING, "n1": NOT_READY}, "n3"),
        ({"n2": {}}, "n2"),
        ({"n2": NOT_READY}, None),
        ({"elsewhere": READY}, None),
        ({}, None),
    ],
)
def test_policy_local_wants_an_endpoint_there(endpoints, chosen):
    local = service(VIP, externalTrafficPolicy="Local")
    assert announcing_node(local, NODES, slices(**endpoints)) == chosen


def test_nobody_for_what_is_not_ours():
    assert announcing_node(service(), NODES, SERVED) is None
    assert announcing_node(service(VIP, type="NodePort"), NODES, SERVED) is None
    assert announcing_node(service(VIP, loadBalancerClass="example.com/x"), NODES, SERVED) is None


def test_an_address_may_be_asked_for_in_two_ways():
    asked = service(loadBalancerIP="10.0.0.1")
    assert requested_ips(asked) == ("10.0.0.1",)
    asked["metadata"]["annotations"] = {"metallb.io/loadBalancerIPs": "10.0.0.2, fd00::2"}
    assert requested_ips(asked) == ("10.0.0.2", "fd00::2")
    assert requested_ips(service()) == requested_ips(service(loadBalancerIP="")) == ()


def with_key(key, **spec):
    shared = service(**spec)
    shared["metadata"]["annotations"] = {"metallb.io/allow-shared-ip": key}
    return sharing(shared)


def test_who_shares_an_address_with_whom():
    plain = with_key("k", ports=[{"port": 80}])
    assert plain.may_join(with_key("k", selector={"a": "b"}))
    assert not plain.may_join(with_key("other"))
    assert not with_key("").may_join(with_key(""))
    local = with_key("k", externalTrafficPolicy="Local", selector={"a": "b", "c": "d"})
    assert not plain.may_join(local)
    same, other = {"c": "d", "a": "b"}, {"a": "b"}
    assert local.may_join(with_key("k", externalTrafficPolicy="Local", selector=same))
    assert not local.may_join(with_key("k", externalTrafficPolicy="Local", selector=other))
    assert plain.ports == {"TCP/80"}
