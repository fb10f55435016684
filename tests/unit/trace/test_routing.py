"""Which way a machine sends a packet, by the network as it is planned."""

from __future__ import annotations

import pytest

from netlab.network import plan
from netlab.objects.lab import Lab, lab_from_object
from netlab.trace.routing import NextHop, Router


def lab() -> Lab:
    text = {
        "metadata": {"name": "t"},
        "spec": {"nodes": [{"name": "n1"}, {"name": "n2"}]},
    }
    return lab_from_object({"apiVersion": "netlab/v1", "kind": "Lab", **text})


LAB = lab()
N1, N2 = LAB.nodes
ROUTER = Router(
    {
        name: each
        for each in plan.cluster(LAB).namespaces
        for name in (each.name.partition(".")[2],)
        if name != "fabric"
    }
)


def pod(node: object, number: int) -> str:
    return plan.address_at(node.pod_cidrs[0], number)  # type: ignore[attr-defined]


def test_a_pod_of_its_own_is_on_the_bridge() -> None:
    way = ROUTER.way("n1", pod(N1, 5))
    assert way == NextHop("cni0", pod(N1, 5), pod(N1, 1))


def test_another_nodes_pod_is_behind_that_node() -> None:
    inside = N2.internal_ips[0]
    assert ROUTER.way("n1", pod(N2, 5)) == NextHop("eth0", inside, N1.internal_ips[0])
    assert ROUTER.arrival("n2", inside) == "eth0"


def test_everybody_else_is_behind_the_gateway() -> None:
    gateway = LAB.external.gateway_ips[0]
    assert ROUTER.way("n1", "93.184.216.34") == NextHop("eth1", gateway, N1.external_ips[0])
    assert ROUTER.way("client", pod(N1, 5)) == NextHop(
        "eth0", gateway, LAB.external.clients[0].ips[0]
    )


def test_a_neighbour_is_reached_without_a_gateway() -> None:
    outside = N1.external_ips[0]
    assert ROUTER.way("client", outside) == NextHop("eth0", outside, LAB.external.clients[0].ips[0])
    assert ROUTER.arrival("n1", outside) == "eth1"


@pytest.mark.parametrize(("place", "to"), [("internet", "10.96.0.1"), ("nobody", "10.96.0.1")])
def test_there_may_be_no_way(place: str, to: str) -> None:
    assert ROUTER.way(place, to) is None
    assert ROUTER.arrival("nobody", to) == ""


def test_what_does_not_forward_hands_on_within_a_bridge_alone() -> None:
    asked: list[tuple[str, str, bool]] = []

    def forwards(place: str, link: str, v6: bool) -> bool:
        asked.append((place, link, v6))
        return link == "eth1"

    router = Router(ROUTER.namespaces, forwards)
    assert ROUTER.may_leave_by("n1", "eth0", "10.0.0.1") is None
    assert router.may_leave_by("n1", "eth1", "10.0.0.1") is None
    assert router.may_leave_by("n1", "eth0", "fd00::1") == frozenset()
    assert router.may_leave_by("n1", "cni0", "10.0.0.1") == {"cni0"}
    assert router.may_leave_by("n1", "", "10.0.0.1") is None, "its own packet"
    assert asked == [("n1", "eth1", False), ("n1", "eth0", True), ("n1", "cni0", False)]
