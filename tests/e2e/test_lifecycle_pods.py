"""What a kubelet does for pods: probes, hooks, Events, deadlines, and pods without a namespace."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, answering, eventually, in_pods, machine

from netlab.client.sync import Client
from netlab.kernel import netns, paths

pytestmark = pytest.mark.root

LAB = manifests.lab("life") + manifests.box("client")

Json = dict[str, Any]


class Lab:
    """A running lab, and its objects."""

    def __init__(self, here: Machine) -> None:
        self.here = here
        self.directory = here.base / "run" / "life"
        self.client = Client(paths.api_socket(self.directory))

    def apply(self, text: str) -> None:
        self.here.netlab("apply", "-f", self.here.lab_file(text, "objects.yaml"))

    def run(self, name: str, container: str, more: str = "") -> None:
        """A pod with one container, both given in flow style."""
        self.apply(
            f"{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, "
            f"spec: {{containers: [{{name: c, {container}}}]{more}}}}}"
        )

    def pod(self, name: str) -> Json:
        found: Json = self.client.request("GET", f"/api/v1/namespaces/default/pods/{name}")
        return found

    def container(self, name: str) -> Json:
        found = self.pod(name)["status"].get("containerStatuses")
        assert found, f"pod {name} has not begun to start"
        first: Json = found[0]
        return first

    def is_ready(self, name: str) -> bool:
        return bool(self.container(name)["ready"])

    def reasons(self, name: str) -> dict[str, str]:
        """The pod's Events by reason: the last message of each."""
        events = self.client.list("Event", "default")
        return {
            str(event["reason"]): str(event["message"])
            for event in events
            if event["involvedObject"]["name"] == name
        }

    def said(self, name: str, reason: str) -> str:
        """The message of the pod's Event of that reason; Events come a moment later."""
        eventually(lambda: reason in self.reasons(name))
        return self.reasons(name)[reason]

    def delete(self, *names: str) -> float:
        """Delete pods and wait until they are gone; how long that took."""
        started = time.monotonic()
        for name in names:
            self.client.request("DELETE", f"/api/v1/namespaces/default/pods/{name}")
        eventually(lambda: not set(names) & {p["metadata"]["name"] for p in self.pods()}, 20)
        return time.monotonic() - started

    def pods(self) -> list[Json]:
        return list(self.client.list("Pod", "default"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with machine(tmp_path_factory.mktemp("life")) as here:
        here.netlab("up", here.lab_file(LAB))
        lab = Lab(here)
        with lab.client:
            yield lab


def test_a_server_is_ready_once_its_readiness_probe_says_so(lab: Lab) -> None:
    lab.run("good", "image: nginx, ports: [{name: web, containerPort: 80}], "
            "readinessProbe: {httpGet: {path: /, port: web}, periodSeconds: 1}")  # fmt: skip
    lab.run("wrong", "image: nginx, readinessProbe: {httpGet: {path: /nothing, port: 80}}")
    eventually(lambda: lab.is_ready("good"))
    eventually(lambda: "Unhealthy" in lab.reasons("wrong"))
    assert lab.said("wrong", "Unhealthy") == (
        "Readiness probe failed: HTTP probe failed with statuscode: 404"
    )
    assert not lab.is_ready("wrong")
    assert lab.said("good", "Started") == "Started container c"
    assert lab.delete("good", "wrong") < 2


def test_a_failed_liveness_probe_restarts_a_built_in_server_alone(lab: Lab) -> None:
    lab.apply("""
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  containers:
  - name: sick
    image: nginx
    livenessProbe: {tcpSocket: {port: 81}, periodSeconds: 1, failureThreshold: 1}
  - {name: well, image: hashicorp/http-echo}
""")
    eventually(lambda: lab.container("two")["restartCount"] >= 1)
    well = lab.pod("two")["status"]["containerStatuses"][1]
    assert (well["name"], well["restartCount"], well["ready"]) == ("well", 0, True)
    ip = lab.pod("two")["status"]["podIP"]
    assert lab.said("two", "Unhealthy") == (
        f"Liveness probe failed: dial tcp {ip}:81: connect: connection refused"
    )
    assert lab.said("two", "Killing") == ("Container sick failed liveness probe, will be restarted")
    eventually(lambda: "CrashLoopBackOff" in json.dumps(lab.container("two")))
    assert "Back-off restarting failed container sick" in lab.said("two", "BackOff")
    lab.delete("two")


def test_exec_probes_look_into_the_container(lab: Lab) -> None:
    lab.run("look", 'image: busybox, command: [sh, -c, "sleep 1; touch /tmp/up; sleep infinity"], '
            "startupProbe: {exec: {command: [ls, /tmp/up]}, periodSeconds: 1}, "
            "readinessProbe: {exec: {command: ['true']}, periodSeconds: 1}")  # fmt: skip
    eventually(lambda: lab.container("look")["state"].get("running"))
    assert lab.container("look")["started"] is False
    assert not lab.is_ready("look")
    eventually(lambda: lab.is_ready("look"))
    assert lab.container("look")["started"] is True
    assert lab.container("look")["restartCount"] == 0
    lab.client.request(
        "DELETE", "/api/v1/namespaces/default/pods/look", query={"gracePeriodSeconds": "0"}
    )


def test_a_liveness_probe_that_fails_restarts_a_command(lab: Lab) -> None:
    script = "trap exit TERM; while :; do sleep .05; done"
    lab.run("sick", f'image: busybox, command: [sh, -c, "{script}"], '
            "livenessProbe: {exec: {command: [sh, -c, 'echo so sick; exit 3']}, "
            "periodSeconds: 1, failureThreshold: 1}")  # fmt: skip
    eventually(lambda: lab.container("sick")["restartCount"] >= 1)
    assert lab.said("sick", "Unhealthy") == "Liveness probe failed: so sick\n"
    assert lab.delete("sick") < 2


def test_the_hook_before_the_end_is_run_and_waited_for(lab: Lab) -> None:
    lab.run("polite", "image: nginx, lifecycle: {preStop: {sleep: {seconds: 1}}}")
    eventually(lambda: lab.is_ready("polite"))
    ip = lab.pod("polite")["status"]["podIP"]
    lab.client.request("DELETE", "/api/v1/namespaces/default/pods/polite")
    time.sleep(0.5)
    assert lab.pod("polite")["metadata"]["deletionTimestamp"]
    assert "nginx" in lab.here.curl("life.default.client", ip)
    assert lab.said("polite", "Killing") == "Stopping container c"
    eventually(lambda: "polite" not in {p["metadata"]["name"] for p in lab.pods()}, 3)


def test_a_command_that_hears_the_end_but_goes_on_is_killed_after_its_grace_period(
    lab: Lab,
) -> None:
    command = '[sh, -c, "trap : TERM; touch /deaf; while :; do sleep 0.05; done"]'
    probe = "readinessProbe: {exec: {command: [cat, /deaf]}, periodSeconds: 1}"
    lab.run("deaf", f"image: busybox, command: {command}, {probe}",
            ", terminationGracePeriodSeconds: 1")  # fmt: skip
    eventually(lambda: lab.is_ready("deaf"))
    assert 0.9 < lab.delete("deaf") < 2.5


def test_a_pod_on_the_host_network_has_its_nodes_address(lab: Lab) -> None:
    lab.run("host", "image: nginx", ", hostNetwork: true")
    eventually(lambda: lab.is_ready("host"))
    status = lab.pod("host")["status"]
    assert status["podIP"] == status["hostIP"]
    assert "nginx" in lab.here.curl("life.default.client", status["hostIP"])
    node = lab.pod("host")["spec"]["nodeName"]
    assert lab.here.netlab("exec", "host", "--", "hostname").stdout.strip() == node
    lab.delete("host")
    assert lab.here.run_in(
        "life.default.client", "curl", "-sm1", f"http://{status['hostIP']}", check=False
    ).returncode == 7  # fmt: skip
    assert lab.here.namespace(f"life.{node}").exists()


def test_a_pod_past_its_deadline_has_failed(lab: Lab) -> None:
    lab.run("late", "image: busybox, command: [sleep, infinity]", ", activeDeadlineSeconds: 1")
    eventually(lambda: lab.pod("late")["status"]["phase"] == "Failed")
    assert lab.pod("late")["status"]["reason"] == "DeadlineExceeded"
    assert lab.delete("late") < 2


def test_a_pod_past_its_deadline_waits_for_no_next_try(lab: Lab) -> None:
    lab.run("crashing", 'image: busybox, command: ["false"]', ", activeDeadlineSeconds: 4")
    eventually(lambda: "waiting" in lab.container("crashing")["state"])
    eventually(lambda: lab.pod("crashing")["status"]["phase"] == "Failed")
    assert lab.pod("crashing")["status"]["reason"] == "DeadlineExceeded"
    ended = lab.container("crashing")["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("ContainerStatusUnknown", 137)
    lab.delete("crashing")


def test_a_container_whose_sub_path_leads_nowhere_is_not_configured(lab: Lab) -> None:
    mount = "volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(WHERE)}]"
    lab.run(
        "astray",
        f"image: busybox, command: [sleep, infinity], env: [{{name: WHERE, value: /tmp}}], {mount}",
        ", volumes: [{name: v, emptyDir: {}}]",
    )
    eventually(lambda: "Config" in lab.container("astray")["state"]["waiting"]["reason"])
    assert lab.container("astray")["state"]["waiting"] == {
        "reason": "CreateContainerConfigError",
        "message": "error SubPath `/tmp` must not be an absolute path",
    }
    lab.delete("astray")


def test_a_readiness_gate_holds_a_pod_back(lab: Lab) -> None:
    lab.run("gated", "image: nginx", ", readinessGates: [{conditionType: example.com/open}]")
    eventually(lambda: lab.is_ready("gated"))

    def conditions() -> dict[str, str]:
        return {c["type"]: c["status"] for c in lab.pod("gated")["status"]["conditions"]}

    assert (conditions()["ContainersReady"], conditions()["Ready"]) == ("True", "False")
    opened = [
        *lab.pod("gated")["status"]["conditions"],
        {"type": "example.com/open", "status": "True"},
    ]
    lab.client.request(
        "PATCH",
        "/api/v1/namespaces/default/pods/gated/status",
        {"status": {"conditions": opened}},
        content_type="application/merge-patch+json",
    )
    eventually(lambda: conditions()["Ready"] == "True")
    assert conditions()["example.com/open"] == "True"
    lab.delete("gated")


def test_a_pod_waits_for_its_config_map_and_then_starts(lab: Lab) -> None:
    lab.run("lacking", "image: nginx, envFrom: [{configMapRef: {name: conf}}]")
    eventually(
        lambda: (
            lab.container("lacking")["state"]["waiting"]["reason"] == "CreateContainerConfigError"
        )
    )
    assert lab.said("lacking", "Failed") == 'Error: configmap "conf" not found'
    lab.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: conf}, data: {a: b}}")
    eventually(lambda: lab.is_ready("lacking"), 2)
    lab.delete("lacking")


VOLUMES = """
{apiVersion: v1, kind: Secret, metadata: {name: key}, stringData: {token: s3cret}}
---
apiVersion: v1
kind: Pod
metadata: {name: vol, labels: {app: vol}}
spec:
  terminationGracePeriodSeconds: 0
  volumes:
  - {name: conf, configMap: {name: settings}}
  - {name: key, secret: {secretName: key, defaultMode: 0400}}
  - {name: scratch, emptyDir: {}}
  - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  containers:
  - name: a
    image: busybox
    command: [sleep, infinity]
    volumeMounts:
    - {name: conf, mountPath: /etc/app/conf.d}
    - {name: conf, mountPath: /etc/motd.d/one, subPath: motd}
    - {name: key, mountPath: /var/run/key}
    - {name: scratch, mountPath: /cache}
    - {name: info, mountPath: /tmp/info}
  - name: b
    image: busybox
    command: [sleep, infinity]
    volumeMounts: [{name: scratch, mountPath: /usr/share/shared}]
"""


def test_volumes_are_where_they_are_mounted_and_nowhere_else(lab: Lab) -> None:
    lab.apply(VOLUMES)
    assert lab.said("vol", "FailedMount") == (
        'MountVolume.SetUp failed for volume "conf" : configmap "settings" not found'
    )
    settings = "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {motd: DATA}}"
    lab.apply(settings.replace("DATA", "hello"))
    eventually(lambda: lab.is_ready("vol"), 15)  # it is looked for anew every five seconds

    def shell(container: str, script: str) -> str:
        return lab.here.netlab("exec", "vol", "-c", container, "--", "sh", "-c", script).stdout

    places = "/etc/app/conf.d/motd /etc/motd.d/one /run/key/token /tmp/info/labels"
    assert shell("a", f"tail -qn +1 {places}") == 'hellohellos3cretapp="vol"'
    shell("a", "echo shared > /cache/file; ! touch /etc/app/x; ! touch /etc/app/conf.d/x")
    assert shell("b", "cat /usr/share/shared/file; ls -d /cache || true") == "shared\n"
    lab.apply(settings.replace("DATA", "changed"))
    eventually(lambda: shell("a", "cat /etc/app/conf.d/motd") == "changed")
    for place in ("/etc/app", "/cache", "/usr/share/shared"):
        assert not Path(place).exists()
    lab.delete("vol")


def test_health_check_node_ports_know_where_endpoints_are(lab: Lab) -> None:
    lab.apply("{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}, "
              "spec: {containers: [{name: c, image: nginx}]}}")  # fmt: skip
    lab.apply("{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {"
              "type: LoadBalancer, externalTrafficPolicy: Local, "
              "selector: {app: web}, ports: [{port: 80}]}}")  # fmt: skip
    service = lab.client.request("GET", "/api/v1/namespaces/default/services/web")
    port = service["spec"]["healthCheckNodePort"]

    def answers() -> dict[str, int]:
        found = {}
        for node in lab.client.list("Node"):
            body = json.loads(lab.here.curl("life.client", f"{_external(node)}:{port}"))
            assert body["service"] == {"namespace": "default", "name": "web"}
            found[node["metadata"]["name"]] = body["localEndpoints"]
        return found

    eventually(lambda: sorted(answers().values()) == [0, 1])
    assert answers()[lab.pod("web")["spec"]["nodeName"]] == 1
    lab.delete("web")
    eventually(lambda: set(answers().values()) == {0})


def _external(node: Json) -> str:
    return next(a["address"] for a in node["status"]["addresses"] if a["type"] == "ExternalIP")


def test_a_hundred_pods_vanish_without_waiting_for_each_other(lab: Lab) -> None:
    lab.apply("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 100
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec: {containers: [{name: c, image: nginx}]}
""")

    def scale(replicas: int) -> None:
        lab.client.request(
            "PATCH",
            "/apis/apps/v1/namespaces/default/deployments/many",
            {"spec": {"replicas": replicas}},
            content_type="application/merge-patch+json",
        )

    def many() -> int:
        return sum(p["metadata"]["name"].startswith("many-") for p in lab.pods())

    eventually(lambda: many() == 100, 10)
    for replicas in (0, 100, 0, 100):  # nobody waits for anything
        scale(replicas)
        time.sleep(0.1)
    lab.here.netlab("apply", "-f", lab.here.lab_file(LAB))
    eventually(lambda: sum(lab_ready(pod) for pod in lab.pods()) >= 101, 15)
    scale(0)
    eventually(lambda: many() == 0, 15)  # 0.4 s when nothing else runs, 30 s of grace for each
    lab.client.request("DELETE", "/apis/apps/v1/namespaces/default/deployments/many")
    left = [
        entry.name for entry in paths.namespaces(lab.directory).iterdir() if "many" in entry.name
    ]
    assert left == []


def lab_ready(pod: Json) -> bool:
    conditions = pod["status"].get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_a_namespace_of_fifty_pods_goes_as_a_whole(lab: Lab) -> None:
    lab.apply("""
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: shelf, namespace: shop}
spec:
  replicas: 50
  serviceName: shelf
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: shelf}}
  template:
    metadata: {labels: {app: shelf}}
    spec: {containers: [{name: c, image: nginx}]}
""")
    eventually(lambda: sum(map(lab_ready, lab.client.list("Pod", "shop"))) == 50, 15)
    lab.client.request("DELETE", "/api/v1/namespaces/shop/pods/shelf-7")
    eventually(lambda: sum(map(lab_ready, lab.client.list("Pod", "shop"))) == 50)
    lab.client.request("DELETE", "/api/v1/namespaces/shop")
    eventually(lambda: "shop" not in {n["metadata"]["name"] for n in lab.client.list("Namespace")})
    left = [
        entry.name for entry in paths.namespaces(lab.directory).iterdir() if ".shop." in entry.name
    ]
    assert left == []


def test_the_controller_says_nothing_of_errors_in_all_this(lab: Lab) -> None:
    text = paths.controller_log(lab.directory).read_text()
    assert "Traceback" not in text, text


def test_a_deleted_dns_pod_has_a_successor_that_answers(lab: Lab) -> None:
    before = lab.client.list("Pod", "kube-system")
    name = next(p["metadata"]["name"] for p in before if "dnsmasq" in p["metadata"]["name"])
    lab.client.request("DELETE", f"/api/v1/namespaces/kube-system/pods/{name}")

    def resolves() -> bool:
        names = {p["metadata"]["name"] for p in lab.client.list("Pod", "kube-system")}
        return name not in names and bool(
            lab.here.resolve("life.default.client", "kubernetes.default.svc.cluster.local")
        )

    eventually(resolves, 10)


def test_what_the_responder_served_is_back_after_its_death(lab: Lab) -> None:
    """Commands are none of its business: they go on."""
    lab.run("web", "image: nginx")
    eventually(lambda: lab.is_ready("web"))
    before = lab.container("client")
    os.kill(answering(paths.responder_socket(lab.directory)), signal.SIGKILL)
    ip = lab.pod("web")["status"]["podIP"]
    eventually(lambda: "nginx" in lab.here.curl("life.default.client", ip))
    assert lab.here.netlab("exec", "client", "--", "echo", "here").stdout == "here\n"
    assert lab.container("client") == before
    assert lab.container("web")["restartCount"] == 0
    lab.delete("web")


def test_commands_start_anew_when_what_kept_them_is_killed(lab: Lab) -> None:
    lab.run("web", "image: nginx")
    lab.run("beside", "image: busybox, command: [sleep, infinity]")
    eventually(lambda: lab.is_ready("web") and lab.is_ready("beside"))
    count = lab.container("client")["restartCount"]
    before = in_pods(netns.owner(lab.directory) or "")
    assert len(before) >= 2
    os.kill(answering(paths.runtime_socket(lab.directory)), signal.SIGKILL)
    assert lab.delete("beside") < 5
    eventually(lambda: lab.container("client")["restartCount"] == count + 1, 20)
    eventually(lambda: lab.is_ready("client"), 20)
    assert lab.here.netlab("exec", "client", "--", "pgrep", "-c", "sleep").stdout == "1\n"
    assert lab.container("web")["restartCount"] == 0
    assert not set(before) & set(in_pods(netns.owner(lab.directory) or ""))
    lab.delete("web")


def test_a_pod_deleted_while_its_container_starts_leaves_nothing(lab: Lab) -> None:
    """However far it has come: nobody is left to be told of its end."""
    owner = netns.owner(lab.directory) or ""
    eventually(lambda: lab.is_ready("client"))
    before = in_pods(owner)
    script = "trap exit TERM; while :; do sleep .05; done"
    for delay in (0.0, 0.05, 0.1, 0.2):
        lab.run("brief", f'image: busybox, command: [sh, -c, "{script}"]')
        time.sleep(delay)
        assert lab.delete("brief") < 5
        assert in_pods(owner) == before


def test_who_ends_serves_for_as_long_as_it_is_ready(lab: Lab) -> None:
    """With no other endpoint a Service still has it; once its probe fails, it is not even that."""
    lab.apply("""
apiVersion: v1
kind: Pod
metadata: {name: slow, labels: {app: slow}}
spec:
  terminationGracePeriodSeconds: 600
  containers:
  - name: c
    image: registry.k8s.io/e2e-test-images/agnhost:2.53
    args: [netexec, --delay-shutdown=600]
    ports: [{containerPort: 8080}]
    readinessProbe: {exec: {command: [test, '!', -e, /tmp/ill]}, periodSeconds: 1}
    livenessProbe: {exec: {command: [test, '!', -e, /tmp/ill]}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: slow}
spec:
  selector: {app: slow}
  ports: [{port: 80, targetPort: 8080}]
""")

    def conditions() -> dict[str, bool]:
        slices = lab.client.list("EndpointSlice", "default")
        own = [each for each in slices if each["metadata"]["name"].startswith("slow-")]
        found = [dict(each["conditions"]) for one in own for each in one["endpoints"]]
        return found[0] if found else {}

    eventually(lambda: lab.is_ready("slow"))
    lab.client.request("DELETE", "/api/v1/namespaces/default/pods/slow")
    ending = {"ready": False, "serving": True, "terminating": True}
    eventually(lambda: conditions() == ending)
    service = lab.client.request("GET", "/api/v1/namespaces/default/services/slow")
    asking = ["curl", "-sm1", f"http://{service['spec']['clusterIP']}/hostname"]
    eventually(
        lambda: lab.here.run_in("life.default.client", *asking, check=False).stdout == "slow"
    )
    lab.here.netlab("exec", "slow", "--", "touch", "/tmp/ill")
    eventually(lambda: conditions() == {**ending, "serving": False})
    assert lab.container("slow")["restartCount"] == 0
    lab.client.request(
        "DELETE", "/api/v1/namespaces/default/pods/slow", query={"gracePeriodSeconds": "0"}
    )
    lab.client.request("DELETE", "/api/v1/namespaces/default/services/slow")


def test_an_image_that_does_not_exist_is_waited_for(lab: Lab) -> None:
    lab.run("absent", "image: 'webserver:404'", ", initContainers: [{name: i, image: Upper}]")
    lab.run("typing", "image: 'nginx:1.161'")

    def waits(name: str, statuses: str = "containerStatuses") -> Any:
        found = lab.pod(name)["status"].get(statuses) or [{}]
        return (found[0].get("state", {}).get("waiting") or {}).get("reason")

    eventually(lambda: waits("absent", "initContainerStatuses") == "InvalidImageName")
    assert waits("absent") == "PodInitializing"
    eventually(lambda: waits("typing") == "ImagePullBackOff")
    assert lab.said("typing", "BackOff") == 'Back-off pulling image "nginx:1.161"'
    lab.client.request(
        "PATCH",
        "/api/v1/namespaces/default/pods/typing",
        {"spec": {"containers": [{"name": "c", "image": "nginx:1.16.1"}]}},
        content_type="application/strategic-merge-patch+json",
    )
    eventually(lambda: lab.is_ready("typing"))
    assert lab.delete("absent", "typing") < 5


def test_a_web_server_shows_what_another_container_wrote(lab: Lab) -> None:
    lab.apply("""
apiVersion: v1
kind: Pod
metadata: {name: site}
spec:
  volumes: [{name: html, emptyDir: {}}]
  initContainers:
  - name: write
    image: busybox
    command: [sh, -c, echo from the init container >/work/index.html]
    volumeMounts: [{name: html, mountPath: /work}]
  containers:
  - name: c
    image: nginx
    ports: [{containerPort: 80}]
    volumeMounts: [{name: html, mountPath: /usr/share/nginx/html}]
""")
    eventually(lambda: lab.container("site") and lab.is_ready("site"))
    ip = lab.pod("site")["status"]["podIP"]
    assert lab.here.curl("life.default.client", ip) == "from the init container\n"
    lab.here.netlab("exec", "site", "--", "sh", "-c", "echo b >/usr/share/nginx/html/b")
    assert lab.here.curl("life.default.client", f"{ip}/b") == "b\n"
    assert '"GET /b HTTP/1.1" 200 2' in lab.here.netlab("logs", "site").stdout
    assert lab.delete("site") < 5
