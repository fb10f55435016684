from __future__ import annotations

from netlab.dns.records import (
    HostRecord,
    Srv,
    forwarded_names,
    hosts_text,
    service_records,
    undashed,
)
from netlab.dns.zone import Zone

DOMAIN = "cluster.local"
WEB = "web.default.svc.cluster.local"


def service(**spec: object) -> dict[str, object]:
    return {"metadata": {"namespace": "default", "name": "web"}, "spec": spec}


def slice_(
    *endpoints: dict[str, object], family: str = "IPv4", port: str = "http"
) -> dict[str, object]:
    return {
        "addressType": family,
        "ports": [{"name": port, "port": 8080, "protocol": "TCP"}],
        "endpoints": list(endpoints),
    }


def test_cluster_ip_with_a_named_and_an_unnamed_port() -> None:
    ports = [{"name": "http", "port": 80}, {"port": 53, "protocol": "UDP"}]
    records = service_records(service(clusterIP="10.96.0.7", ports=ports), [], DOMAIN)
    assert records.hosts == (HostRecord("10.96.0.7", (WEB,)),)
    assert records.srv == {f"_http._tcp.{WEB}": (Srv(WEB, 80, 100),)}


def test_dual_stack_has_both_addresses() -> None:
    spec = service(clusterIP="10.96.0.7", clusterIPs=["10.96.0.7", "FD00:0::7"])
    records = service_records(spec, [], DOMAIN)
    assert [host.address for host in records.hosts] == ["10.96.0.7", "fd00::7"]


def test_headless_publishes_the_ready_ones_by_hostname_or_dashed_address() -> None:
    endpoints = (
        {"addresses": ["10.244.1.5"], "hostname": "web-0", "conditions": {"ready": True}},
        {"addresses": ["10.244.1.6"], "conditions": {}},
        {"addresses": ["10.244.1.7"], "conditions": {"ready": False}},
    )
    records = service_records(service(clusterIP="None"), [slice_(*endpoints)], DOMAIN)
    assert records.hosts == (
        HostRecord("10.244.1.5", (f"web-0.{WEB}", WEB)),
        HostRecord("10.244.1.6", (f"10-244-1-6.{WEB}", WEB)),
    )
    assert records.srv[f"_http._tcp.{WEB}"] == (
        Srv(f"10-244-1-6.{WEB}", 8080, 50),
        Srv(f"web-0.{WEB}", 8080, 50),
    )


def test_publish_not_ready_addresses_publishes_all() -> None:
    endpoint = {"addresses": ["10.244.1.7"], "conditions": {"ready": False}}
    spec = service(clusterIP="None", publishNotReadyAddresses=True)
    assert len(service_records(spec, [slice_(endpoint)], DOMAIN).hosts) == 1


def test_endpoints_in_two_slices_are_merged() -> None:
    endpoint = {"addresses": ["10.244.1.5"]}
    slices = [slice_(endpoint), slice_(endpoint, port="admin"), slice_(endpoint, family="FQDN")]
    records = service_records(service(clusterIP="None"), slices, DOMAIN)
    assert len(records.hosts) == 1
    assert set(records.srv) == {f"_http._tcp.{WEB}", f"_admin._tcp.{WEB}"}


def test_external_name_is_an_alias_and_nothing_else() -> None:
    spec = service(type="ExternalName", externalName="DB.example.com.", clusterIP="")
    records = service_records(spec, [], DOMAIN)
    assert (records.hosts, records.srv) == ((), {})
    assert records.aliases == {WEB: "db.example.com"}
    assert forwarded_names(records) == {WEB}


def test_hosts_text_and_forwarded_names() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    records = service_records(service(clusterIP="10.96.0.7", ports=ports), [], DOMAIN)
    assert hosts_text([records]) == f"10.96.0.7 {WEB}\n"
    assert forwarded_names(records) == {f"_tcp.{WEB}"}


def test_dashed_addresses_read_back() -> None:
    assert undashed("10-244-1-5") == "10.244.1.5"
    assert undashed("fd00--5") == "fd00::5"
    assert undashed("web-0") is None


def test_a_zone_forgets_what_is_replaced() -> None:
    zone = Zone(DOMAIN)
    ports = [{"name": "http", "port": 80}]
    zone.replace(
        "default/web", service_records(service(clusterIP="10.96.0.7", ports=ports), [], DOMAIN)
    )
    assert zone.addresses(WEB, 4) == ["10.96.0.7"]
    assert zone.exists("default.svc.cluster.local")
    assert zone.pointers("7.0.96.10.in-addr.arpa") == [WEB]
    zone.replace("default/web", service_records(service(clusterIP=""), [], DOMAIN))
    assert not zone.exists(WEB)
    assert not zone.exists("default.svc.cluster.local")
    assert zone.srv(f"_http._tcp.{WEB}") == ()
    assert zone.pointers("7.0.96.10.in-addr.arpa") == []
    assert zone.exists(DOMAIN)
