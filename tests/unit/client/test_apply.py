"""Three-way apply against a registry: what the file said, says, and what is live."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from netlab.client.apply import LAST_APPLIED, apply, three_way
from netlab.client.sync import Client
from netlab.errors import NotFound
from netlab.objects.kinds import at_path
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "test"},
    "spec": {"nodes": 2},
}


class RegistryClient(Client):
    """The blocking client, answered by a registry in this process."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def request(self, method: str, path: str, body: Any = None, **options: Any) -> dict[str, Any]:
        kind, namespace, name = parsed(path)
        dry_run = (options.get("query") or {}).get("dryRun") == "All"
        match method:
            case "GET":
                return self._registry.get(kind, namespace, name)
            case "POST":
                return self._registry.create(body, dry_run=dry_run)
        type_ = options["content_type"]
        return self._registry.patch(
            kind, namespace, name, body, content_type=type_, dry_run=dry_run
        )


def parsed(path: str) -> tuple[str, str, str]:
    """A path of an object or collection as (kind, namespace, name)."""
    parts = path.strip("/").split("/")
    group, version, rest = ("", parts[1], parts[2:])
    if parts[0] == "apis":
        group, version, rest = parts[1], parts[2], parts[3:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    kind = at_path(group, version, rest[0])
    assert kind is not None
    return kind.kind, namespace, rest[1] if len(rest) > 1 else ""


@pytest.fixture
def registry() -> Registry:
    registry = Registry(Store(None), lab_from_object(LAB))
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    return registry


@pytest.fixture
def client(registry: Registry) -> RegistryClient:
    return RegistryClient(registry)


def service(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec},
    }


def deployment(**spec: Any) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "web", "image": "nginx"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": labels}, "template": template, **spec},
    }


def live(registry: Registry, obj: dict[str, Any]) -> dict[str, Any]:
    return registry.get(obj["kind"], "default", "web")


def test_what_is_not_there_is_created_and_remembered(
    client: RegistryClient, registry: Registry
) -> None:
    assert str(apply(client, service())) == "service/web created"
    text = live(registry, service())["metadata"]["annotations"][LAST_APPLIED]
    assert json.loads(text)["spec"] == service()["spec"]


def test_a_dry_run_changes_nothing(client: RegistryClient, registry: Registry) -> None:
    assert apply(client, service(), dry_run=True).result == "created"
    with pytest.raises(NotFound):
        live(registry, service())
    apply(client, service())
    before = live(registry, service())
    assert apply(client, service(type="NodePort"), dry_run=True).result == "configured"
    assert live(registry, service()) == before


def test_the_same_again_is_unchanged(client: RegistryClient, registry: Registry) -> None:
    both = [{"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53}]
    for body in (service(type="NodePort", ports=both), deployment(replicas=2)):
        apply(client, body)
        before = live(registry, body)
        assert apply(client, body).result == "unchanged"
        assert live(registry, body) == before


def test_what_the_file_no_longer_says_goes_and_what_others_said_stays(
    client: RegistryClient, registry: Registry
) -> None:
    labelled = service(sessionAffinity="ClientIP")
    labelled["metadata"]["labels"] = {"mine": "1", "gone": "1"}
    apply(client, labelled)
    registry.patch("Service", "default", "web", {"metadata": {"labels": {"theirs": "1"}}})
    labelled = service()
    labelled["metadata"]["labels"] = {"mine": "1"}
    apply(client, labelled)
    now = live(registry, labelled)
    assert now["metadata"]["labels"] == {"mine": "1", "theirs": "1"}
    assert now["spec"]["sessionAffinity"] == "None"


def test_ports_come_and_go_by_number_and_protocol(
    client: RegistryClient, registry: Registry
) -> None:
    udp, tcp = {"name": "u", "port": 53, "protocol": "UDP"}, {"name": "t", "port": 53}
    apply(client, service(type="NodePort", ports=[udp, tcp]))
    before = live(registry, service())["spec"]["ports"]
    apply(client, service(type="NodePort", ports=[udp]))
    assert live(registry, service())["spec"]["ports"] == before[:1]
    apply(client, service(type="NodePort", ports=[{**udp, "protocol": "TCP"}]))
    ports = live(registry, service())["spec"]["ports"]
    assert [(port["port"], port["protocol"]) for port in ports] == [(53, "TCP")]


def test_a_port_whose_number_changes_keeps_its_node_port(
    client: RegistryClient, registry: Registry
) -> None:
    apply(client, service(type="NodePort"))
    before = live(registry, service())["spec"]["ports"][0]["nodePort"]
    apply(client, service(type="NodePort", ports=[{"port": 8080}]))
    ports = live(registry, service())["spec"]["ports"]
    assert [(port["port"], port["nodePort"]) for port in ports] == [(8080, before)]


def test_another_strategy_drops_the_defaults_of_the_first(
    client: RegistryClient, registry: Registry
) -> None:
    apply(client, deployment())
    assert live(registry, deployment())["spec"]["strategy"]["rollingUpdate"]
    apply(client, deployment(strategy={"type": "Recreate"}))
    assert live(registry, deployment())["spec"]["strategy"] == {"type": "Recreate"}


def test_a_volume_becomes_another(client: RegistryClient, registry: Registry) -> None:
    def with_volume(**volume: Any) -> dict[str, Any]:
        body = copy.deepcopy(deployment())
        body["spec"]["template"]["spec"]["volumes"] = [{"name": "data", **volume}]
        return body

    apply(client, with_volume())  # defaulted to an emptyDir
    apply(client, with_volume(configMap={"name": "settings"}))
    (volume,) = live(registry, deployment())["spec"]["template"]["spec"]["volumes"]
    assert "emptyDir" not in volume and volume["configMap"]["name"] == "settings"


def test_finalizers_are_a_set(client: RegistryClient, registry: Registry) -> None:
    def held(*finalizers: str) -> dict[str, Any]:
        body = service()
        body["metadata"]["finalizers"] = list(finalizers)
        return body

    apply(client, held("lab/a", "lab/b"))
    registry.patch(
        "Service", "default", "web", {"metadata": {"finalizers": ["lab/a", "lab/b", "lab/other"]}}
    )
    assert apply(client, held("lab/a", "lab/b")).result == "unchanged"
    apply(client, held("lab/b", "lab/c"))
    now = live(registry, service())["metadata"]["finalizers"]
    assert now == ["lab/b", "lab/c", "lab/other"]


def test_an_annotation_that_is_no_json_counts_as_none(
    client: RegistryClient, registry: Registry
) -> None:
    apply(client, service())
    registry.patch("Service", "default", "web", {"metadata": {"annotations": {LAST_APPLIED: "{"}}})
    assert apply(client, service()).result == "configured"
    assert apply(client, service()).result == "unchanged"


def test_a_patch_says_no_more_than_what_changes() -> None:
    was, now = deployment(), deployment(replicas=3)
    now["spec"]["template"]["spec"]["containers"][0]["image"] = "nginx:2"
    assert three_way(was, now, was) == {
        "spec": {
            "replicas": 3,
            "template": {
                "spec": {
                    "containers": [{"name": "web", "image": "nginx:2"}],
                    "$setElementOrder/containers": [{"name": "web"}],
                }
            },
        }
    }
