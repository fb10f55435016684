"""Scales, statuses and collections of what makes pods, as Kubernetes' own end-to-end tests."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.conformance import AGNHOST, Cluster, Space, agnhost, cluster
from e2e.labs import eventually

pytestmark = pytest.mark.root

SCALED = ("Deployment", "ReplicaSet", "StatefulSet")
APPS = (*SCALED, "DaemonSet")
CONDITION = {
    "type": "StatusUpdate",
    "status": "True",
    "reason": "E2E",
    "message": "Set from a test",
}
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("apps")) as it:
        yield it


@pytest.fixture
def space(lab: Cluster) -> Space:
    return lab.space("apps")


def workload(kind: str, name: str, value: str = "on", **spec: Any) -> dict[str, Any]:
    """One of a kind of apps/v1, and its pods, labelled `e2e: VALUE`."""
    labels = {"e2e": value}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [agnhost()]}}
    whole: dict[str, Any] = {"selector": {"matchLabels": labels}, "template": template, **spec}
    if kind != "DaemonSet":
        whole.setdefault("replicas", 1)
    if kind == "StatefulSet":
        whole["serviceName"] = name
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": metadata, "spec": whole}


def path(space: Space, kind: str, *rest: str) -> str:
    """Where its objects are."""
    return "/".join([f"/apis/apps/v1/namespaces/{space.name}/{kind.lower()}s", *rest])


def ready(space: Space, kind: str, name: str) -> int:
    """How many of its pods are ready."""
    status = space.get(kind, name)["status"]
    return int(status.get("readyReplicas") or status.get("numberReady") or 0)


@pytest.mark.parametrize("kind", SCALED)
def test_a_working_scale(space: Space, kind: str) -> None:
    space.create(workload(kind, "scaled"))
    where = path(space, kind, "scaled", "scale")
    eventually(lambda: space.client.request("GET", where)["status"]["replicas"] == 1)
    scale = space.client.request("GET", where)
    assert scale["spec"]["replicas"] == 1
    assert scale["status"]["selector"] == "e2e=on"
    scale["spec"]["replicas"] = 2
    scale["metadata"]["resourceVersion"] = ""  # whatever has come between
    assert space.client.request("PUT", where, scale)["spec"]["replicas"] == 2
    eventually(lambda: ready(space, kind, "scaled") == 2, 20.0)
    patch = {"spec": {"replicas": 4}}
    space.client.request("PATCH", where, patch, content_type=STRATEGIC)
    assert space.get(kind, "scaled")["spec"]["replicas"] == 4
    eventually(lambda: ready(space, kind, "scaled") == 4, 20.0)


@pytest.mark.parametrize("kind", APPS)
def test_statuses_are_read_updated_and_patched(space: Space, kind: str) -> None:
    space.create(workload(kind, "told"))
    eventually(lambda: ready(space, kind, "told") >= 1, 20.0)
    where = path(space, kind, "told", "status")

    def conditions() -> list[str]:
        found = space.client.request("GET", where)["status"].get("conditions", ())
        return [one["reason"] for one in found if one["type"] == "StatusUpdate"]

    def updated() -> bool:
        obj = space.client.request("GET", where)
        obj["status"].setdefault("conditions", []).append(CONDITION)
        answer = space.client.update(obj, subresource="status")
        return CONDITION["reason"] in [one["reason"] for one in answer["status"]["conditions"]]

    eventually(updated)
    eventually(lambda: conditions()[:1] == ["E2E"])
    patch = {"status": {"conditions": [{**CONDITION, "reason": "Patched"}]}}
    answer = space.client.request("PATCH", where, patch, content_type=MERGE)
    assert "Patched" in [one["reason"] for one in answer["status"]["conditions"]]


@pytest.mark.parametrize("kind", APPS)
def test_collections_are_listed_and_deleted(space: Space, kind: str) -> None:
    for name, value in (("a", "delete"), ("b", "delete"), ("c", "keep")):
        size = {} if kind == "DaemonSet" else {"replicas": 0}
        obj = workload(kind, name, value, **size)
        obj["spec"]["selector"]["matchLabels"] = {"name": name}
        obj["spec"]["template"]["metadata"]["labels"] = {"name": name}
        space.create(obj)
    query = {"labelSelector": "e2e=delete"}
    everywhere = f"/apis/apps/v1/{kind.lower()}s"
    assert len(space.client.request("GET", everywhere, query=query)["items"]) == 2
    patch = {"metadata": {"labels": {"e2e": "patched"}}}
    space.client.patch(kind, space.name, "b", patch, content_type=STRATEGIC)
    space.client.request("DELETE", path(space, kind), query={"labelSelector": "e2e in (patched)"})
    left = {"a", "c"}
    eventually(lambda: {o["metadata"]["name"] for o in space.client.list(kind, space.name)} == left)
    space.client.request("DELETE", path(space, kind), query=query)
    left = {"c"}
    eventually(lambda: {o["metadata"]["name"] for o in space.client.list(kind, space.name)} == left)


def test_the_life_of_a_deployment(space: Space) -> None:
    """Created, patched, scaled, updated and deleted, all of it told to who watches."""
    since = space.client.request("GET", path(space, "Deployment"))["metadata"]["resourceVersion"]
    space.create(workload("Deployment", "life", replicas=2))
    eventually(lambda: ready(space, "Deployment", "life") == 2, 20.0)
    patch = {
        "metadata": {"labels": {"test": "patched"}},
        "spec": {"template": {"spec": {"terminationGracePeriodSeconds": 0}}},
    }
    patched = space.client.patch("Deployment", space.name, "life", patch, content_type=STRATEGIC)
    assert patched["metadata"]["labels"]["test"] == "patched"

    def complete() -> bool:
        obj = space.get("Deployment", "life")
        status = obj["status"]
        seen = status["observedGeneration"] == obj["metadata"]["generation"]
        return seen and status.get("updatedReplicas") == status.get("availableReplicas") == 2

    eventually(complete, 20.0)
    space.change("Deployment", "life", replicas=1)
    eventually(lambda: space.get("Deployment", "life")["status"].get("readyReplicas") == 1, 20.0)
    space.client.request("DELETE", path(space, "Deployment"), query={"labelSelector": "test"})
    types = []
    for event in space.client.watch("Deployment", space.name, query={"resourceVersion": since}):
        types.append(event["type"])
        if event["type"] == "DELETED":
            break
    assert types[0] == "ADDED"
    assert set(types[1:-1]) == {"MODIFIED"}


def test_an_old_replica_set_says_which_revision_was_the_last(space: Space) -> None:
    """The Deployment adopts it and goes on counting where it was, with all 64 bits."""
    old = workload("ReplicaSet", "old")
    last = 3546343826724305832
    old["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": str(last)}
    space.create(old)
    new = workload("Deployment", "new")
    new["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    space.create(new)
    eventually(lambda: not space.get("ReplicaSet", "old")["status"]["replicas"], 20.0)
    annotations = space.get("Deployment", "new")["metadata"]["annotations"]
    assert annotations["deployment.kubernetes.io/revision"] == str(last + 1)


def test_scaling_halts_while_pods_of_a_set_are_unwell(space: Space) -> None:
    """They are well by a file in them."""
    probe = {"exec": {"command": ["test", "-e", "/well"]}, "periodSeconds": 1}
    stateful = workload("StatefulSet", "ss")
    stateful["spec"]["template"]["spec"] = {"containers": [agnhost(readinessProbe=probe)]}
    space.create(stateful)

    def make(well: bool, *pods: str) -> None:
        for pod in pods:
            eventually(lambda pod=pod: space.run(pod, "true").returncode == 0, 20.0)
            space.says(pod, "touch /well" if well else "rm /well")
        eventually(lambda: all(space.ready(pod) == well for pod in pods), 20.0)

    def halted(replicas: int, *pods: str) -> None:
        asked = space.change("StatefulSet", "ss", replicas=replicas)["metadata"]["generation"]
        status = lambda: space.get("StatefulSet", "ss")["status"]  # noqa: E731
        eventually(lambda: status()["observedGeneration"] == asked)
        time.sleep(0.5)
        assert space.pods({"e2e": "on"}) == list(pods)

    halted(3, "ss-0")
    for pod in ("ss-0", "ss-1", "ss-2"):
        make(True, pod)
    make(False, "ss-0", "ss-1", "ss-2")
    halted(0, "ss-0", "ss-1", "ss-2")
    for pod in ("ss-1", "ss-2"):  # that is well goes at once
        space.says(pod, "touch /well")
    eventually(lambda: space.pods({"e2e": "on"}) == [], 20.0)


def test_the_life_of_a_controller_revision(space: Space) -> None:
    space.create(workload("DaemonSet", "revised"))
    query = {"labelSelector": "e2e=on"}
    where = f"/apis/apps/v1/namespaces/{space.name}/controllerrevisions"
    eventually(lambda: space.client.request("GET", where, query=query)["items"])
    (first,) = space.client.request("GET", where, query=query)["items"]
    name = first["metadata"]["name"]
    patch = {"metadata": {"labels": {name: "patched"}}}
    patched = space.client.request("PATCH", f"{where}/{name}", patch, content_type=STRATEGIC)
    assert patched["metadata"]["labels"][name] == "patched"
    made = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": f"{name}-made",
            "labels": patched["metadata"]["labels"],
            "ownerReferences": first["metadata"]["ownerReferences"],
        },
        "data": first["data"],
        "revision": first["revision"] + 1,
    }
    space.create(made)
    assert len(space.client.request("GET", where, query=query)["items"]) == 2
    space.client.request("DELETE", f"{where}/{name}")
    eventually(lambda: space.get("ControllerRevision", f"{name}-made"))
    left = space.get("ControllerRevision", f"{name}-made")
    left["metadata"]["labels"][name] = "updated"
    assert space.client.update(left)["metadata"]["labels"][name] == "updated"
    space.client.request("DELETE", where, query={"labelSelector": f"{name}=updated"})
    assert not space.exists("ControllerRevision", f"{name}-made")


@pytest.mark.parametrize("image", ["registry.k8s.io/e2e-test-images/busybox:1.37.0-1", AGNHOST])
def test_tasks_may_fail_at_random(space: Space, image: str) -> None:
    """By what busybox' shell has and a plain one has not."""
    container = {"image": image, "command": ["sleep", "60"], "args": []}
    space.pod("shell", container=container, terminationGracePeriodSeconds=0)
    tried = space.says("shell", "for n in 1 2 3 4; do echo $(( $RANDOM / 16384 )); done")
    assert set(tried.split()) <= {"0", "1"}
    assert (
        space.says("shell", 'if [[ "$HOSTNAME" == "shell" ]]; then echo "a\\tb"; fi') == "a\\tb\n"
    )
    space.delete("Pod", "shell")


def test_of_a_namespace_pods_go_first(lab: Cluster) -> None:
    space = lab.space("ordered")
    held = {"name": "held", "finalizers": ["example.com/hold"]}
    spec = {"containers": [agnhost()], "terminationGracePeriodSeconds": 0}
    space.create({"apiVersion": "v1", "kind": "Pod", "metadata": held, "spec": spec})
    space.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "needed"}})
    where = f"/api/v1/namespaces/{space.name}"
    space.client.request("DELETE", where)
    eventually(lambda: "deletionTimestamp" in space.get("Pod", "held")["metadata"])

    def waiting() -> list[str]:
        conditions = space.client.request("GET", where)["status"].get("conditions") or []
        return [one["message"] for one in conditions if one["status"] == "True"]

    eventually(waiting, 10.0)
    one, other = waiting()
    assert "pods. has 1 resource instances" in one
    assert other.endswith("remaining: example.com/hold in 1 resource instances")
    assert "deletionTimestamp" not in space.get("ConfigMap", "needed")["metadata"]
    patch = {"metadata": {"finalizers": None}}
    space.client.request("PATCH", f"{where}/pods/held", patch, content_type=MERGE)

    def gone() -> bool:
        names = [one["metadata"]["name"] for one in space.client.list("Namespace")]
        return space.name not in names

    eventually(gone, 10.0)
