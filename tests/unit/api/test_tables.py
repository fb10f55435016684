"""Server-side printing: the cells of each kind, as a real API server prints them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from netlab.api.printing.cells import Since
from netlab.api.tables import columns, printer, row_template, table
from netlab.objects.kinds import KINDS

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()


def obj(kind: str, spec: Any = None, status: Any = None, **more: Any) -> dict[str, Any]:
    metadata = {
        "name": "web",
        "namespace": "default",
        "creationTimestamp": "2026-01-31T11:58:53Z",
        **more.pop("metadata", {}),
    }
    found = {"kind": kind, "metadata": metadata, **more}
    return {**found, "spec": spec or {}, "status": status or {}}


def cells(obj: dict[str, Any], now: float) -> list[str | int]:
    """As they read at `now`."""
    found = printer(obj["kind"]).cells(obj)
    return [cell.text(now) if isinstance(cell, Since) else cell for cell in found]


def headers(kind: str) -> str:
    return " ".join(
        (column.name.upper() + "*" * column.priority).replace(" ", "_") for column in columns(kind)
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("Pod", "NAME READY STATUS RESTARTS AGE IP* NODE* NOMINATED_NODE* READINESS_GATES*"),
        ("Service", "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR*"),
        ("Deployment", "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("ReplicaSet", "NAME DESIRED CURRENT READY AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("PodTemplate", "NAME CONTAINERS IMAGES POD_LABELS"),
        ("ReplicationController", "NAME DESIRED CURRENT READY AGE CONTAINERS* IMAGES* SELECTOR*"),
        ("StatefulSet", "NAME READY AGE CONTAINERS* IMAGES*"),
        (
            "DaemonSet",
            "NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE_SELECTOR AGE CONTAINERS* "
            "IMAGES* SELECTOR*",
        ),
        ("Job", "NAME STATUS COMPLETIONS DURATION AGE CONTAINERS* IMAGES* SELECTOR*"),
        (
            "CronJob",
            "NAME SCHEDULE TIMEZONE SUSPEND ACTIVE LAST_SCHEDULE AGE CONTAINERS* IMAGES* SELECTOR*",
        ),
        ("ValidatingWebhookConfiguration", "NAME WEBHOOKS AGE"),
        ("MutatingWebhookConfiguration", "NAME WEBHOOKS AGE"),
        (
            "Node",
            "NAME STATUS ROLES AGE VERSION INTERNAL-IP* EXTERNAL-IP* OS-IMAGE* KERNEL-VERSION* "
            "CONTAINER-RUNTIME*",
        ),
        ("Namespace", "NAME STATUS AGE"),
        ("Endpoints", "NAME ENDPOINTS AGE"),
        ("EndpointSlice", "NAME ADDRESSTYPE PORTS ENDPOINTS AGE"),
        ("Ingress", "NAME CLASS HOSTS ADDRESS PORTS AGE"),
        ("IngressClass", "NAME CONTROLLER PARAMETERS AGE"),
        ("ConfigMap", "NAME DATA AGE"),
        ("Secret", "NAME TYPE DATA AGE"),
        ("ServiceAccount", "NAME SECRETS AGE"),
        ("Lease", "NAME HOLDER AGE"),
        ("ControllerRevision", "NAME CONTROLLER REVISION AGE"),
        ("ServiceCIDR", "NAME CIDRS AGE"),
        ("IPAddress", "NAME PARENTREF"),
        ("ResourceQuota", "NAME REQUEST LIMIT AGE"),
        ("Role", "NAME CREATED_AT"),
        ("ClusterRole", "NAME CREATED_AT"),
        ("RoleBinding", "NAME ROLE AGE USERS* GROUPS* SERVICEACCOUNTS*"),
        ("ClusterRoleBinding", "NAME ROLE AGE USERS* GROUPS* SERVICEACCOUNTS*"),
        (
            "Event",
            "LAST_SEEN TYPE REASON OBJECT SUBOBJECT* SOURCE* MESSAGE FIRST_SEEN* COUNT* NAME*",
        ),
    ],
)
def test_columns(kind: str, expected: str) -> None:
    assert headers(kind) == expected


@pytest.mark.parametrize("kind", [kind.kind for kind in KINDS])
def test_every_kind_prints_a_bare_object(kind: str) -> None:
    bare = {"kind": kind, "metadata": {"name": "web"}}
    assert len(cells(bare, NOW)) == len(columns(kind))


def test_a_scale_tells_what_is_wanted_and_what_is_there() -> None:
    scale = obj("Scale", spec={"replicas": 3}, status={"replicas": 2})
    assert [column.name for column in columns("Scale")] == ["Name", "Desired", "Available", "Age"]
    assert cells(scale, NOW) == ["web", 3, 2, "67s"]


# -- pods ----------------------------------------------------------------------------------

TWO = {"containers": [{"name": "a"}, {"name": "b"}], "nodeName": "worker001"}
RUNNING = {"running": {"startedAt": "2026-01-31T11:59:00Z"}}


def container(name: str, state: Any, *, ready: bool = False, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": state, "ready": ready, "restartCount": 0, **more}


def pod(*statuses: Any, phase: str = "Running", **more: Any) -> dict[str, Any]:
    status = {"phase": phase, "podIPs": [{"ip": "10.244.1.5"}], "containerStatuses": [*statuses]}
    status |= more.pop("status", {})
    return obj("Pod", more.pop("spec", TWO), status, **more)


def test_a_running_pod() -> None:
    running = pod(container("a", RUNNING, ready=True), container("b", RUNNING, ready=True))
    assert cells(running, NOW) == [
        "web", "2/2", "Running", "0", "67s", "10.244.1.5", "worker001", "<none>", "<none>",
    ]  # fmt: skip


def test_an_unscheduled_pod() -> None:
    waiting = obj("Pod", {"containers": [{"name": "a"}]}, {"phase": "Pending"})
    assert cells(waiting, NOW)[1:] == [
        "0/1", "Pending", "0", "67s", "<none>", "<none>", "<none>", "<none>",
    ]  # fmt: skip


def state(kind: str, reason: str = "", **more: Any) -> dict[str, Any]:
    return {kind: {"reason": reason, **more} if reason else more}


CREATING = state("waiting", "ContainerCreating")
COMPLETED = state("terminated", "Completed", exitCode=0)
BACKOFF = state("waiting", "CrashLoopBackOff")


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        ([container("a", CREATING), container("b", CREATING)], "ContainerCreating"),
        ([container("a", BACKOFF), container("b", RUNNING, ready=True)], "CrashLoopBackOff"),
        ([container("a", COMPLETED), container("b", COMPLETED)], "Completed"),
        ([container("a", COMPLETED), container("b", RUNNING, ready=True)], "NotReady"),
        ([container("a", state("terminated", "Error", exitCode=1))], "Error"),
        ([container("a", state("terminated", exitCode=3))], "ExitCode:3"),
        ([container("a", state("terminated", exitCode=137, signal=9))], "Signal:9"),
        ([container("a", RUNNING), container("b", RUNNING)], "Running"),
    ],
)
def test_pod_status(statuses: list[Any], expected: str) -> None:
    assert cells(pod(*statuses), NOW)[2] == expected


def test_a_completed_container_beside_a_ready_pod_runs() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    both = pod(container("a", COMPLETED), container("b", RUNNING, ready=True), status=ready)
    assert cells(both, NOW)[1:3] == ["1/2", "Running"]


def test_a_deleted_pod_terminates_until_it_is_over() -> None:
    deleted = {"deletionTimestamp": "2026-01-31T12:00:30Z"}
    going = pod(container("a", RUNNING, ready=True), metadata=deleted)
    assert cells(going, NOW)[2] == "Terminating"
    over = pod(container("a", COMPLETED), phase="Succeeded", metadata=deleted)
    assert cells(over, NOW)[2] == "Completed"


def test_restarts_tell_when_the_last_one_was() -> None:
    last = {"terminated": {"finishedAt": "2026-01-31T11:55:00Z"}}
    crashed = container("a", RUNNING, ready=True) | {"restartCount": 3, "lastState": last}
    assert cells(pod(crashed), NOW)[3] == "3 (5m ago)"
    assert cells(pod(container("a", RUNNING) | {"restartCount": 2}), NOW)[3] == "2"


def test_init_containers_come_first() -> None:
    spec = TWO | {"initContainers": [{"name": "i"}, {"name": "j"}]}
    init = [container("i", COMPLETED), container("j", state("waiting", "PodInitializing"))]
    pending = pod(spec=spec, phase="Pending", status={"initContainerStatuses": init})
    assert cells(pending, NOW)[1:3] == ["0/2", "Init:1/2"]
    failed = [container("i", state("terminated", "Error", exitCode=1))]
    assert cells(pod(spec=spec, status={"initContainerStatuses": failed}), NOW)[2] == "Init:Error"


def test_a_reason_of_the_whole_pod_is_its_status() -> None:
    evicted = obj("Pod", TWO, {"phase": "Failed", "reason": "Evicted"})
    assert cells(evicted, NOW)[2] == "Evicted"


def test_readiness_gates_are_counted() -> None:
    spec = TWO | {"readinessGates": [{"conditionType": "x"}, {"conditionType": "y"}]}
    met = {"conditions": [{"type": "x", "status": "True"}]}
    assert cells(pod(spec=spec, status=met), NOW)[8] == "1/2"


# -- services ------------------------------------------------------------------------------


def service(status: Any = None, **spec: Any) -> list[Any]:
    whole = {"type": "ClusterIP", "clusterIPs": ["10.96.0.7"], **spec}
    return cells(obj("Service", whole, status), NOW)[1:5]


PORTS = [{"port": 80, "protocol": "TCP", "nodePort": 30080}, {"port": 53, "protocol": "UDP"}]


def test_services() -> None:
    assert service(ports=PORTS[1:]) == ["ClusterIP", "10.96.0.7", "<none>", "53/UDP"]
    assert service(type="NodePort", ports=PORTS)[3] == "80:30080/TCP,53/UDP"
    assert service(externalIPs=["1.2.3.4", "1.2.3.5"])[2] == "1.2.3.4,1.2.3.5"
    assert service(clusterIPs=["None"]) == ["ClusterIP", "None", "<none>", "<none>"]


def test_a_load_balancer_waits_for_its_address() -> None:
    assert service(type="LoadBalancer")[2] == "<pending>"
    ingress = {"loadBalancer": {"ingress": [{"ip": "172.16.110.200"}, {"hostname": "lb.example"}]}}
    assert service(ingress, type="LoadBalancer")[2] == "172.16.110.200,lb.example"


def test_an_external_name_has_no_cluster_ip() -> None:
    found = service(type="ExternalName", clusterIPs=None, externalName="example.com")
    assert found == ["ExternalName", "<none>", "example.com", "<none>"]


def test_selectors_are_sorted() -> None:
    assert cells(obj("Service", {"selector": {"b": "2", "a": "1"}}), NOW)[6] == "a=1,b=2"
    assert cells(obj("Service"), NOW)[6] == "<none>"


def test_endpoints_show_three_and_count_the_rest() -> None:
    ready = [{"ip": f"10.244.1.{n}"} for n in range(1, 6)]
    found = obj("Endpoints", subsets=[{"addresses": ready, "ports": [{"port": 80}]}])
    text = "10.244.1.1:80,10.244.1.2:80,10.244.1.3:80 + 2 more..."
    assert cells(found, NOW)[1] == text
    assert cells(obj("Endpoints"), NOW)[1] == "<none>"
    six = obj("Endpoints", subsets=[{"addresses": [{"ip": "fd00::1"}], "ports": [{"port": 80}]}])
    assert cells(six, NOW)[1] == "[fd00::1]:80"


def test_endpointslices() -> None:
    found = obj(
        "EndpointSlice",
        addressType="IPv4",
        ports=[{"port": 80}, {"port": None}],
        endpoints=[{"addresses": [f"10.244.1.{n}"]} for n in range(1, 5)],
    )
    many = "10.244.1.1,10.244.1.2,10.244.1.3 + 1 more..."
    assert cells(found, NOW)[1:4] == ["IPv4", "80,*", many]
    empty = obj("EndpointSlice", addressType="IPv4", ports=None, endpoints=None)
    assert cells(empty, NOW)[2:4] == ["<unset>", "<unset>"]


def test_ingresses() -> None:
    found = obj("Ingress", {"rules": [{"host": "a.example"}, {}], "tls": [{}]})
    assert cells(found, NOW)[1:5] == ["<none>", "a.example", "", "80, 443"]
    assert cells(obj("Ingress"), NOW)[1:5] == ["<none>", "*", "", "80"]


# -- workloads -----------------------------------------------------------------------------

TEMPLATE = {
    "spec": {
        "containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "busybox:1.36"}],
        "nodeSelector": {"disk": "ssd"},
    }
}


def test_deployments() -> None:
    selector = {
        "matchLabels": {"app": "web"},
        "matchExpressions": [
            {"key": "tier", "operator": "NotIn", "values": ["b", "a"]},
            {"key": "old", "operator": "DoesNotExist"},
        ],
    }
    spec = {"replicas": 3, "selector": selector, "template": TEMPLATE}
    status = {"readyReplicas": 2, "updatedReplicas": 3, "availableReplicas": 1}
    assert cells(obj("Deployment", spec, status), NOW) == [
        "web", "2/3", 3, 1, "67s", "a,b", "nginx,busybox:1.36", "app=web,!old,tier notin (a,b)",
    ]  # fmt: skip


def test_other_workloads() -> None:
    spec = {"replicas": 2, "template": TEMPLATE}
    assert cells(obj("ReplicaSet", spec, {"replicas": 1}), NOW)[1:4] == [2, 1, 0]
    spec["selector"] = {"app": "web"}
    row = cells(obj("ReplicationController", spec, {"replicas": 1}), NOW)
    assert [*row[1:4], row[-1]] == [2, 1, 0, "app=web"]
    template = {**obj("PodTemplate", None), "template": TEMPLATE}
    assert cells(template, NOW)[1:3] == ["a,b", "nginx,busybox:1.36"]
    assert cells(obj("StatefulSet", spec, {"readyReplicas": 1}), NOW)[1] == "1/2"
    wanted = obj("DaemonSet", spec, {"desiredNumberScheduled": 3, "numberReady": 1})
    assert cells(wanted, NOW)[1:7] == [3, 0, 1, 0, 0, "disk=ssd"]


# -- the cluster ---------------------------------------------------------------------------


def test_revisions_name_their_controller() -> None:
    owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "db", "controller": True}
    controlled = obj("ControllerRevision", metadata={"ownerReferences": [owner]}, revision=3)
    assert cells(controlled, NOW) == ["web", "statefulset.apps/db", 3, "67s"]
    assert cells(obj("ControllerRevision", revision=1), NOW)[1] == "<none>"


def test_nodes() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.10.11.10"}],
        "nodeInfo": {"kubeletVersion": "v1.32.0", "osImage": "netlab"},
    }
    roles = {"node-role.kubernetes.io/control-plane": "", "kubernetes.io/hostname": "web"}
    node = obj("Node", {"unschedulable": True}, status, metadata={"labels": roles})
    assert cells(node, NOW) == [
        "web", "Ready,SchedulingDisabled", "control-plane", "67s", "v1.32.0", "10.10.11.10",
        "<none>", "netlab", "<unknown>", "<unknown>",
    ]  # fmt: skip


def test_nodes_that_are_not_ready() -> None:
    down = {"conditions": [{"type": "Ready", "status": "Unknown"}]}
    assert cells(obj("Node", {}, down), NOW)[1:3] == ["NotReady", "<none>"]
    assert cells(obj("Node"), NOW)[1] == "Unknown"


def test_events() -> None:
    event = obj(
        "Event",
        type="Normal",
        reason="Scheduled",
        message=" assigned \n",
        involvedObject={"kind": "Pod", "name": "web-1", "fieldPath": "spec"},
        firstTimestamp="2026-01-31T11:59:00Z",
        lastTimestamp="2026-01-31T11:59:50Z",
        source={"component": "scheduler", "host": "master001"},
        count=2,
    )
    assert cells(event, NOW) == [
        "10s", "Normal", "Scheduled", "pod/web-1", "spec", "scheduler, master001", "assigned",
        "60s", 2, "web",
    ]  # fmt: skip
    recent = obj("Event", eventTime="2026-01-31T11:59:00.000000Z")
    assert (cells(recent, NOW)[0], cells(recent, NOW)[8]) == ("60s", 1)


def test_configuration() -> None:
    assert cells(obj("ConfigMap", data={"a": "1"}, binaryData={"b": ""}), NOW)[1] == 2
    assert cells(obj("Secret", type="Opaque", data={"a": "MQ=="}), NOW)[1:3] == ["Opaque", 1]
    parameters = {"kind": "K", "apiGroup": "g.example", "name": "n"}
    ingressclass = obj("IngressClass", {"controller": "c", "parameters": parameters})
    assert cells(ingressclass, NOW)[1:3] == ["c", "K.g.example/n"]
    assert cells(obj("ServiceCIDR", {"cidrs": ["10.96.0.0/12", "fd00::/112"]}), NOW)[1] == (
        "10.96.0.0/12,fd00::/112"
    )
    parent = {"group": "Gateway.Example", "resource": "gateways", "namespace": "a", "name": "b"}
    assert cells(obj("IPAddress", {"parentRef": parent}), NOW)[1] == "gateways.gateway.example/a/b"
    parent = {"resource": "things", "name": "b"}
    assert cells(obj("IPAddress", {"parentRef": parent}), NOW)[1] == "things/b"


# -- the Table itself ----------------------------------------------------------------------


def test_a_row_is_prepared_once_and_ages() -> None:
    template = row_template(obj("Namespace", status={"phase": 'a"b'}), b'{"metadata":{}}')
    first, later = (json.loads(template.render(when)) for when in (NOW, NOW + 60))
    assert first == {"cells": ["web", 'a"b', "67s"], "object": {"metadata": {}}}
    assert later["cells"][2] == "2m7s"


def test_a_row_may_age_in_several_cells_and_carry_no_object() -> None:
    event = obj("Event", firstTimestamp="2026-01-31T11:59:00Z", count=5)
    row = json.loads(row_template(event, b"").render(NOW))
    assert row["cells"] == cells(event, NOW)
    assert "object" not in row


def test_a_table_has_its_columns_and_the_lists_metadata() -> None:
    rows = [row_template(obj("Namespace"), b"{}").render(NOW)]
    found = json.loads(table("Namespace", rows, {"resourceVersion": "7"}))
    assert found["kind"] == "Table"
    assert found["metadata"] == {"resourceVersion": "7"}
    assert found["columnDefinitions"][0] == {
        "name": "Name", "type": "string", "format": "name", "description": "", "priority": 0,
    }  # fmt: skip
    assert found["rows"][0]["cells"][0] == "web"
    assert json.loads(table("Namespace", rows, {}, headers=False))["columnDefinitions"] == []


# -- what ends -----------------------------------------------------------------------------


def job(status: dict[str, Any], **spec: Any) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    labels = {"batch.kubernetes.io/controller-uid": "u"}
    spec = {"template": template, "selector": {"matchLabels": labels}, **spec}
    return obj("Job", spec, status)


def true(*types: str) -> list[dict[str, str]]:
    return [{"type": one, "status": "True"} for one in types]


STARTED, ENDED = "2026-01-31T11:59:00Z", "2026-01-31T11:59:30Z"


@pytest.mark.parametrize(
    ("status", "spec", "row"),
    [
        ({}, {"completions": 3}, ["Running", "0/3", ""]),
        (
            {"startTime": STARTED, "succeeded": 1, "active": 1},
            {"completions": 3},
            ["Running", "1/3", "60s"],
        ),
        (
            {
                "startTime": STARTED, "completionTime": ENDED, "succeeded": 3,
                "conditions": true("SuccessCriteriaMet", "Complete"),
            },
            {"completions": 3},
            ["Complete", "3/3", "30s"],
        ),
        (
            {"startTime": STARTED, "conditions": true("FailureTarget", "Failed")},
            {"completions": 1},
            ["Failed", "0/1", "60s"],
        ),
        ({"conditions": true("Suspended")}, {"completions": 1}, ["Suspended", "0/1", ""]),
        ({"conditions": true("FailureTarget")}, {}, ["FailureTarget", "0/1", ""]),
        ({"succeeded": 1}, {"parallelism": 4}, ["Running", "1/1 of 4", ""]),
    ],
)  # fmt: skip
def test_a_job(status: dict[str, Any], spec: dict[str, Any], row: list[str]) -> None:
    assert cells(job(status, **spec), NOW) == [
        "web", *row, "67s", "c", "busybox", "batch.kubernetes.io/controller-uid=u",
    ]  # fmt: skip


def test_a_job_that_goes() -> None:
    going = job({}, completions=1)
    going["metadata"]["deletionTimestamp"] = STARTED
    assert cells(going, NOW)[1] == "Terminating"


def test_a_cron_job() -> None:
    template = {"spec": {"template": job({})["spec"]["template"]}}
    spec = {"schedule": "@daily", "suspend": False, "jobTemplate": template}
    rest = ["67s", "c", "busybox", "<none>"]
    assert cells(obj("CronJob", spec), NOW) == [
        "web", "@daily", "<none>", "False", 0, "<none>", *rest,
    ]  # fmt: skip
    status = {"active": [{"name": "web-1"}], "lastScheduleTime": STARTED}
    zoned = {**spec, "suspend": True, "timeZone": "Europe/Berlin"}
    assert cells(obj("CronJob", zoned, status), NOW) == [
        "web", "@daily", "Europe/Berlin", "True", 1, "60s", *rest,
    ]  # fmt: skip


def test_webhooks_are_counted() -> None:
    found = obj("ValidatingWebhookConfiguration", webhooks=[{"name": "a"}, {"name": "b"}])
    assert cells(found, NOW) == ["web", 2, "67s"]
