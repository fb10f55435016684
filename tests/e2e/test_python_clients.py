"""The official `kubernetes` client and `lightkube`, as their readers use them, against a lab."""

from __future__ import annotations

import contextlib
import gc
import socket
from collections.abc import Iterator
from typing import Any

import kubernetes
import lightkube
import pytest
from e2e.kubectls import Shell, shell
from kubernetes.client import ApiClient, ApiException, AppsV1Api, CoreV1Api
from kubernetes.dynamic import DynamicClient
from kubernetes.stream import portforward, stream
from lightkube.core.resource import NamespacedResource
from lightkube.models.apps_v1 import DeploymentSpec
from lightkube.models.core_v1 import Container, PodSpec, PodTemplateSpec, ServicePort, ServiceSpec
from lightkube.models.meta_v1 import LabelSelector, ObjectMeta
from lightkube.resources import (
    admissionregistration_v1,
    apps_v1,
    batch_v1,
    coordination_v1,
    core_v1,
    discovery_v1,
    networking_v1,
)
from lightkube.resources import rbac_authorization_v1 as rbac_v1
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Event, Node, Pod, Service
from lightkube.types import CascadeType, PatchType

pytestmark = [
    pytest.mark.root,
    # The official client leaves the sockets of its streams to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Here, where nobody is told of them, and not in a test of others."""
    yield
    gc.collect()


LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: tutorial}
spec: {nodes: 2}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  containers: [{name: box, image: busybox, command: [sh, -c, "echo up; exec sleep infinity"]}]
"""

WEB: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "containers": [
                    {"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]},
                ]
            },
        },
    },
}


WEBHOOKS = "".join(
    f"""---
apiVersion: admissionregistration.k8s.io/v1
kind: {kind}WebhookConfiguration
metadata: {{name: gate}}
webhooks:
- name: a.gate.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {{url: "https://gate.example.com"}}
"""
    for kind in ("Mutating", "Validating")
)

KINDS = (
    core_v1.Namespace, Node, Pod, Service, core_v1.Endpoints, ConfigMap, core_v1.Secret,
    core_v1.ServiceAccount, Event, Deployment, apps_v1.ReplicaSet, apps_v1.StatefulSet,
    apps_v1.DaemonSet, apps_v1.ControllerRevision, discovery_v1.EndpointSlice,
    networking_v1.Ingress, networking_v1.IngressClass, networking_v1.ServiceCIDR,
    networking_v1.IPAddress,
    core_v1.ResourceQuota, coordination_v1.Lease, rbac_v1.Role, rbac_v1.RoleBinding,
    rbac_v1.ClusterRole,
    rbac_v1.ClusterRoleBinding,
    batch_v1.Job, batch_v1.CronJob,
    admissionregistration_v1.MutatingWebhookConfiguration,
    admissionregistration_v1.ValidatingWebhookConfiguration,
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One lab for all: every test works with names of its own."""
    with shell(tmp_path_factory.mktemp("clients"), LAB) as opened:
        yield opened


@pytest.fixture
def official(lab: Shell) -> Iterator[ApiClient]:
    with kubernetes.config.new_client_from_config(lab.environment["KUBECONFIG"]) as client:
        yield client


@pytest.fixture
def light(lab: Shell) -> Iterator[lightkube.Client]:
    config = lightkube.KubeConfig.from_file(lab.environment["KUBECONFIG"])
    with lightkube.Client(config, field_manager="tests") as client:
        yield client


def refusal(code: int, call: Any, *args: Any, **kwargs: Any) -> str:
    """What the server says to a call that it refuses with that code."""
    with pytest.raises(ApiException) as caught:
        call(*args, **kwargs)
    assert caught.value.status == code
    return str(caught.value.body)


# -- the official client ---------------------------------------------------------------------


def test_official_objects_live_and_go(official: ApiClient) -> None:
    apps, core = AppsV1Api(official), CoreV1Api(official)
    made = apps.create_namespaced_deployment("default", WEB, field_validation="Strict")
    assert made.spec.strategy.rolling_update.max_surge == "25%"
    watch = kubernetes.watch.Watch()
    for event in watch.stream(apps.list_namespaced_deployment, "default", timeout_seconds=20):
        if event["object"].status.ready_replicas == 2:
            watch.stop()
    scale = apps.read_namespaced_deployment_scale("web", "default")
    scale.spec.replicas = 3
    assert apps.replace_namespaced_deployment_scale("web", "default", scale).spec.replicas == 3
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    patched = apps.patch_namespaced_deployment("web", "default", image)
    assert patched.spec.template.spec.containers[0].ports[0].container_port == 80
    apps.delete_namespaced_deployment("web", "default", propagation_policy="Foreground")
    gone = watch.stream(
        apps.list_namespaced_deployment,
        "default",
        resource_version=patched.metadata.resource_version,
    )
    assert "DELETED" in (event["type"] for event in gone)
    refusal(404, apps.read_namespaced_deployment, "web", "default")
    assert not core.list_namespaced_pod("default", label_selector="app=web").items


def test_official_refusals_are_the_servers(official: ApiClient) -> None:
    core = CoreV1Api(official)
    body = {"metadata": {"name": "mine"}, "data": {"a": "1"}}
    first = core.create_namespaced_config_map("default", body)
    assert '"reason":"AlreadyExists"' in refusal(
        409, core.create_namespaced_config_map, "default", body
    )
    first.data["a"] = "2"
    core.replace_namespaced_config_map("mine", "default", first)
    said = refusal(409, core.replace_namespaced_config_map, "mine", "default", first)
    assert "the object has been modified; please apply your changes to the latest version" in said
    bad = {"metadata": {"name": "Bad_Name"}, "spec": {"ports": [{"port": 0}]}}
    said = refusal(422, core.create_namespaced_service, "default", bad)
    assert '"field":"metadata.name"' in said
    assert '"field":"spec.ports[0].port"' in said
    json_patch = [{"op": "test", "path": "/data/a", "value": "1"}]
    refusal(422, core.patch_namespaced_config_map, "mine", "default", json_patch)


def test_official_lists_come_in_pages(official: ApiClient) -> None:
    core = CoreV1Api(official)
    for number in range(7):
        body = {"metadata": {"name": f"page-{number}", "labels": {"kept": "here"}}}
        core.create_namespaced_config_map("default", body)
    names: list[str] = []
    page = core.list_namespaced_config_map("default", label_selector="kept", limit=3)
    while True:
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
        page = core.list_namespaced_config_map(
            "default", label_selector="kept", limit=3, _continue=token
        )
    assert names == [f"page-{number}" for number in range(7)]
    core.delete_collection_namespaced_config_map("default", label_selector="kept")
    assert not core.list_namespaced_config_map("default", label_selector="kept").items
    (only,) = core.list_node(field_selector="metadata.name=worker001").items
    assert only.status.node_info.kubelet_version.startswith("v1.")


def test_official_commands_run_in_pods(official: ApiClient) -> None:
    core = CoreV1Api(official)
    said = stream(
        core.connect_get_namespaced_pod_exec, "box", "default",
        command=["sh", "-c", "echo out; echo err >&2; read line; echo got $line; exit 7"],
        stdin=True, stdout=True, stderr=True, tty=False, _preload_content=False,
    )  # fmt: skip
    said.write_stdin("typed\n")
    said.run_forever(timeout=10)
    assert (said.read_stdout(), said.read_stderr()) == ("out\ngot typed\n", "err\n")
    assert said.returncode == 7
    assert core.read_namespaced_pod_log("box", "default") == "up\n"
    lines = kubernetes.watch.Watch().stream(core.read_namespaced_pod_log, "box", "default")
    assert next(iter(lines)) == "up"


def test_official_ports_are_forwarded(official: ApiClient) -> None:
    core = CoreV1Api(official)
    page = {
        "metadata": {"name": "page"},
        "spec": {"containers": [{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]},
    }
    core.create_namespaced_pod("default", page)
    named = {"field_selector": "metadata.name=page", "timeout_seconds": 20}
    for event in kubernetes.watch.Watch().stream(core.list_namespaced_pod, "default", **named):
        if event["object"].status.phase == "Running":
            break
    forwarded = portforward(
        core.connect_get_namespaced_pod_portforward, "page", "default", ports="80"
    )
    with contextlib.closing(forwarded.socket(80)) as connection:
        connection.setblocking(True)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n")
        assert b"nginx" in read_all(connection)
    assert forwarded.error(80) is None
    core.delete_namespaced_pod("page", "default", grace_period_seconds=0)


def read_all(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def test_official_dynamic_client_applies(official: ApiClient) -> None:
    dynamic = DynamicClient(official)
    services = dynamic.resources.get(api_version="v1", kind="Service")
    body = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "applied"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]},
    }
    made = services.server_side_apply(body, namespace="default", field_manager="tests")
    assert made.spec.clusterIP.startswith("10.")
    body["spec"]["ports"][0]["port"] = 81
    again = services.server_side_apply(
        body, namespace="default", field_manager="tests", force_conflicts=True
    )
    assert again.spec.clusterIP == made.spec.clusterIP
    events = services.watch(namespace="default", name="applied", timeout=10)
    assert next(iter(events))["object"].spec.ports[0].port == 81
    services.delete(name="applied", namespace="default")


# -- lightkube -------------------------------------------------------------------------------


def test_light_objects_live_and_go(light: lightkube.Client) -> None:
    labels = {"app": "light"}
    template = PodTemplateSpec(
        metadata=ObjectMeta(labels=labels),
        spec=PodSpec(containers=[Container(name="c", image="nginx")]),
    )
    light.create(
        Deployment(
            metadata=ObjectMeta(name="light"),
            spec=DeploymentSpec(
                replicas=2, selector=LabelSelector(matchLabels=labels), template=template
            ),
        )
    )
    ready = light.wait(Deployment, "light", for_conditions=["Available"])
    assert ready.status.readyReplicas == 2
    light.create(
        Service(
            metadata=ObjectMeta(name="light"),
            spec=ServiceSpec(selector=labels, ports=[ServicePort(port=80)]),
        )
    )
    scale = light.get(Deployment.Scale, "light")
    scale.spec.replicas = 1
    light.replace(scale, "light")
    changed = light.patch(Deployment, "light", {"metadata": {"labels": {"x": "y"}}})
    assert (changed.spec.replicas, changed.metadata.labels) == (1, {"x": "y"})
    gone = [{"op": "remove", "path": "/metadata/labels/x"}]
    light.patch(Deployment, "light", gone, patch_type=PatchType.JSON)
    light.delete(Service, "light")
    light.delete(Deployment, "light", cascade=CascadeType.FOREGROUND)
    with pytest.raises(lightkube.ApiError) as caught:
        light.get(Service, "light")
    assert caught.value.status.reason == "NotFound"


def test_light_applies_and_watches(light: lightkube.Client) -> None:
    made = light.apply(ConfigMap(metadata=ObjectMeta(name="kept"), data={"a": "1"}))
    version = made.metadata.resourceVersion
    light.apply(ConfigMap(metadata=ObjectMeta(name="kept"), data={"a": "2"}), force=True)
    light.delete(ConfigMap, "kept")
    events = light.watch(ConfigMap, resource_version=version, fields={"metadata.name": "kept"})
    (first, changed), (second, _) = next(events), next(events)
    assert (first, changed.data, second) == ("MODIFIED", {"a": "2"}, "DELETED")
    events.close()


def test_light_lists_logs_and_commands(light: lightkube.Client) -> None:
    assert [node.metadata.name for node in light.list(Node, chunk_size=1)] == [
        "master001",
        "worker001",
    ]
    assert any(event.reason == "Scheduled" for event in light.list(Event))
    assert [line.strip() for line in light.log("box")] == ["up"]
    said = light.exec("box", command=["sh", "-c", "cat; exit 3"], stdin="typed", stdout=True)
    assert (said.stdout, said.exit_code) == ("typed", 3)
    assert light.get(Pod, "box").status.phase == "Running"


def test_light_finds_every_kind_as_its_type_says(lab: Shell, light: lightkube.Client) -> None:
    """What a real server always sends, required fields say; lightkube refuses what lacks them."""
    lab("kubectl create ingress i --rule=host/path=light:80 --class=c")
    lab("kubectl create job j --image=busybox -- true")
    lab("kubectl create cronjob c --image=busybox --schedule=@yearly -- true")
    lab("kubectl apply -f -", input=WEBHOOKS)
    for kind in KINDS:
        scope = {"namespace": "*"} if issubclass(kind, NamespacedResource) else {}
        for obj in light.list(kind, **scope):
            assert obj.metadata.uid, obj
