"""A lab whose directory is full says so, does nothing by halves, and goes on with room."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, eventually, machine

from netlab.client.sync import Client
from netlab.errors import ApiError
from netlab.kernel import paths

pytestmark = pytest.mark.root

OBJECTS = (
    manifests.web(image=manifests.GREETER)
    + manifests.service(clusterIP="10.96.7.7")
    + """\
---
apiVersion: v1
kind: Pod
metadata: {name: shell}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: c, image: busybox, command: [sh, -c, "trap exit TERM; sleep 10000 & wait"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: slow}
spec:
  automountServiceAccountToken: false  # whose files would make room for what it has to say
  terminationGracePeriodSeconds: 600
  containers:
  - {name: c, image: busybox, command: [sh, -c, "trap '' TERM; trap exit USR1; sleep 10000 & wait"]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: known}
data: {a: "1"}
"""
)
LAB = manifests.lab("full") + OBJECTS
CONFIGS = "/api/v1/namespaces/default/configmaps"
SHELL = "/api/v1/namespaces/default/pods/shell"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
LARGE = {"data": {"b": "x" * 100_000}}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        here.netlab("up", here.lab_file(LAB))
        yield here


def directory(lab: Machine) -> Path:
    return lab.base / "run" / "full"


def client(lab: Machine) -> Client:
    return Client(paths.api_socket(directory(lab)))


def fill(lab: Machine) -> None:
    """Leave no page free, nor room in the journal's last one."""
    place = directory(lab)

    def is_full() -> bool:
        found = os.statvfs(place)
        resize(place, str((found.f_blocks - found.f_bavail) * found.f_frsize))
        return os.statvfs(place).f_bavail == 0

    eventually(is_full)  # the lab may write a page while that is said
    with client(lab) as asking:
        number = 0
        with pytest.raises(ApiError, match="No space left"):
            while number < 100:  # a page takes fewer
                number += 1
                asking.request("POST", CONFIGS, {"metadata": {"name": f"last-{number}"}})


def make_room(lab: Machine) -> None:
    resize(directory(lab), "50%")


def resize(place: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def refused(lab: Machine, method: str, path: str, body: Any = None, **more: Any) -> None:
    with client(lab) as asking, pytest.raises(ApiError, match="No space left") as error:
        asking.request(method, path, body, **more)
    assert (error.value.code, error.value.reason) == (507, "InsufficientStorage")


def everything(lab: Machine) -> tuple[str, list[dict[str, Any]]]:
    """The latest revision, and all that the API shows."""
    with client(lab) as asking:
        revision = asking.request("GET", CONFIGS)["metadata"]["resourceVersion"]
        kinds = ("ConfigMap", "Pod", "Deployment", "ReplicaSet", "Service", "EndpointSlice")
        return revision, [obj for kind in kinds for obj in asking.list(kind)]


def container(lab: Machine) -> dict[str, Any]:
    with client(lab) as asking:
        (found,) = asking.request("GET", SHELL)["status"]["containerStatuses"]
    return dict(found)


def names(lab: Machine, kind: str) -> list[str]:
    with client(lab) as asking:
        return [obj["metadata"]["name"] for obj in asking.list(kind, "default")]


def started(lab: Machine) -> int:
    """How often an Event says that the shell's container has started."""
    with client(lab) as asking:
        events = asking.list("Event", "default")
    about = [one for one in events if one["involvedObject"]["name"] == "shell"]
    return sum(one["count"] for one in about if one["reason"] == "Started")


def kill_container(lab: Machine, pod: str = "shell", signal: str = "-TERM") -> None:
    """It takes along, or not, whoever asks for it."""
    with lab.start("exec", pod, "--", "kill", signal, "1") as command:
        command.communicate(timeout=10)


def kill_controller(lab: Machine) -> None:
    pid = int(paths.controller_pid(directory(lab)).read_text())
    descriptor = os.pidfd_open(pid)
    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    ended, _, _ = select.select([descriptor], [], [], 10)
    os.close(descriptor)
    assert ended


def test_nothing_happens_by_halves_and_all_goes_on_with_room(lab: Machine) -> None:
    with client(lab) as asking:
        asking.request("DELETE", "/api/v1/namespaces/default/pods/slow")
    fill(lab)
    before = revision, _ = everything(lab)
    merge = "application/merge-patch+json"
    refused(lab, "POST", CONFIGS, {"metadata": {"name": "new"}, **LARGE})
    refused(lab, "POST", CONFIGS, {"metadata": {"generateName": "new-"}, **LARGE})
    refused(lab, "PATCH", f"{CONFIGS}/known", LARGE, content_type=merge)
    refused(lab, "PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type=merge)
    refused(lab, "DELETE", f"{CONFIGS}/known")
    refused(lab, "DELETE", CONFIGS)
    refused(lab, "DELETE", SHELL)
    kill_container(lab)  # the kubelet has something to say that cannot be kept yet
    assert everything(lab) == before
    with client(lab) as asking:
        assert asking.raw("GET", "/livez/ping") == b"ok"
        with pytest.raises(ApiError) as unwell:
            asking.raw("GET", "/livez")
        assert unwell.value.code == 500
        query = {"resourceVersion": revision, "timeoutSeconds": "1"}
        assert list(asking.watch("ConfigMap", query=query)) == []

    said = lab.netlab("status", code=1).stdout
    assert "No space left on device" in said
    assert str(directory(lab)) in said
    findings = json.loads(lab.netlab("doctor", "-o", "json").stdout)
    (finding,) = [one for one in findings if one["name"] == "lab full"]
    assert not finding["ok"]
    assert "is full" in finding["detail"]

    # A pod that ends takes its files along: there may be room to say so, or there may not.
    kill_container(lab, "slow", "-USR1")
    eventually(lambda: not lab.namespace("full.default.slow").exists(), 20)

    make_room(lab)
    eventually(lambda: container(lab)["restartCount"] == 1 and container(lab)["ready"])
    eventually(lambda: started(lab) == 2)
    eventually(lambda: "slow" not in names(lab, "Pod"))
    with client(lab) as asking:
        asking.request("PATCH", DEPLOYMENT, {"spec": {"replicas": 3}}, content_type=merge)
        asking.request("DELETE", f"{CONFIGS}/known")
    # On a busy machine the disk was full for longer than a node's lease lasts.
    lab.netlab("wait", "--for=condition=Available", "deployment/web", "--timeout=50s")
    eventually(lambda: "No space" not in lab.status())


def test_a_controller_that_starts_on_a_full_disk_takes_everything_over(lab: Machine) -> None:
    fill(lab)
    before = everything(lab)
    kill_controller(lab)
    with lab.start("up", str(lab.base / "lab.yaml")) as command:
        out, err = command.communicate(timeout=60)
    assert "Traceback" not in out + err
    assert everything(lab) == before
    worker = "full.worker001"
    assert lab.curl(worker, "10.96.7.7").count("Hello,") == 1
    assert lab.resolve("full.default.shell", "web.default.svc.cluster.local") == {"10.96.7.7"}
    assert "No space left on device" in lab.netlab("status", code=1).stdout

    kill_controller(lab)
    make_room(lab)
    lab.netlab("up", lab.base / "lab.yaml")
    _, objects = everything(lab)
    assert [each["metadata"]["name"] for each in objects] == [
        each["metadata"]["name"] for each in before[1]
    ]


def test_a_file_that_has_no_room_is_named(lab: Machine) -> None:
    """Nothing half written is left, and what was there stays."""
    fill(lab)
    pool = {"pool": "172.16.110.220-172.16.110.230"}
    file = lab.lab_file(manifests.lab("full", loadBalancer=pool) + OBJECTS, "changed.yaml")
    place = directory(lab)
    before = {entry.name for entry in place.iterdir()}, (place / "lab.json").read_bytes()
    said = lab.netlab("up", file, code=1).stderr
    assert f"{place / 'lab.json'}: No space left on device" in said
    assert ({entry.name for entry in place.iterdir()}, (place / "lab.json").read_bytes()) == before
    make_room(lab)
    lab.netlab("up", file)
