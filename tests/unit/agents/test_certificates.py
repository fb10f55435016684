"""By which names and addresses a pod may be asked for over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netlab.agents.certificates import names_of
from netlab.agents.podrun import PodRun, new_run

NODE: Any = {
    "kind": "Node",
    "status": {
        "addresses": [
            {"type": "InternalIP", "address": "10.10.11.10"},
            {"type": "ExternalIP", "address": "172.16.110.10"},
            {"type": "Hostname", "address": "master001"},
        ]
    },
}


def run(**spec: object) -> PodRun:
    metadata = {"name": "web-0", "namespace": "shop", "uid": "u", "labels": {"app": "web"}}
    spec = {"containers": [{"name": "c", "image": "nginx"}], **spec}
    pod: Any = {"metadata": metadata, "spec": spec}
    return new_run(pod, "w1", ("10.244.0.2", "fd00::2"), Path("/n"), Path("/d"))


def service(name: str, namespace: str = "shop", **spec: object) -> Any:
    said = {"selector": {"app": "web"}, "clusterIPs": ["10.96.0.7"], **spec}
    return {"metadata": {"name": name, "namespace": namespace}, "spec": said}


def names(*services: Any, **spec: object) -> set[str]:
    found = names_of(run(**spec), services, [NODE], "cluster.local")
    return {*found.names, *found.addresses}


OWN = {"web-0", "localhost", "127.0.0.1", "::1", "10.244.0.2", "fd00::2"}
OWN |= {"10-244-0-2.shop.pod.cluster.local", "fd00--2.shop.pod.cluster.local"}
WEB = {"web", "web.shop", "web.shop.svc", "web.shop.svc.cluster.local", "10.96.0.7"}


def test_a_pod_alone_has_its_own() -> None:
    assert names() == OWN
    assert names_of(run(), [], [], "cluster.local").names[0] == "web-0"


def test_services_that_select_it_add_theirs() -> None:
    assert names(service("web")) == OWN | WEB
    others = [
        service("other", selector={"app": "db"}),
        service("web", namespace="elsewhere"),
        service("outside", selector=None),
    ]
    assert names(*others) == OWN


def test_from_outside_it_is_reached_by_nodes_and_balancers() -> None:
    balanced = service("web", type="LoadBalancer", externalIPs=["192.0.2.1"])
    balanced["status"] = {"loadBalancer": {"ingress": [{"ip": "172.16.110.200"}]}}
    nodes = {"10.10.11.10", "172.16.110.10"}
    assert names(balanced) == OWN | WEB | nodes | {"192.0.2.1", "172.16.110.200"}
    assert names(service("web", type="NodePort")) == OWN | WEB | nodes


def test_behind_a_headless_service_it_has_a_name_of_its_own() -> None:
    headless = service("web", clusterIPs=["None"])
    found = names(headless, hostname="web-0", subdomain="web")
    assert "web-0.web.shop.svc.cluster.local" in found
    assert "None" not in found
