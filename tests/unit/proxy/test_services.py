"""Which ports of a Service are programmed, and what of them cannot be used."""

import pytest
from unit.proxy.objects import web

from netlab.proxy.services import service_ports


def ports_of(spec, family="ipv4", **status):
    return service_ports(web(spec, **status), family, [])


@pytest.mark.parametrize(
    "spec",
    [
        {"clusterIP": "None"},
        {"clusterIP": ""},
        {"type": "ExternalName", "clusterIP": ""},
        {"clusterIP": "fd00::5"},
        {"clusterIPs": ["10.96.0.5"], "ipFamilies": ["IPv6"]},
        {"ports": None},
    ],
)
def test_services_that_are_not_programmed(spec):
    assert ports_of(spec) == []


@pytest.mark.parametrize("label", ["service-proxy-name", "headless"])
def test_labels_that_keep_a_service_out(label):
    labelled = web({})
    labelled["metadata"]["labels"] = {f"service.kubernetes.io/{label}": ""}
    assert service_ports(labelled, "ipv4", []) == []


def test_what_cannot_be_used_is_complained_about_and_the_rest_is_used():
    complaints = []
    ports = [{"port": 0}, {"port": 80, "nodePort": 70000}, {"port": 80, "protocol": "ICMP"}]
    spec = {"ports": [*ports, {"name": "ok", "port": 81}], "loadBalancerSourceRanges": ["10.0.0.0"]}
    found = service_ports(web(spec), "ipv4", complaints)
    assert [port.name for port in found] == ["town/web:ok"]
    assert [complaint.field for complaint in complaints] == [
        "spec.loadBalancerSourceRanges[0]",
        "spec.ports[0].port",
        "spec.ports[1].nodePort",
        "spec.ports[2].protocol",
    ]
    assert str(complaints[1]).startswith("Service town/web: spec.ports[0].port: 0 is no port")


def test_a_cluster_ip_that_is_none():
    complaints = []
    assert service_ports(web({"clusterIP": "10.96.0"}), "ipv4", complaints) == []
    assert "'10.96.0' is no ipv4 address" in str(complaints[0])


def test_external_policy_means_nothing_without_an_outside():
    (port,) = ports_of({"externalTrafficPolicy": "Local"})
    assert not port.external_local
    (port,) = ports_of({"externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.1"]})
    assert port.external_local


def test_affinity_without_configuration_lasts_three_hours():
    (port,) = ports_of({"sessionAffinity": "ClientIP"})
    assert port.affinity_seconds == 10800


def test_load_balancer_addresses():
    ingress = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}, {"hostname": "x"}]
    (port,) = ports_of({"type": "LoadBalancer"}, loadBalancer={"ingress": ingress})
    assert port.load_balancer_ips == ("192.0.2.1",)
