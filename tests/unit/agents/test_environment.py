import base64

import pytest

from netlab.agents.environment import (
    container_variables,
    field_value,
    resource_value,
    service_variables,
)
from netlab.errors import NetlabError


def service(name, namespace="default", ip="10.96.0.7", ports=({"port": 80},)):
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"clusterIP": ip, "ports": list(ports)},
    }


POD = {
    "metadata": {"name": "p", "namespace": "default", "labels": {"app": "web"}},
    "spec": {"nodeName": "worker001"},
    "status": {"podIP": "10.244.1.5", "podIPs": [{"ip": "10.244.1.5"}, {"ip": "fd00::5"}]},
}


def nothing(kind, namespace, name):
    return None


def test_service_variables_are_kubernetes_own():
    ports = [{"port": 80, "name": "http-web"}, {"port": 53, "name": "dns", "protocol": "UDP"}]
    assert service_variables([service("mynapp-svc", ports=ports)], "default") == {
        "MYNAPP_SVC_SERVICE_HOST": "10.96.0.7",
        "MYNAPP_SVC_SERVICE_PORT": "80",
        "MYNAPP_SVC_SERVICE_PORT_HTTP_WEB": "80",
        "MYNAPP_SVC_SERVICE_PORT_DNS": "53",
        "MYNAPP_SVC_PORT": "tcp://10.96.0.7:80",
        "MYNAPP_SVC_PORT_80_TCP": "tcp://10.96.0.7:80",
        "MYNAPP_SVC_PORT_80_TCP_PROTO": "tcp",
        "MYNAPP_SVC_PORT_80_TCP_PORT": "80",
        "MYNAPP_SVC_PORT_80_TCP_ADDR": "10.96.0.7",
        "MYNAPP_SVC_PORT_53_UDP": "udp://10.96.0.7:53",
        "MYNAPP_SVC_PORT_53_UDP_PROTO": "udp",
        "MYNAPP_SVC_PORT_53_UDP_PORT": "53",
        "MYNAPP_SVC_PORT_53_UDP_ADDR": "10.96.0.7",
    }


def test_headless_and_other_namespaces_are_left_out_but_kubernetes_is_everywhere():
    services = [
        service("headless", ip="None"),
        service("elsewhere", namespace="shop"),
        service("kubernetes", ip="10.96.0.1", ports=[{"port": 443}]),
    ]
    hosts = {name for name in service_variables(services, "other") if name.endswith("_HOST")}
    assert hosts == {"KUBERNETES_SERVICE_HOST"}


def test_without_links_there_is_the_api_all_the_same():
    services = [service("web"), service("kubernetes", ip="10.96.0.1", ports=[{"port": 443}])]
    variables = service_variables(services, "default", links=False)
    assert {name.partition("_")[0] for name in variables} == {"KUBERNETES"}


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "requests.cpu"}, "1"),
        ({"resource": "limits.memory"}, "67108864"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "64"),
        ({"resource": "requests.memory"}, "0"),
        ({"resource": "limits.ephemeral-storage", "divisor": "1Gi"}, "10"),
        ({"resource": "requests.cpu", "divisor": "0"}, "1"),
    ],
)
def test_resources_are_in_whole_units_of_the_divisor(reference, value):
    limits = {"cpu": "1500m", "memory": "64Mi"}
    container = {"resources": {"limits": limits, "requests": {"cpu": "100m"}}}
    node = {"cpu": "4", "ephemeral-storage": "10Gi"}
    assert resource_value(container, reference, node) == value


def test_a_variable_may_tell_of_another_container():
    other = {"name": "other", "resources": {"limits": {"cpu": "3"}}}
    pod = {**POD, "spec": {"containers": [{"name": "c"}, other]}}
    reference = {"resourceFieldRef": {"containerName": "other", "resource": "limits.cpu"}}
    container = {"name": "c", "env": [{"name": "CPU", "valueFrom": reference}]}
    assert container_variables(pod, container, {}, nothing)["CPU"] == "3"


def test_references_expand_and_unknown_ones_stay():
    container = {
        "env": [{"name": "A", "value": "1"}, {"name": "X", "value": "$(A)-$(B)-$$(A)"}],
    }
    got = container_variables(POD, container, {}, nothing)
    assert got["X"] == "1-$(B)-$(A)"


def test_env_refers_to_fields_config_maps_secrets_and_earlier_variables():
    objects = {
        ("ConfigMap", "conf"): {"data": {"colour": "blue", "size": "L"}},
        ("Secret", "key"): {"data": {"token": base64.b64encode(b"s3cret").decode()}},
    }
    optional = {"name": "x", "key": "y", "optional": True}
    container = {
        "envFrom": [{"configMapRef": {"name": "conf"}, "prefix": "C_"}],
        "env": [
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "T", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}},
            {"name": "URL", "value": "http://$(IP)/$(C_colour)"},
            {"name": "NO", "valueFrom": {"configMapKeyRef": optional}},
        ],
    }
    got = container_variables(
        POD, container, {"PATH": "/bin"}, lambda kind, _, name: objects.get((kind, name))
    )
    assert got == {
        "PATH": "/bin",
        "C_colour": "blue",
        "C_size": "L",
        "IP": "10.244.1.5",
        "T": "s3cret",
        "URL": "http://10.244.1.5/blue",
    }


def test_a_missing_config_map_is_named():
    container = {"envFrom": [{"configMapRef": {"name": "conf"}}]}
    with pytest.raises(NetlabError, match='configmap "conf" not found'):
        container_variables(POD, container, {}, nothing)


@pytest.mark.parametrize(
    "container",
    [
        {"envFrom": [{"configMapRef": {"name": "conf"}}]},
        {"env": [{"name": "key", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}}]},
    ],
)
def test_no_variable_holds_a_nul(container):
    objects = {
        "ConfigMap": {"data": {"key": "a\0b"}},
        "Secret": {"data": {"key": base64.b64encode(b"a\0b").decode()}},
    }
    with pytest.raises(NetlabError, match="the value of key has a NUL character"):
        container_variables(POD, container, {}, lambda kind, *_: objects[kind])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.labels['app']", "web"),
        ("spec.nodeName", "worker001"),
        ("status.podIPs", "10.244.1.5,fd00::5"),
        ("status.nothing", ""),
    ],
)
def test_downward_api(path, value):
    assert field_value(POD, path) == value
