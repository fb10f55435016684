"""What pods ask for and get, seen from inside of them: names, volumes, roots, environment, ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import needs
import pytest
from e2e.labs import Machine, eventually, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: fields}
spec: {nodes: [{name: master001, role: control-plane}, {name: worker001}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: c
        image: busybox
        command: [sh, -c, "hostname -f >>/data/names; exec sleep 1000"]
        volumeMounts: [{name: data, mountPath: /data}]
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {default.conf: 'server { listen 80; location / { return 200 "as configured\\n"; } }'}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  hostname: web-0
  subdomain: db
  setHostnameAsFQDN: true
  enableServiceLinks: false
  hostAliases: [{ip: 192.0.2.9, hostnames: [other]}]
  containers: [{name: c, image: nginx, ports: [{containerPort: 80}]}]
---
apiVersion: v1
kind: Pod
metadata: {name: configured}
spec:
  volumes: [{name: conf, configMap: {name: conf}}]
  containers:
  - {name: c, image: nginx, volumeMounts: [{name: conf, mountPath: /etc/nginx/conf.d}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: httpd}
data:
  httpd.conf: |
    ServerRoot "/usr/local/apache2"
    Listen 8080
    LoadModule mpm_event_module modules/mod_mpm_event.so
    LoadModule authz_core_module modules/mod_authz_core.so
    LoadModule log_config_module modules/mod_log_config.so
    LoadModule unixd_module modules/mod_unixd.so
    LoadModule mime_module modules/mod_mime.so
    LoadModule alias_module modules/mod_alias.so
    User www-data
    Group www-data
    TypesConfig conf/mime.types
    DocumentRoot "/usr/local/apache2/htdocs"
    ErrorLog /proc/self/fd/2
    LogFormat "%h %r %>s" common
    CustomLog /proc/self/fd/1 common
    Redirect /away http://example.com/
---
apiVersion: v1
kind: Pod
metadata: {name: httpd}
spec:
  volumes: [{name: conf, configMap: {name: httpd}}]
  containers:
  - name: c
    image: httpd:2.4
    volumeMounts:
    - {name: conf, mountPath: /usr/local/apache2/conf/httpd.conf, subPath: httpd.conf}
---
apiVersion: v1
kind: Pod
metadata: {name: httpd-more}
spec:
  volumes: [{name: conf, configMap: {name: httpd}}]
  containers:
  - name: c
    image: httpd:2.4-alpine
    volumeMounts: [{name: conf, mountPath: /usr/local/apache2/conf/extra}]
---
apiVersion: v1
kind: Pod
metadata: {name: full}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: c
    image: busybox
    command: [sleep, "1000"]
    resources: {limits: {ephemeral-storage: 1Mi}}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec:
  containers: [{name: c, image: busybox, command: [sleep, "1000"]}]
"""


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("fields")) as here:
        here.netlab("up", here.lab_file(LAB), timeout=120.0)
        yield here


def inside(here: Machine, pod: str, script: str) -> str:
    return here.netlab("exec", pod, "--", "sh", "-c", script).stdout


def got(here: Machine, *what: str) -> Any:
    return json.loads(here.netlab("get", *what, "-o", "json").stdout)


def test_a_pod_has_the_names_that_it_asks_for(here: Machine) -> None:
    name = "web-0.db.default.svc.cluster.local"
    said = inside(here, "web", "hostname; hostname -f; tail -n 4 /etc/hosts; echo $HOSTNAME")
    lines = said.splitlines()
    assert lines[:2] == [name, name]
    assert lines[2].split()[1:] == [name, "web-0"]
    assert lines[-2:] == ["192.0.2.9\tother", name]


def test_commands_have_the_environment_of_their_container(here: Machine) -> None:
    here.netlab("expose", "pod", "web", "--port", "80", "--name", "late")
    for pod in ("web", "box"):
        said = inside(here, pod, "env")
        assert "LATE_SERVICE_HOST" not in said, pod
        assert "KUBERNETES_SERVICE_HOST" in said, pod


def test_what_a_set_has_claimed_outlives_its_pods(here: Machine) -> None:
    before = got(here, "pod", "db-0")["metadata"]["uid"]
    here.netlab("delete", "pod", "db-0")

    def is_back() -> bool:
        pods = got(here, "pods", "-l", "app=db")["items"]
        return any(
            each["metadata"]["uid"] != before and each["status"]["phase"] == "Running"
            for each in pods
        )

    eventually(is_back, 30.0)
    name = "db-0.db.default.svc.cluster.local\n"
    assert inside(here, "db-0", "cat /data/names") == 2 * name
    claim = got(here, "pvc", "data-db-0")
    assert claim["status"]["phase"] == "Bound"
    place = here.base / "run/fields/disks/volumes" / claim["spec"]["volumeName"]
    assert (place / "names").read_text() == 2 * name
    here.netlab("delete", "statefulset", "db")
    here.netlab("delete", "pvc", "data-db-0")
    eventually(lambda: not place.exists(), 30.0)
    assert got(here, "pv")["items"] == []


def test_a_container_may_write_to_its_root(here: Machine) -> None:
    script = (
        "touch /var/ready /etc/x && echo hi >/usr/share/nginx/html/x && cat /usr/share/nginx/html/x"
    )
    for pod in ("web", "box"):
        assert inside(here, pod, script) == "hi\n"


def test_a_pod_that_keeps_too_much_is_evicted(here: Machine) -> None:
    inside(here, "full", "fallocate -l 2M /x")
    eventually(lambda: got(here, "pod", "full")["status"]["phase"] == "Failed", 30.0)
    status = got(here, "pod", "full")["status"]
    limit = "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. "
    assert (status["reason"], status["message"]) == ("Evicted", limit)


def test_a_mounted_configuration_is_the_real_programs(here: Machine) -> None:
    needs.program("nginx")
    address = got(here, "pod", "configured")["status"]["podIP"]
    assert inside(here, "box", f"curl -sS -m 5 {address}") == "as configured\n"
    assert '"GET / HTTP/1.1" 200' in here.netlab("logs", "configured").stdout


def test_a_mounted_configuration_of_httpd_is_the_real_program_s(here: Machine) -> None:
    needs.program("apache2")
    for pod, port in ("httpd", 8080), ("httpd-more", 80):  # the second has its image's own
        address = got(here, "pod", pod)["status"]["podIP"]
        asked = f"curl -sS -i -m 5 {address}:{port}/index.html"
        said = inside(here, "box", asked)
        assert "\nServer: Apache/" in said
        assert said.endswith("<html><body><h1>It works!</h1></body></html>\n")
    first = got(here, "pod", "httpd")["status"]["podIP"]
    away = f"curl -sS -o /dev/null -m 5 -w '%{{http_code}}' {first}:8080/away"
    assert inside(here, "box", away) == "302"
    assert "GET /away HTTP/1.1 302" in here.netlab("logs", "httpd").stdout
    here.netlab("delete", "pod", "httpd", "httpd-more")


def test_a_mount_point_that_was_made_is_the_pod_s(here: Machine) -> None:
    """As are its parents: something else may be put beside it."""
    here.netlab("apply", "-f", here.lab_file(PLACED, "placed.yaml"))
    here.netlab("wait", "--for=condition=Ready", "pod/placed", "--timeout=30s")
    said = inside(here, "placed", "stat -c %U /usr/local/made/deep /usr/local/made; touch "
                  "/usr/local/made/deep/beside /opt/made/beside && echo written")  # fmt: skip
    assert said.split() == ["root", "root", "written"]
    here.netlab("delete", "pod", "placed")


PLACED = """
apiVersion: v1
kind: Pod
metadata: {name: placed}
spec:
  terminationGracePeriodSeconds: 0
  volumes: [{name: conf, configMap: {name: conf}}, {name: v, emptyDir: {}}]
  containers:
  - name: c
    image: busybox
    command: [sleep, "1000"]
    volumeMounts:
    - {name: conf, mountPath: /usr/local/made/deep/file, subPath: default.conf}
    - {name: v, mountPath: /opt/made/v}
"""


def test_quick_commands_end_as_they_have(here: Machine) -> None:
    """Many at once, on a terminal and without one: each says all, and how it has ended."""
    began = [
        here.start("exec", *terminal, "box", "--", "sh", "-c", "echo out; exit 3")
        for terminal in ([], ["-t"]) * 10
    ]
    ended = [(one.communicate(timeout=60.0)[0], one.returncode) for one in began]
    assert [code for _, code in ended] == [3] * len(began)
    assert all("out" in said for said, _ in ended)


WORDS = """
apiVersion: v1
kind: Pod
metadata: {name: words}
spec:
  restartPolicy: Never
  securityContext: {runAsUser: 1000}
  initContainers:
  - {name: first, image: busybox, command: [sh, -c, "echo begun >/dev/termination-log"]}
  containers:
  - name: said
    image: busybox
    terminationMessagePath: /dev/why
    command: [sh, -c, "echo log; printf OK >/dev/why"]
  - name: logged
    image: busybox
    terminationMessagePolicy: FallbackToLogsOnError
    command: [sh, -c, "echo DONE; exit 1"]
"""


def test_a_container_says_why_it_ends(here: Machine) -> None:
    here.netlab("apply", "-f", here.lab_file(WORDS, "words.yaml"))
    eventually(lambda: got(here, "pod", "words")["status"]["phase"] == "Failed", 30.0)
    status = got(here, "pod", "words")["status"]
    ended = [*status["initContainerStatuses"], *status["containerStatuses"]]
    said = {one["name"]: one["state"]["terminated"].get("message") for one in ended}
    assert said == {"first": "begun\n", "said": "OK", "logged": "DONE\n"}


SHARING = """
apiVersion: v1
kind: Pod
metadata: {name: sharing}
spec:
  shareProcessNamespace: true
  terminationGracePeriodSeconds: 1
  containers:
  - {name: nginx, image: nginx}
  - name: worker
    image: busybox
    command: [sh, -c, "trap 'exit 3' HUP; while :; do sleep 0.1; done"]
  - name: shell
    image: busybox
    command: [sleep, "1000"]
    securityContext: {capabilities: {add: [SYS_PTRACE]}}
"""


def test_containers_that_share_their_processes_see_and_signal_them(here: Machine) -> None:
    """As the page of Kubernetes on it shows."""
    said = here.netlab("apply", "-f", here.lab_file(SHARING, "sharing.yaml"))
    assert "Warning" not in said.stdout + said.stderr
    here.netlab("wait", "--for=condition=Ready", "pod/sharing", "--timeout=30s")

    def shell(script: str) -> str:
        return here.netlab("exec", "sharing", "-c", "shell", "--", "sh", "-c", script).stdout

    listed = shell("ps -e -o pid=,args=").splitlines()
    assert listed[0].split() == ["1", "/pause", "infinity"]
    (server,) = [line.split()[0] for line in listed if "/web-server" in line]
    assert "Welcome to nginx!" in shell(f"cat /proc/{server}/root/usr/share/nginx/html/index.html")
    shell(f"kill -HUP {server}")  # it reloads, and stays
    shell("kill -HUP $(pgrep -o -f 'trap .exit 3')")

    def restarts() -> dict[str, int]:
        entries = got(here, "pod", "sharing")["status"]["containerStatuses"]
        return {one["name"]: one["restartCount"] for one in entries if one["ready"]}

    eventually(lambda: restarts() == {"nginx": 0, "worker": 1, "shell": 0}, 20)
    assert "Welcome to nginx!" in shell("curl -sS --max-time 5 127.0.0.1")
    assert inside(here, "box", "ps -e -o args=").splitlines()[0] == "sleep 1000"
    here.netlab("delete", "pod", "sharing")
