from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from netlab.errors import ApiError, Invalid
from netlab.store.allocate import ServiceAllocator
from netlab.store.registry import Registry
from netlab.store.store import Store

DUAL = {"podCIDR": "10.244.0.0/16,fd00:10:244::/56", "serviceCIDR": "10.96.0.0/12,fd00:96::/108"}


@pytest.fixture
def dual(make: Any) -> Registry:
    registry = Registry(Store(None), make.lab(**DUAL))
    registry.create(make.namespace("default"))
    return registry


def patch(registry: Registry, change: dict[str, Any], name: str = "web") -> dict[str, Any]:
    spec: dict[str, Any] = registry.patch("Service", "default", name, {"spec": change})["spec"]
    return spec


def refusal(registry: Registry, body: dict[str, Any]) -> str:
    with pytest.raises(Invalid) as raised:
        registry.create(body)
    return raised.value.message.partition(" is invalid: ")[2]


def test_an_address_and_ports_are_chosen(registry: Registry, make: Any) -> None:
    spec = registry.create(make.service(type="NodePort"))["spec"]
    assert spec["clusterIPs"] == [spec["clusterIP"]]
    assert spec["ipFamilies"] == ["IPv4"] and spec["ipFamilyPolicy"] == "SingleStack"
    assert 30000 <= spec["ports"][0]["nodePort"] <= 32767


def test_chosen_addresses_leave_the_lower_band_to_those_who_name_theirs() -> None:
    allocator = ServiceAllocator(["10.96.0.0/24"], ["IPv4"], dice=random.Random(1))
    addresses = []
    for _ in range(254):
        service: dict[str, Any] = {"spec": {"type": "ClusterIP"}}
        claim, problems = allocator.claim(service, None)
        assert problems == []
        allocator.commit(claim)
        addresses.append(int(service["spec"]["clusterIP"].rpartition(".")[2]))
    assert all(last > 16 for last in addresses[:238]), "the band was used while others were free"
    assert sorted(addresses) == list(range(1, 255)), "network and broadcast are no addresses"
    with pytest.raises(ApiError, match="range is full"):
        allocator.claim({"spec": {"type": "ClusterIP"}}, None)


def test_a_given_address_is_honoured_or_refused(registry: Registry, make: Any) -> None:
    assert registry.create(make.service(clusterIP="10.96.0.10"))["spec"]["clusterIPs"] == [
        "10.96.0.10"
    ]
    assert refusal(registry, make.service("b", clusterIP="10.96.0.10")) == (
        'spec.clusterIPs: Invalid value: ["10.96.0.10"]: failed to allocate IP 10.96.0.10: '
        "provided IP is already allocated"
    )
    assert refusal(registry, make.service("b", clusterIP="10.1.0.1")) == (
        'spec.clusterIPs: Invalid value: ["10.1.0.1"]: failed to allocate IP 10.1.0.1: the '
        "provided network does not match the current range"
    )
    assert "10.96.0.300" in refusal(registry, make.service("b", clusterIP="10.96.0.300"))
    assert "does not match the current range" in refusal(
        registry, make.service("b", clusterIP="10.96.0.0")
    )
    only_list = make.service("c", clusterIPs=["10.96.0.11"])
    assert registry.create(only_list)["spec"]["clusterIP"] == "10.96.0.11"


def test_a_refused_service_takes_nothing(registry: Registry, make: Any) -> None:
    registry.create(make.service("a", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    body = make.service(
        "b", type="NodePort", clusterIP="10.96.0.9", ports=[{"port": 80, "nodePort": 30080}]
    )
    assert refusal(registry, body) == (
        "spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"
    )
    assert registry.create(make.service("c", clusterIP="10.96.0.9"))


def test_delete_gives_back(registry: Registry, make: Any) -> None:
    body = make.service(
        type="NodePort", clusterIP="10.96.0.9", ports=[{"port": 80, "nodePort": 30080}]
    )
    for _ in range(2):
        registry.create(body)
        registry.delete("Service", "default", "web")


def test_a_service_that_lingers_keeps_its_address(registry: Registry, make: Any) -> None:
    body = make.service(clusterIP="10.96.0.9")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    registry.create(body)
    registry.delete("Service", "default", "web")
    assert "already allocated" in refusal(registry, make.service("b", clusterIP="10.96.0.9"))
    registry.patch("Service", "default", "web", {"metadata": {"finalizers": None}})
    registry.create(make.service("b", clusterIP="10.96.0.9"))


def test_a_restart_knows_what_is_taken(lab: Any, make: Any) -> None:
    store = Store(None)
    first = Registry(store, lab)
    first.create(make.namespace("default"))
    first.create(
        make.service(
            type="NodePort", clusterIP="10.96.0.9", ports=[{"port": 80, "nodePort": 30080}]
        )
    )
    again = Registry(store, lab)
    assert "already allocated" in refusal(again, make.service("b", clusterIP="10.96.0.9"))
    body = make.service("b", type="NodePort", ports=[{"port": 80, "nodePort": 30080}])
    assert "already allocated" in refusal(again, body)


def test_headless_and_external_names_have_no_address(registry: Registry, make: Any) -> None:
    headless = registry.create(make.service("headless", clusterIP="None"))["spec"]
    assert (headless["clusterIP"], headless["clusterIPs"]) == ("None", ["None"])
    assert headless["ipFamilies"] == ["IPv4"]
    outside = registry.create(
        make.service("outside", type="ExternalName", externalName="example.com")
    )["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & outside.keys()


def test_headless_without_selector_has_both_families(registry: Registry, make: Any) -> None:
    body = make.service(clusterIP="None")
    del body["spec"]["selector"]
    spec = registry.create(body)["spec"]
    assert spec["ipFamilies"] == ["IPv4", "IPv6"]
    assert spec["ipFamilyPolicy"] == "RequireDualStack"


def test_ports_of_one_number_share_a_node_port(registry: Registry, make: Any) -> None:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53},
        {"name": "metrics", "port": 9153},
    ]
    udp, tcp, metrics = registry.create(make.service(type="NodePort", ports=ports))["spec"]["ports"]
    assert udp["nodePort"] == tcp["nodePort"] != metrics["nodePort"]


def test_a_named_port_is_shared_with_a_sibling_written_before_it(
    registry: Registry, make: Any
) -> None:
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "nodePort": 30053},
    ]
    made = registry.create(make.service(type="NodePort", ports=ports))["spec"]["ports"]
    assert [port["nodePort"] for port in made] == [30053, 30053]


def test_an_update_that_leaves_allocated_values_out_keeps_them(
    registry: Registry, make: Any
) -> None:
    before = copy.deepcopy(registry.create(make.service(type="NodePort")))
    after = registry.update(make.service(type="NodePort"))
    assert after["spec"] == before["spec"]


def test_cluster_ip_to_node_port_and_back(registry: Registry, make: Any) -> None:
    before = registry.create(make.service())["spec"]
    wide = patch(registry, {"type": "NodePort"})
    node_port = wide["ports"][0]["nodePort"]
    assert wide["externalTrafficPolicy"] == "Cluster"
    narrow = patch(registry, {"type": "ClusterIP"})
    assert narrow == before
    body = make.service("b", type="NodePort", ports=[{"port": 80, "nodePort": node_port}])
    assert registry.create(body), "the port was not given back"


def test_without_affinity_its_settings_go(registry: Registry, make: Any) -> None:
    made = registry.create(make.service(sessionAffinity="ClientIP"))["spec"]
    assert made["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    assert "sessionAffinityConfig" not in patch(registry, {"sessionAffinity": "None"})


def test_to_external_name_and_back(registry: Registry, make: Any) -> None:
    address = registry.create(make.service())["spec"]["clusterIP"]
    away = patch(registry, {"type": "ExternalName", "externalName": "example.com"})
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} & away.keys()
    registry.create(make.service("heir", clusterIP=address))
    back = patch(registry, {"type": "ClusterIP", "externalName": None})
    assert back["clusterIP"] and back["clusterIP"] != address


def test_a_node_port_service_becomes_an_external_name(registry: Registry, make: Any) -> None:
    registry.create(make.service(type="NodePort"))
    away = patch(registry, {"type": "ExternalName", "externalName": "example.com"})
    assert "externalTrafficPolicy" not in away and "nodePort" not in away["ports"][0]


def test_the_cluster_ip_does_not_change(registry: Registry, make: Any) -> None:
    registry.create(make.service(clusterIP="10.96.0.9"))
    with pytest.raises(Invalid, match="may not change once set"):
        patch(registry, {"clusterIP": "10.96.0.10"})
    with pytest.raises(Invalid, match="may not change once set"):
        patch(registry, {"clusterIP": "None"})


def test_a_node_port_can_be_changed(registry: Registry, make: Any) -> None:
    registry.create(make.service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    patch(registry, {"ports": [{"port": 80, "nodePort": 30081}]})
    registry.create(make.service("b", type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
    with pytest.raises(Invalid, match="30080: provided port is already allocated"):
        patch(registry, {"ports": [{"port": 80, "nodePort": 30080}]})


def test_ports_that_swap_names_keep_their_node_ports(registry: Registry, make: Any) -> None:
    first = {"name": "a", "port": 80, "nodePort": 30080}
    second = {"name": "b", "port": 81, "nodePort": 30081}
    registry.create(make.service(type="NodePort", ports=[first, second]))
    ports = [{"name": "b", "port": 81}, {"name": "a", "port": 80}, {"name": "c", "port": 82}]
    made = patch(registry, {"ports": ports})["ports"]
    assert [port["nodePort"] for port in made[:2]] == [30081, 30080]
    assert made[2]["nodePort"] not in (30080, 30081)


def test_a_port_whose_number_changes_keeps_its_node_port(registry: Registry, make: Any) -> None:
    before = registry.create(make.service(type="NodePort"))["spec"]["ports"]
    after = patch(registry, {"ports": [{"port": 8080, "targetPort": 80}]})["ports"]
    assert after == [{**before[0], "port": 8080}]


def test_load_balancers(registry: Registry, make: Any) -> None:
    spec = registry.create(make.service(type="LoadBalancer"))["spec"]
    assert spec["allocateLoadBalancerNodePorts"] is True and spec["ports"][0]["nodePort"]
    assert "healthCheckNodePort" not in spec
    local = patch(registry, {"externalTrafficPolicy": "Local"})
    assert local["healthCheckNodePort"] != local["ports"][0]["nodePort"]
    back = patch(registry, {"type": "ClusterIP"})
    assert not {"healthCheckNodePort", "allocateLoadBalancerNodePorts"} & back.keys()
    without = make.service("b", type="LoadBalancer", allocateLoadBalancerNodePorts=False)
    assert "nodePort" not in registry.create(without)["spec"]["ports"][0]


def test_a_health_check_port_can_be_named(registry: Registry, make: Any) -> None:
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    assert registry.create(make.service(**local))["spec"]["healthCheckNodePort"] == 31000
    assert refusal(registry, make.service("b", **local)) == (
        "spec.healthCheckNodePort: Invalid value: 31000: provided port is already allocated"
    )
    with pytest.raises(ApiError, match="healthCheckNodePort: Forbidden: field is immutable"):
        patch(registry, {"healthCheckNodePort": 31001})
    assert patch(registry, {"healthCheckNodePort": 0})["healthCheckNodePort"] == 31000
    without = patch(registry, {"externalTrafficPolicy": "Cluster", "healthCheckNodePort": 0})
    assert "healthCheckNodePort" not in without
    again = {"externalTrafficPolicy": "Local", "healthCheckNodePort": 31000}
    assert patch(registry, again)["healthCheckNodePort"] == 31000
    assert "may only be set when `type` is 'LoadBalancer'" in refusal(
        registry, make.service("c", **{**local, "externalTrafficPolicy": "Cluster"})
    )


def test_single_stack_labs_refuse_what_they_have_not(registry: Registry, make: Any) -> None:
    assert "not configured for dual-stack services" in refusal(
        registry, make.service(ipFamilyPolicy="RequireDualStack")
    )
    assert refusal(registry, make.service(ipFamilies=["IPv6"])) == (
        'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster'
    )
    assert "IPv6 is not configured on this cluster" in refusal(
        registry, make.service(clusterIP="fd00::1")
    )
    prefers = registry.create(make.service(ipFamilyPolicy="PreferDualStack"))["spec"]
    assert prefers["ipFamilies"] == ["IPv4"] and len(prefers["clusterIPs"]) == 1


def test_dual_stack(dual: Registry, make: Any) -> None:
    single = dual.create(make.service("single"))["spec"]
    assert single["ipFamilies"] == ["IPv4"]
    both = dual.create(make.service("both", ipFamilyPolicy="PreferDualStack"))["spec"]
    assert both["ipFamilies"] == ["IPv4", "IPv6"]
    assert both["clusterIP"] == both["clusterIPs"][0] and both["clusterIPs"][1].startswith("fd00:")
    six = dual.create(make.service("six", ipFamilies=["IPv6"]))["spec"]
    assert six["clusterIP"].startswith("fd00:") and len(six["clusterIPs"]) == 1
    given = dual.create(make.service("given", clusterIP="fd00:96::9"))["spec"]
    assert given["ipFamilies"] == ["IPv6"]
    first = make.service("first", ipFamilyPolicy="RequireDualStack", ipFamilies=["IPv6"])
    assert dual.create(first)["spec"]["ipFamilies"] == ["IPv6", "IPv4"]


def test_two_families_need_a_policy_that_says_so(dual: Registry, make: Any) -> None:
    assert "when multiple IP families are specified" in refusal(
        dual, make.service(ipFamilies=["IPv4", "IPv6"])
    )
    assert "when multiple cluster IPs are specified" in refusal(
        dual, make.service(clusterIPs=["10.96.0.9", "fd00:96::9"])
    )


def test_an_address_of_the_other_family(dual: Registry, make: Any) -> None:
    assert "expected an IPv6 value as indicated by `ipFamilies[0]`" in refusal(
        dual, make.service(clusterIP="10.96.0.9", ipFamilies=["IPv6"])
    )


def test_upgrade_and_downgrade(dual: Registry, make: Any) -> None:
    before = dual.create(make.service())["spec"]
    wide = patch(dual, {"ipFamilyPolicy": "RequireDualStack"})
    assert wide["clusterIPs"][0] == before["clusterIP"] and len(wide["clusterIPs"]) == 2
    with pytest.raises(Invalid, match="must be 'SingleStack' to release the secondary cluster IP"):
        patch(dual, {"clusterIPs": wide["clusterIPs"][:1]})
    assert patch(dual, {"ipFamilyPolicy": "SingleStack"}) == before
    heir = make.service("heir", clusterIP=wide["clusterIPs"][1])
    assert dual.create(heir), "the second address was not given back"


def test_spellings_of_one_ipv6_address_are_one(dual: Registry, make: Any) -> None:
    dual.create(make.service(clusterIP="fd00:96::9"))
    assert "already allocated" in refusal(dual, make.service("b", clusterIP="fd00:96:0:0::9"))


def range_of(name: str, *cidrs: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name, "finalizers": ["networking.k8s.io/service-cidr-finalizer"]},
        "spec": {"cidrs": list(cidrs)},
    }


def addresses(registry: Registry) -> dict[str, str]:
    """Each IPAddress, and the Service that has it."""
    found = registry.list("IPAddress").items
    return {one["metadata"]["name"]: one["spec"]["parentRef"]["name"] for one in found}


def test_each_address_is_an_object(dual: Registry, make: Any) -> None:
    dual.create(make.service(clusterIP="10.96.0.9", ipFamilyPolicy="PreferDualStack"))
    first, second = dual.get("Service", "default", "web")["spec"]["clusterIPs"]
    assert addresses(dual) == {first: "web", second: "web"}
    found = dual.get("IPAddress", "", second)
    assert found["metadata"]["labels"] == {
        "ipaddress.kubernetes.io/ip-family": "IPv6",
        "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
    }
    parent = {"resource": "services", "namespace": "default", "name": "web"}
    assert found["spec"] == {"parentRef": parent}
    patch(dual, {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"], "clusterIPs": [first]})
    assert addresses(dual) == {first: "web"}
    patch(dual, {"type": "ExternalName", "externalName": "a.example"})
    assert addresses(dual) == {}
    patch(dual, {"type": "ClusterIP", "externalName": None, "clusterIP": first})
    dual.delete("Service", "default", "web")
    assert addresses(dual) == {}


def test_a_service_that_is_refused_or_tried_has_no_address(registry: Registry, make: Any) -> None:
    registry.create(make.service(clusterIP="10.96.0.9"), dry_run=True)
    refusal(registry, make.service(clusterIP="10.96.0.9", ports=[{"port": 0}]))
    assert addresses(registry) == {}


def test_an_address_that_something_else_holds_is_taken(registry: Registry, make: Any) -> None:
    parent = {"group": "gateway.example", "resource": "gateways", "name": "edge"}
    registry.create(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IPAddress",
            "metadata": {"name": "10.96.0.9"},
            "spec": {"parentRef": parent},
        }
    )
    said = refusal(registry, make.service(clusterIP="10.96.0.9"))
    assert said.endswith("provided IP is already allocated")
    registry.delete("IPAddress", "", "10.96.0.9")
    assert registry.create(make.service(clusterIP="10.96.0.9"))


def test_more_ranges_give_addresses_until_they_go(registry: Registry, make: Any) -> None:
    body = make.service(clusterIP="203.0.113.10")
    assert "does not match the current range" in refusal(registry, body)
    registry.create(range_of("more", "203.0.113.0/24"))
    assert registry.create(body)["spec"]["clusterIPs"] == ["203.0.113.10"]
    for edge in ("203.0.113.0", "203.0.113.255"):
        said = refusal(registry, make.service("edge", clusterIP=edge))
        assert "does not match the current range" in said
    registry.delete("ServiceCIDR", "", "more")
    said = refusal(registry, make.service("b", clusterIP="203.0.113.11"))
    assert "does not match the current range" in said
    assert patch(registry, {"sessionAffinity": "ClientIP"})["clusterIP"] == "203.0.113.10"


def test_others_are_chosen_from_once_the_first_range_is_full(make: Any) -> None:
    registry = Registry(Store(None), make.lab(serviceCIDR="10.96.0.0/30"))
    registry.create(make.namespace("default"))
    registry.create(range_of("kubernetes", "10.96.0.0/30"))
    registry.create(range_of("more", "203.0.113.0/30"))
    chosen = [registry.create(make.service(f"s{n}"))["spec"]["clusterIP"] for n in range(4)]
    assert sorted(chosen[:2]) == ["10.96.0.1", "10.96.0.2"]
    assert sorted(chosen[2:]) == ["203.0.113.1", "203.0.113.2"]
    with pytest.raises(ApiError, match="range is full"):
        registry.create(make.service("last"))


def test_what_is_stored_is_put_right_at_the_start(make: Any) -> None:
    store = Store(None)
    registry = Registry(store, make.lab())
    registry.create(make.namespace("default"))
    registry.create(make.service(clusterIP="10.96.0.9"))
    left = registry.get("IPAddress", "", "10.96.0.9")
    registry.delete("IPAddress", "", "10.96.0.9")
    store.write({**left, "metadata": {**left["metadata"], "name": "10.96.0.10"}}, expected="")
    assert addresses(Registry(store, make.lab())) == {"10.96.0.9": "web"}


OTHER = {"resource": "services", "namespace": "default", "name": "other"}


def test_a_service_that_goes_takes_no_others_address_along(registry: Registry, make: Any) -> None:
    """Somebody deleted its own, and made another of that name."""
    registry.create(make.service(clusterIP="10.96.0.9"))
    held = registry.get("IPAddress", "", "10.96.0.9")
    registry.delete("IPAddress", "", "10.96.0.9")
    others = {"metadata": {"name": "10.96.0.9"}, "spec": {"parentRef": OTHER}}
    registry.create({"apiVersion": held["apiVersion"], "kind": "IPAddress", **others})
    registry.delete("Service", "default", "web")
    assert addresses(registry) == {"10.96.0.9": "other"}
    said = refusal(registry, make.service(clusterIP="10.96.0.9"))
    assert said.endswith("provided IP is already allocated")


def test_at_the_start_an_address_says_which_service_has_it(make: Any) -> None:
    store = Store(None)
    registry = Registry(store, make.lab())
    registry.create(make.namespace("default"))
    registry.create(make.service(clusterIP="10.96.0.9"))
    held = registry.get("IPAddress", "", "10.96.0.9")
    registry.delete("IPAddress", "", "10.96.0.9")
    store.write({**held, "spec": {"parentRef": OTHER}}, expected="")
    assert addresses(Registry(store, make.lab())) == {"10.96.0.9": "web"}
