"""Which objects of a lab some checks are about."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Target
from netlab.pathcheck.needed import _FEW, Needed, needed

DNS = "kube-system/kube-dns"
BOX = Sender("pod", "box")


def check(target: Target, sender: Sender = BOX, **expect: object) -> PathCheck:
    return PathCheck("it", sender, target, replace(Expectation(), **expect))


def behind(*pods: str | None):
    """Slices of any Service, with an endpoint for each of these pods; None has no name."""
    of = [{"kind": "Pod", "namespace": "default", "name": pod} if pod else None for pod in pods]
    endpoints = [{"addresses": ["10.244.1.1"], **({"targetRef": r} if r else {})} for r in of]
    return lambda _: [{"metadata": {"name": "x"}, "endpoints": endpoints}]


def test_a_service_is_needed_with_the_pods_behind_it():
    found = needed([check(Target(service="web"))], behind("one", "two"))
    pods = {"default/box", "default/one", "default/two"}
    assert found == Needed(frozenset(pods), frozenset({"default/web", DNS}))


def test_so_is_a_pod_that_is_asked_or_asks_but_no_machine():
    client, node = Sender("client", "client"), Target(node="worker", service="web")
    found = needed([check(Target(pod="web-2", port=80)), check(node, client)], behind())
    assert found is not None
    assert found.pods == {"default/box", "default/web-2"}
    assert found.services == {"default/web", DNS}


@pytest.mark.parametrize(
    "any_",
    [
        check(Target(address="10.244.1.1", port=80)),
        check(Target(node="worker", node_port=30080)),
        check(Target(node="worker", host_port=8080)),
        check(Target(service="web"), Sender("deployment", "box")),
        check(Target(service="web"), endpoints=("web-3",)),
    ],
)
def test_what_no_name_tells_may_be_any(any_):
    assert needed([any_], behind("one")) is None


def test_so_may_an_endpoint_of_nobody_known():
    assert needed([check(Target(service="web"))], behind("one", None)) is None


def test_many_are_not_asked_for_one_by_one():
    many = [f"pod-{number}" for number in range(_FEW + 2)]
    assert needed([check(Target(service="web"))], behind(*many)) is None
    assert needed([check(Target(service="web"))] * (_FEW + 1), behind("one")) is None
