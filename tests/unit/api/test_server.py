"""Requests and answers, through a real server on a unix socket."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import time
from typing import Any

import aiohttp
import pytest
import yaml
from bootstrapped import initial_objects
from fake_streams import FakeStreams

from netlab.api.server import build_app
from netlab.errors import BadRequest
from netlab.objects.lab import lab_from_object
from netlab.serving.http import serve_unix
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {
    "apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "test"}, "spec": {"nodes": 2},
}  # fmt: skip

SERVICES = "/api/v1/namespaces/default/services"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONTROLLERS = "/api/v1/namespaces/default/replicationcontrollers"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    whole = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": whole}


def configmap(name: str, **labels: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}


def pod(name: str = "web", node: str = "") -> dict[str, Any]:
    spec: dict[str, Any] = {"containers": [{"name": "c", "image": "nginx"}]}
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def deployment(replicas: int = 2) -> dict[str, Any]:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod()["spec"]}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec,
    }  # fmt: skip


# -- objects -------------------------------------------------------------------------------


async def test_create_get_update_delete(lab: Any) -> None:
    made = await lab.ask("POST", SERVICES, service())
    assert made.code == 201
    assert made.json["spec"]["type"] == "ClusterIP"
    assert made.json["spec"]["clusterIP"].startswith("10.")
    got = await lab.ask("GET", f"{SERVICES}/web")
    assert got.json == made.json
    changed = got.json
    changed["metadata"]["labels"] = {"x": "y"}
    put = await lab.ask("PUT", f"{SERVICES}/web", changed)
    assert (put.code, put.json["metadata"]["labels"]) == (200, {"x": "y"})
    stale = await lab.ask("PUT", f"{SERVICES}/web", {**changed, "spec": service()["spec"]})
    assert (stale.code, stale.json["reason"]) == (409, "Conflict")
    gone = await lab.ask("DELETE", f"{SERVICES}/web")
    assert (gone.code, gone.json["kind"]) == (200, "Service")
    missing = await lab.ask("GET", f"{SERVICES}/web")
    assert missing.code == 404
    assert missing.message == 'services "web" not found'


async def test_deleting_what_is_not_returned_answers_with_its_details(lab: Any) -> None:
    made = await lab.ask("POST", CONFIGMAPS, configmap("a"))
    gone = (await lab.ask("DELETE", f"{CONFIGMAPS}/a")).json
    assert (gone["kind"], gone["status"]) == ("Status", "Success")
    assert gone["details"] == {
        "name": "a", "kind": "configmaps", "uid": made.json["metadata"]["uid"],
    }  # fmt: skip


async def test_deletion_may_be_graceful_conditional_and_dry(lab: Any) -> None:
    await lab.ask("POST", PODS, pod(node="node1"))
    wrong = {"preconditions": {"uid": "nobody"}}
    assert (await lab.ask("DELETE", f"{PODS}/web", wrong)).code == 409
    assert (await lab.ask("DELETE", f"{PODS}/web", dryRun="All")).code == 200
    asked = await lab.ask("DELETE", f"{PODS}/web", {"gracePeriodSeconds": 20})
    assert asked.json["metadata"]["deletionGracePeriodSeconds"] == 20
    assert (await lab.ask("GET", f"{PODS}/web")).code == 200
    await lab.ask("DELETE", f"{PODS}/web", gracePeriodSeconds="0")
    assert (await lab.ask("GET", f"{PODS}/web")).code == 404


@pytest.mark.parametrize(
    "options",
    [
        {"gracePeriodSeconds": -1},
        {"gracePeriodSeconds": "x"},
        {"propagationPolicy": "Sideways"},
        {"dryRun": ["Some"]},
        {"preconditions": ["uid"]},
        ["x"],
    ],
)
async def test_delete_options_that_make_no_sense(lab: Any, options: Any) -> None:
    await lab.ask("POST", CONFIGMAPS, configmap("a"))
    assert (await lab.ask("DELETE", f"{CONFIGMAPS}/a", options)).code == 400
    assert (await lab.ask("GET", f"{CONFIGMAPS}/a")).code == 200


async def test_deletecollection_takes_what_is_selected(lab: Any) -> None:
    for name, app in (("a", "x"), ("b", "x"), ("c", "y")):
        await lab.ask("POST", CONFIGMAPS, configmap(name, app=app))
    dry = await lab.ask("DELETE", CONFIGMAPS, labelSelector="app=x", dryRun="All")
    assert dry.code == 200
    gone = await lab.ask("DELETE", CONFIGMAPS, labelSelector="app=x")
    assert gone.code == 200
    left = (await lab.ask("GET", CONFIGMAPS)).json["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]


async def test_a_dry_run_changes_nothing(lab: Any) -> None:
    made = await lab.ask("POST", SERVICES, service(), dryRun="All")
    assert made.code == 201
    assert (await lab.ask("GET", f"{SERVICES}/web")).code == 404
    assert (await lab.ask("POST", SERVICES, service(), dryRun="Some")).code == 400


async def test_status_is_written_through_its_subresource_alone(lab: Any) -> None:
    await lab.ask("POST", PODS, pod())
    change = {"status": {"phase": "Running"}}
    merge = "application/merge-patch+json"
    await lab.ask("PATCH", f"{PODS}/web", change, content_type=merge)
    assert (await lab.ask("GET", f"{PODS}/web")).json["status"]["phase"] == "Pending"
    await lab.ask("PATCH", f"{PODS}/web/status", change, content_type=merge)
    got = await lab.ask("GET", f"{PODS}/web/status")
    assert got.json["status"]["phase"] == "Running"
    got.json["status"]["phase"] = "Failed"
    whole = {**got.json, "status": {"phase": "Failed"}}
    put = await lab.ask("PUT", f"{PODS}/web/status", whole)
    assert put.json["status"]["phase"] == "Failed"


@pytest.mark.parametrize(
    ("content_type", "change"),
    [
        ("application/merge-patch+json", {"spec": {"ports": [{"port": 81, "name": "b"}]}}),
        ("application/strategic-merge-patch+json", {"spec": {"ports": [{"port": 81}]}}),
        (
            "application/json-patch+json",
            [{"op": "replace", "path": "/spec/ports/0/port", "value": 81}],
        ),
    ],
)
async def test_patches_of_each_kind(lab: Any, content_type: str, change: Any) -> None:
    await lab.ask("POST", SERVICES, service(ports=[{"port": 80, "name": "a"}]))
    patched = await lab.ask("PATCH", f"{SERVICES}/web", change, content_type=content_type)
    if content_type.startswith("application/strategic"):
        assert patched.code == 422  # merged by port: a second one, without a name
        return
    assert patched.code == 200, patched.json
    assert [port["port"] for port in patched.json["spec"]["ports"]] == [81]


@pytest.mark.parametrize("change", [[{"op": "test", "path": 5}], [5], {}, [{"op": "remove"}]])
async def test_json_patches_that_make_no_sense(lab: Any, change: Any) -> None:
    path = f"{SERVICES}/kubernetes"
    answer = await lab.ask("PATCH", path, change, content_type="application/json-patch+json")
    assert answer.code in (400, 422)


async def test_server_side_apply_creates_and_changes(lab: Any) -> None:
    apply = "application/apply-patch+yaml"
    text = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {x: '1'}\n"
    path, manager = f"{CONFIGMAPS}/a", {"fieldManager": "test"}
    made = await lab.ask("PATCH", path, text, content_type=apply, **manager)
    assert (made.code, made.json["data"]) == (201, {"x": "1"})
    again = await lab.ask("PATCH", path, text.replace(b"1", b"2"), content_type=apply, **manager)
    assert (again.code, again.json["kind"]) == (400, "Status")  # apiVersion: v2
    again = await lab.ask(
        "PATCH", path, text.replace(b"'1'", b"'2'"), content_type=apply, **manager
    )
    assert (again.code, again.json["data"]) == (200, {"x": "2"})


# -- subresources --------------------------------------------------------------------------


async def test_scale(lab: Any) -> None:
    await lab.ask("POST", DEPLOYMENTS, deployment(2))
    path = f"{DEPLOYMENTS}/web/scale"
    got = (await lab.ask("GET", path)).json
    assert (got["kind"], got["apiVersion"]) == ("Scale", "autoscaling/v1")
    assert got["spec"] == {"replicas": 2}
    assert got["status"] == {"replicas": 0, "selector": "app=web"}
    merge = "application/merge-patch+json"
    patched = await lab.ask("PATCH", path, {"spec": {"replicas": 5}}, content_type=merge)
    assert (patched.code, patched.json["spec"]["replicas"]) == (200, 5)
    put = await lab.ask("PUT", path, {**got, "spec": {"replicas": 3}})
    assert put.code == 409  # it carried the resourceVersion from before the patch
    del got["metadata"]["resourceVersion"]
    put = await lab.ask("PUT", path, {**got, "spec": {"replicas": 3}})
    assert (put.code, put.json["kind"]) == (200, "Scale")
    assert (await lab.ask("GET", f"{DEPLOYMENTS}/web")).json["spec"]["replicas"] == 3
    assert (await lab.ask("GET", f"{SERVICES}/kubernetes/scale")).code == 404


async def test_a_replication_controller_is_scaled_and_leaves_its_pods_unless_it_is_said(
    lab: Any,
) -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": pod()["spec"]}
    made: dict[str, Any] = {"metadata": {"name": "web"}, "spec": {"replicas": 2}}
    refused = await lab.ask("POST", CONTROLLERS, made)
    assert "spec.selector: Required value, spec.template: Required value" in refused.message
    made["spec"]["template"] = template
    assert (await lab.ask("POST", CONTROLLERS, made)).code == 201
    scale = (await lab.ask("GET", f"{CONTROLLERS}/web/scale")).json
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (2, "app=web")
    other = {"spec": {"selector": {"app": "db"}}}
    strategic = "application/strategic-merge-patch+json"
    patched = await lab.ask("PATCH", f"{CONTROLLERS}/web", other, content_type=strategic)
    assert "`selector` does not match template `labels`" in patched.message
    background = await lab.ask(
        "DELETE", f"{CONTROLLERS}/web", dryRun="All", propagationPolicy="Background"
    )
    assert background.json["kind"] == "Status"
    lingering = (await lab.ask("DELETE", f"{CONTROLLERS}/web")).json
    assert lingering["metadata"]["finalizers"] == ["orphan"]


async def test_binding_and_eviction(lab: Any) -> None:
    await lab.ask("POST", PODS, pod())
    binding = {
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": "web"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "node1"},
    }  # fmt: skip
    bound = await lab.ask("POST", f"{PODS}/web/binding", binding)
    assert (bound.code, bound.json["status"]) == (201, "Success")
    assert (await lab.ask("GET", f"{PODS}/web")).json["spec"]["nodeName"] == "node1"
    assert (await lab.ask("POST", f"{PODS}/web/binding", binding)).code == 409
    eviction = {
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"},
        "deleteOptions": {"gracePeriodSeconds": 7},
    }  # fmt: skip
    evicted = await lab.ask("POST", f"{PODS}/web/eviction", eviction)
    assert (evicted.code, evicted.json["status"]) == (201, "Success")
    going = (await lab.ask("GET", f"{PODS}/web")).json
    assert going["metadata"]["deletionGracePeriodSeconds"] == 7
    said = {one["type"]: one for one in going["status"]["conditions"]}
    assert said["DisruptionTarget"]["reason"] == "EvictionByEvictionAPI"
    assert "PodScheduled" in said


async def test_an_eviction_that_is_refused_leaves_the_pod_as_it_is(lab: Any) -> None:
    made = (await lab.ask("POST", PODS, pod())).json
    old = made["metadata"]["resourceVersion"]
    for name, options, code in (
        ("other", {}, 400),
        ("web", {"preconditions": {"uid": "x"}}, 409),
        ("web", {"preconditions": {"resourceVersion": "1"}}, 409),
        ("web", {"dryRun": ["All"]}, 201),
    ):
        eviction = {
            "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
            "deleteOptions": options,
        }  # fmt: skip
        answer = await lab.ask("POST", f"{PODS}/web/eviction", eviction)
        assert answer.code == code, answer.json
        assert (await lab.ask("GET", f"{PODS}/web")).json["metadata"]["resourceVersion"] == old
    eviction["deleteOptions"] = {"preconditions": {"resourceVersion": old}}
    assert (await lab.ask("POST", f"{PODS}/web/eviction", eviction)).code == 201


# -- lists ---------------------------------------------------------------------------------


async def test_lists_are_selected(lab: Any) -> None:
    for name, app in (("a", "x"), ("b", "y")):
        await lab.ask("POST", CONFIGMAPS, configmap(name, app=app))

    async def names(**query: str) -> list[str]:
        answer = (await lab.ask("GET", "/api/v1/configmaps", **query)).json
        assert answer["kind"] == "ConfigMapList"
        assert int(answer["metadata"]["resourceVersion"]) > 0
        return [item["metadata"]["name"] for item in answer["items"]]

    assert await names() == ["a", "b", "coredns"]
    assert await names(labelSelector="app in (y)") == ["b"]
    assert await names(fieldSelector="metadata.name=a") == ["a"]
    assert (await lab.ask("GET", CONFIGMAPS, labelSelector="a=(")).code == 400
    assert (await lab.ask("GET", CONFIGMAPS, fieldSelector="spec.x=1")).code == 400


async def test_lists_as_tables(lab: Any) -> None:
    await lab.ask("POST", SERVICES, service())
    found = await lab.table(SERVICES)
    assert found["kind"] == "Table"
    assert [column["name"] for column in found["columnDefinitions"]][:3] == [
        "Name", "Type", "Cluster-IP",
    ]  # fmt: skip
    by_name = {row["cells"][0]: row for row in found["rows"]}
    assert by_name["web"]["cells"][1] == "ClusterIP"
    carried = by_name["web"]["object"]
    assert (carried["kind"], carried["apiVersion"]) == (
        "PartialObjectMetadata", "meta.k8s.io/v1",
    )  # fmt: skip
    assert "spec" not in carried
    whole = await lab.table(SERVICES, includeObject="Object")
    assert whole["rows"][0]["object"]["kind"] == "Service"
    assert whole["rows"][0]["object"]["apiVersion"] == "v1"
    bare = await lab.table(SERVICES, includeObject="None")
    assert "object" not in bare["rows"][0]
    one = await lab.table(f"{SERVICES}/web")
    assert (one["kind"], len(one["rows"])) == ("Table", 1)


async def test_a_table_ages_though_it_is_kept(lab: Any) -> None:
    await lab.ask("POST", SERVICES, service())
    first = (await lab.table(f"{SERVICES}/web"))["rows"][0]["cells"][5]
    assert first in ("0s", "1s")
    await asyncio.sleep(1.1)
    assert (await lab.table(f"{SERVICES}/web"))["rows"][0]["cells"][5] != first


async def test_metadata_alone(lab: Any) -> None:
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    found = (await lab.ask("GET", SERVICES, accept=accept)).json
    assert found["kind"] == "PartialObjectMetadataList"
    assert set(found["items"][0]) == {"kind", "apiVersion", "metadata"}


async def test_yaml_both_ways(lab: Any) -> None:
    text = b"kind: ConfigMap\nmetadata: {name: a}\ndata: {when: 2024-01-01, ok: 'yes'}\n"
    made = await lab.ask("POST", CONFIGMAPS, text, content_type="application/yaml")
    assert (made.code, made.json["data"]["when"]) == (201, "2024-01-01")
    got = await lab.ask("GET", f"{CONFIGMAPS}/a", accept="application/yaml")
    assert got.headers["Content-Type"].startswith("application/yaml")
    assert b"\nkind: ConfigMap\n" in b"\n" + got.raw


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/yaml", "application/yaml"),
        ("application/yaml;q=0.5, application/json", "application/json"),
        ("application/vnd.kubernetes.protobuf, application/json", "application/json"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io, application/yaml", "application/yaml"),
        ("text/html", "application/json"),
    ],
)
async def test_failures_are_written_in_what_is_accepted(
    lab: Any, accept: str, media_type: str
) -> None:
    for path in (f"{CONFIGMAPS}/none", "/api/v1/widgets"):
        refused = await lab.ask("GET", path, accept=accept)
        assert refused.headers["Content-Type"].startswith(media_type), path
        status = yaml.safe_load(refused.raw)
        assert (status["kind"], status["code"]) == ("Status", refused.code)
        assert refused.raw.startswith(b"{") == (media_type == "application/json")


async def test_subresources_are_answered_in_yaml(lab: Any) -> None:
    await lab.ask("POST", PODS, pod())
    body = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "web"}}
    done = await lab.ask("POST", f"{PODS}/web/eviction", body, accept="application/yaml")
    assert (done.code, yaml.safe_load(done.raw)["status"]) == (201, "Success")


async def test_who_sends_an_image_volume_is_told_that_it_is_left_out(lab: Any) -> None:
    volumes = [{"name": "v", "image": {"reference": "i"}}]
    made = await lab.ask("POST", DEPLOYMENTS, deployment())
    assert "Warning" not in made.headers
    change = {"spec": {"template": {"spec": {"volumes": volumes}}}}
    patched = await lab.ask(
        "PATCH", f"{DEPLOYMENTS}/web", change, content_type="application/merge-patch+json"
    )
    sent = pod()
    sent["spec"]["volumes"] = volumes
    created = await lab.ask("POST", PODS, sent)
    for answer in (patched, created):
        assert answer.code // 100 == 2, answer.raw
        assert "the feature gate ImageVolume is off" in answer.headers["Warning"]
        assert b'"reference"' not in answer.raw


async def test_addresses_in_old_forms_are_kept_and_warned_of_by_every_write(lab: Any) -> None:
    text = r"spec.clusterIPs[0]: non-standard IP address \"010.096.0.77\" will be considered"
    made = await lab.ask("POST", SERVICES, service(clusterIP="010.096.0.77"))
    patched = await lab.ask(
        "PATCH",
        f"{SERVICES}/web",
        {"metadata": {"labels": {"a": "b"}}},
        content_type="application/merge-patch+json",
    )
    put = await lab.ask("PUT", f"{SERVICES}/web", patched.json)
    for answer in (made, patched, put):
        assert answer.code // 100 == 2, answer.raw
        assert [text in one for one in answer.headers.getall("Warning")] == [True]
        assert answer.json["spec"]["clusterIPs"] == ["010.096.0.77"]
    # It is that address: nobody else gets it, until it is free.
    other = await lab.ask("POST", SERVICES, service("b", clusterIP="10.96.0.77"))
    assert (other.code, "already allocated" in other.message) == (422, True)
    assert (await lab.ask("DELETE", f"{SERVICES}/web")).code == 200
    other = await lab.ask("POST", SERVICES, service("b", clusterIP="10.96.0.77"))
    assert other.code == 201


# -- what cannot be served -----------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/widgets",
        "/api/v2/pods",
        "/apis/apps/v1beta1",
        "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices",
        "/apis/authorization.k8s.io/v2/x",
        "/apis/apps/v1/namespaces/default/pods",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/namespaces/default/pods/web/nothing",
        "/api/v1/namespaces/default/pods/web/log/more",
        "/openapi/v3/nothing",
        "/api/v1/namespaces//pods",
    ],
)
async def test_unknown_paths(lab: Any, path: str) -> None:
    answer = await lab.ask("GET", path)
    assert answer.code == 404
    assert answer.message == "the server could not find the requested resource"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing", "/apis/policy/v1/poddisruptionbudgets", "/apis/policy", "/apis/policy/v1",
        "/apis/no.such/v1/namespaces/default/x/y", "/healthz/nothing", "/apis//v1/x",
    ],
)  # fmt: skip
async def test_paths_that_are_no_apis(lab: Any, path: str) -> None:
    """kube-apiserver leaves them to Go's mux (pkg/util/notfoundhandler)."""
    for accept in ("application/json", "application/vnd.kubernetes.protobuf"):
        answer = await lab.ask("GET", path, accept=accept)
        assert (answer.code, answer.raw) == (404, b"404 page not found\n")
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", SERVICES),
        ("PATCH", SERVICES),
        ("POST", f"{SERVICES}/web"),
        ("POST", "/api/v1/services"),
        ("DELETE", "/api/v1/services"),
        ("DELETE", f"{PODS}/web/status"),
        ("PATCH", f"{PODS}/web/log"),
        ("OPTIONS", SERVICES),
        ("POST", "/apis"),
    ],
)
async def test_methods_that_are_not_allowed(lab: Any, method: str, path: str) -> None:
    answer = await lab.ask(method, path)
    assert (answer.code, answer.json["reason"]) == (405, "MethodNotAllowed")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "unexpected end of JSON input"),
        (b"", "unexpected end of JSON input"),
        (b"{x", "invalid character 'x' looking for beginning of object key string"),
        (b'{"a":1}}', "invalid character '}' after top-level value"),
        (b'{"a" 1}', "invalid character '1' after object key"),
        (b'{"a":NaN}', "invalid character 'N' looking for beginning of value"),
        (b"\xff\xfe{", "json parse error"),
        (b"[" * 100_000, "json parse error"),
        (b"[]", "cannot unmarshal array"),
        (b'"text"', "cannot unmarshal string"),
        (b'{"metadata":[]}', "cannot unmarshal array"),
        (b'{"kind":"Pod"}', "does not match the expected API version (v1, Kind=Service)"),
        (b'{"metadata":{"namespace":"other"}}', "the namespace of the provided object"),
    ],
)
async def test_bodies_that_cannot_be_read(lab: Any, body: bytes, words: str) -> None:
    answer = await lab.ask("POST", SERVICES, body)
    assert answer.code == 400, answer.json
    assert answer.json["reason"] == "BadRequest"
    assert words in answer.message


async def test_yaml_that_grows_without_bounds(lab: Any) -> None:
    bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    bomb += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    body = "\n".join(bomb).encode()
    answer = await lab.ask("POST", CONFIGMAPS, body, content_type="application/yaml")
    assert answer.code == 400
    assert "excessive aliasing" in answer.message
    for broken in (b"a: [", b"a: b: c", b"\x00", b"!!python/object:x {}", b"? [a]\n: b"):
        answer = await lab.ask("POST", CONFIGMAPS, broken, content_type="application/yaml")
        assert answer.code == 400, broken


async def test_media_types_that_are_not_spoken(lab: Any) -> None:
    protobuf = "application/vnd.kubernetes.protobuf"
    sent = await lab.ask("POST", SERVICES, b"\xd9", content_type="application/cbor")
    assert (sent.code, sent.json["reason"]) == (415, "UnsupportedMediaType")
    broken = await lab.ask("POST", SERVICES, b"k8s\0\x0a\x7f", content_type=protobuf)
    assert (broken.code, broken.json["reason"]) == (400, "BadRequest")
    wanted = await lab.ask("GET", "/openapi/v3/api/v1", accept=protobuf)
    assert wanted.code == 406
    either = await lab.ask("GET", SERVICES, accept=f"{protobuf},application/json")
    assert either.code == 200
    patch = await lab.ask("PATCH", f"{SERVICES}/web", {}, content_type="application/json")
    assert patch.code == 415


async def test_bodies_have_a_limit(lab: Any) -> None:
    big = b" " * (3 * 1024 * 1024 + 1)
    answer = await lab.ask("POST", SERVICES, big)
    assert answer.code == 413
    assert "limit is 3145728" in answer.message
    fits = configmap("big")
    fits["data"]["a"] = "x" * (900 * 1024)
    assert (await lab.ask("POST", CONFIGMAPS, fits)).code == 201

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 64 * 1024

    async with lab.http.post(f"http://lab{SERVICES}", data=endless()) as chunked:
        assert chunked.status == 413


async def test_unknown_fields(lab: Any) -> None:
    wrong = service(clustrIP="10.96.0.9")
    strict = await lab.ask("POST", SERVICES, wrong, fieldValidation="Strict")
    assert strict.code == 400
    assert strict.message == (
        'Service in version "v1" cannot be handled as a Service: '
        'strict decoding error: unknown field "spec.clustrIP"'
    )
    warned = await lab.ask("POST", SERVICES, wrong)
    assert warned.code == 201
    assert warned.headers["Warning"] == r'299 - "unknown field \"spec.clustrIP\""'
    assert "clustrIP" not in warned.json["spec"]
    ignored = await lab.ask("POST", SERVICES, service("b", x=1), fieldValidation="Ignore")
    assert (ignored.code, ignored.headers.get("Warning")) == (201, None)
    other = await lab.ask("POST", SERVICES, service("c"), fieldValidation="Sloppy")
    assert other.code == 400


async def test_endpoints_are_deprecated_whatever_is_done_to_them(lab: Any) -> None:
    warning = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    path = "/api/v1/namespaces/default/endpoints"
    body = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "a"}}
    for method, where, sent in (
        ("POST", path, body),
        ("GET", path, None),
        ("GET", f"{path}/a", None),
        ("DELETE", f"{path}/a", None),
        ("DELETE", path, None),
    ):
        answer = await lab.ask(method, where, sent)
        assert (answer.code // 100, answer.headers.get("Warning")) == (2, warning), method
    async with lab.http.get(f"http://lab{path}?watch=1&timeoutSeconds=1") as watched:
        assert watched.headers["Warning"] == warning
    assert "Warning" not in (await lab.ask("GET", SERVICES)).headers


async def test_unknown_fields_of_patches(lab: Any) -> None:
    await lab.ask("POST", DEPLOYMENTS, deployment())
    strategic = {"content_type": "application/strategic-merge-patch+json"}
    path, wrong = f"{DEPLOYMENTS}/web", {"spec": {"replcas": 3, "$retainKeys": ["replcas"]}}
    strict = await lab.ask("PATCH", path, wrong, fieldValidation="Strict", **strategic)
    assert strict.code == 422
    assert 'strict decoding error: unknown field "spec.replcas"' in strict.message
    right = {"spec": {"replicas": 3, "template": {"spec": {"$setElementOrder/containers": []}}}}
    good = await lab.ask("PATCH", path, right, fieldValidation="Strict", **strategic)
    assert good.code == 200, good.json


async def test_wrong_types(lab: Any) -> None:
    wrong = deployment()
    wrong["spec"]["replicas"] = "3"
    answer = await lab.ask("POST", DEPLOYMENTS, wrong)
    assert answer.code == 400
    assert "spec.replicas" in answer.message


async def test_invalid_objects_say_every_cause(lab: Any) -> None:
    answer = await lab.ask("POST", SERVICES, service("Web", type="ClusterIp"))
    assert (answer.code, answer.json["reason"]) == (422, "Invalid")
    fields = {cause["field"] for cause in answer.json["details"]["causes"]}
    assert {"metadata.name", "spec.type"} <= fields


async def test_a_mistake_of_our_own_is_a_500(lab: Any, caplog: Any) -> None:
    lab.registry.get = lambda *_: 1 / 0
    answer = await lab.ask("GET", f"{SERVICES}/web")
    assert (answer.code, answer.json["reason"]) == (500, "InternalError")
    assert "ZeroDivisionError" in caplog.text


# -- the server itself ---------------------------------------------------------------------


TWICE = b"""{"metadata": {"name": "web", "labels": {"a": "1", "a": "2"}},
"spec": {"unknown": 1, "replicas": 1, "unknown": {"x": 1, "x": 2}, "replicas": 2, "replicas": 3,
"selector": {"matchLabels": {"a": "2"}}, "template": {"metadata": {"labels": {"a": "2"}},
"spec": {"containers": [{"name": "c", "image": "x", "name": "d", "nested": 1}]}}}}"""
SAID_TWICE = [
    'duplicate field "metadata.labels.a"', 'unknown field "spec.unknown"',
    'duplicate field "spec.replicas"',
    'duplicate field "spec.template.spec.containers[0].name"',
    'unknown field "spec.template.spec.containers[0].nested"',
]  # fmt: skip


async def test_unknown_and_repeated_fields_are_told_together(lab: Any) -> None:
    strict = await lab.ask("POST", DEPLOYMENTS, TWICE, fieldValidation="Strict")
    assert strict.code == 400
    assert strict.message.endswith(f"strict decoding error: {', '.join(SAID_TWICE)}")
    warned = await lab.ask("POST", DEPLOYMENTS, TWICE, fieldValidation="Warn", dryRun="All")
    told = [one.split(" - ", 1)[1][1:-1] for one in warned.headers.getall("Warning")]
    assert [one.replace("\\", "") for one in told][: len(SAID_TWICE)] == SAID_TWICE
    ignored = await lab.ask("POST", DEPLOYMENTS, TWICE, fieldValidation="Ignore")
    assert (ignored.code, "duplicate" in str(ignored.headers)) == (201, False)
    assert ignored.json["spec"]["replicas"] == 3
    patch = b'{"spec": {"replicas": 1, "replicas": 2, "more": 1}}'
    merge = "application/merge-patch+json"
    refused = await lab.ask(
        "PATCH", f"{DEPLOYMENTS}/web", patch, content_type=merge, fieldValidation="Strict"
    )
    assert 'duplicate field "spec.replicas", unknown field "spec.more"' in refused.message


async def test_repeated_fields_of_yaml_are_told_by_their_lines(lab: Any) -> None:
    body = b"metadata:\n  name: x\n  name: y\ndata:\n  a: b\nmore: 1\ndata: {}\n"
    refused = await lab.ask(
        "POST", CONFIGMAPS, body, content_type="application/yaml", fieldValidation="Strict"
    )
    assert refused.message.endswith(
        'strict decoding error: yaml: unmarshal errors:\n  line 7: key "data" already set in map\n'
        '  line 3: key "name" already set in map, unknown field "more"'
    )


async def test_what_is_applied_says_nothing_twice(lab: Any) -> None:
    body = b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {a: b, a: c}\n"
    query = {"fieldManager": "me", "fieldValidation": "Strict"}
    kind = "application/apply-patch+yaml"
    refused = await lab.ask("PATCH", f"{CONFIGMAPS}/web", body, content_type=kind, **query)
    assert (refused.code, refused.message) == (
        400,
        "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n"
        '  line 4: key "a" already set in map',
    )


async def test_who_deletes_a_job_is_told_that_its_pods_stay(lab: Any) -> None:
    jobs = "/apis/batch/v1/namespaces/default/jobs"
    template = {"spec": {**pod()["spec"], "restartPolicy": "Never"}}
    job = {"metadata": {"name": "once"}, "spec": {"template": template}}
    assert (await lab.ask("POST", jobs, job)).code == 201
    said = await lab.ask("DELETE", f"{jobs}/once", propagationPolicy="Background", dryRun="All")
    assert "Warning" not in said.headers
    told = await lab.ask("DELETE", f"{jobs}/once")
    assert "child pods are preserved by default" in told.headers["Warning"]
    assert told.json["metadata"]["finalizers"] == ["orphan"]


async def test_health_and_version(lab: Any) -> None:
    for path in ("/healthz", "/livez", "/readyz"):
        assert (await lab.ask("GET", path)).raw == b"ok"
        assert (await lab.ask("GET", f"{path}/ping")).raw == b"ok"
    roots = (await lab.ask("GET", "/")).json["paths"]
    assert {
        "/api/v1",
        "/apis/apps/v1",
        "/healthz",
        "/readyz/shutdown",
        "/openapi/v3",
        "/version",
    } <= set(roots)
    for path in ("/version", "/version/"):
        assert (await lab.ask("GET", path)).json["major"] == "1"


async def test_health_is_told_check_by_check(lab: Any) -> None:
    told = await lab.ask("GET", "/readyz", verbose="")
    lines = told.raw.decode().splitlines()
    assert lines[:5] == [
        f"[+]{name} ok" for name in ("ping", "log", "etcd", "etcd-readiness", "informer-sync")
    ]
    assert lines[-2:] == ["[+]shutdown ok", "readyz check passed"]
    assert told.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert told.headers["X-Content-Type-Options"] == "nosniff"
    for place in ("livez", "healthz"):
        lines = (await lab.ask("GET", f"/{place}", verbose="true")).raw.decode().splitlines()
        assert "[+]etcd ok" in lines and "[+]shutdown ok" not in lines
        assert lines[-1] == f"{place} check passed"
    for path in ("/livez/etcd", "/readyz/poststarthook/rbac/bootstrap-roles"):
        assert (await lab.ask("GET", path)).raw == b"ok"
    for path in ("/livez/shutdown", "/healthz/", "/readyz/nothing"):
        assert (await lab.ask("GET", path)).code == 404


async def test_checks_of_health_may_be_left_out(lab: Any) -> None:
    told = (await lab.ask("GET", "/readyz?verbose&exclude=etcd&exclude=x&exclude=log")).raw.decode()
    assert told.splitlines()[:3] == ["[+]ping ok", "[+]log excluded: ok", "[+]etcd excluded: ok"]
    assert told.splitlines()[-2:] == [
        'warn: some health checks cannot be excluded: no matches for "x"',
        "readyz check passed",
    ]
    assert (await lab.ask("GET", "/readyz?exclude=x")).raw == b"ok"


async def test_a_store_that_cannot_write_is_not_well(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab.registry.store, "refused", True)
    monkeypatch.setattr(lab.registry.store, "refusal", lambda: "no space is left")
    said = await lab.ask("GET", "/livez")
    assert said.code == 500
    lines = said.raw.decode().splitlines()
    assert lines[:3] == ["[+]ping ok", "[+]log ok", "[-]etcd failed: reason withheld"]
    assert lines[-1] == "livez check failed"
    alone = await lab.ask("GET", "/livez/etcd")
    assert (alone.code, alone.raw) == (
        500, b"internal server error: etcd failed: no space is left\n"
    )  # fmt: skip
    assert (await lab.ask("GET", "/livez", exclude="etcd")).raw == b"ok"
    assert (await lab.ask("GET", "/livez/ping")).raw == b"ok"
    monkeypatch.setattr(lab.registry.store, "refusal", lambda: "")
    assert (await lab.ask("GET", "/readyz")).raw == b"ok"


async def test_metrics_count_what_is_stored(lab: Any) -> None:
    lab.registry.create(pod())
    page = (await lab.ask("GET", "/metrics")).raw.decode()
    assert "# TYPE apiserver_storage_objects gauge\n" in page
    assert 'apiserver_storage_objects{resource="pods"} 1\n' in page
    assert re.search(r"\n.*{resource=\"deployments.apps\"} \d+\n", page)


@pytest.mark.parametrize(
    ("timeout", "code"), [("1s", 200), ("0s", 200), ("3h", 200), ("invalid", 400), ("5", 400)]
)
async def test_a_timeout_is_a_duration(lab: Any, timeout: str, code: int) -> None:
    found = await lab.ask("GET", PODS, timeout=timeout)
    assert found.code == code
    if code == 400:
        assert found.message.startswith("invalid timeout specified in the request URL - time: ")


async def test_there_are_no_custom_kinds_and_asking_for_them_is_no_mistake(lab: Any) -> None:
    found = await lab.ask("GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    assert found.json["kind"] == "CustomResourceDefinitionList"
    assert found.json["items"] == []
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert (await lab.table(path))["rows"] == []
    body = {"metadata": {"name": "widgets.example.com"}}
    refused = await lab.ask("POST", path, body)
    assert refused.code == 403
    assert refused.message.startswith(
        'customresourcedefinitions.apiextensions.k8s.io "widgets.example.com" is forbidden: a lab'
    )
    assert (await lab.ask("GET", f"{path}/x")).message == (
        'customresourcedefinitions.apiextensions.k8s.io "x" not found'
    )
    assert (await lab.ask("GET", path, watch="1", timeoutSeconds="1")).raw == b""
    served = (await lab.ask("GET", "/apis/apiextensions.k8s.io/v1")).json["resources"]
    assert [one["name"] for one in served] == ["customresourcedefinitions"]
    assert (await lab.ask("GET", "/apis/apiextensions.k8s.io")).json["kind"] == "APIGroup"


async def test_the_parts_of_a_control_plane_are_well(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/api/v1/componentstatuses"
    found = await lab.ask("GET", path)
    assert found.headers.getall("Warning") == ['299 - "v1 ComponentStatus is deprecated in v1.19+"']
    assert found.json["kind"] == "ComponentStatusList"
    well = [{"type": "Healthy", "status": "True", "message": "ok"}]
    names = ["scheduler", "controller-manager", "etcd-0"]
    assert [(one["metadata"]["name"], one["conditions"]) for one in found.json["items"]] == [
        (name, well) for name in names
    ]
    printed = await lab.table(path)
    assert [one["name"] for one in printed["columnDefinitions"]] == [
        "Name", "Status", "Message", "Error"
    ]  # fmt: skip
    assert [one["cells"] for one in printed["rows"]] == [
        [name, "Healthy", "ok", ""] for name in names
    ]
    one = await lab.ask("GET", f"{path}/etcd-0")
    assert (one.json["kind"], one.json["conditions"]) == ("ComponentStatus", well)
    chosen = await lab.ask("GET", path, fieldSelector="metadata.name=scheduler")
    assert [one["metadata"]["name"] for one in chosen.json["items"]] == ["scheduler"]
    none = await lab.ask("GET", f"{path}/x")
    assert (none.code, none.message) == (404, 'componentstatuses "x" not found')
    assert (await lab.ask("POST", path, {})).code == 405
    assert (await lab.ask("GET", path, watch="1")).code == 405
    served = (await lab.ask("GET", "/api/v1")).json["resources"]
    (entry,) = [one for one in served if one["kind"] == "ComponentStatus"]
    assert (entry["shortNames"], entry["verbs"]) == (["cs"], ["get", "list"])
    monkeypatch.setattr(lab.registry.store, "refused", True)
    monkeypatch.setattr(lab.registry.store, "refusal", lambda: "no space left")
    assert (await lab.table(path))["rows"][2]["cells"] == [
        "etcd-0", "Unhealthy", "no space left", ""
    ]  # fmt: skip


async def test_the_socket_is_its_owners_alone(lab: Any) -> None:
    assert stat.S_IMODE(lab.socket.stat().st_mode) == 0o600


async def test_discovery(lab: Any) -> None:
    assert (await lab.ask("GET", "/api")).json["versions"] == ["v1"]
    groups = (await lab.ask("GET", "/apis")).json["groups"]
    assert "apps" in [group["name"] for group in groups]
    apps = (await lab.ask("GET", "/apis/apps/v1")).json
    assert apps["groupVersion"] == "apps/v1"
    by_name = {entry["name"]: entry for entry in apps["resources"]}
    assert by_name["deployments"]["shortNames"] == ["deploy"]
    assert by_name["deployments/scale"]["kind"] == "Scale"
    assert by_name["deployments/scale"]["group"] == "autoscaling"
    assert (await lab.ask("GET", "/apis/apps")).json["kind"] == "APIGroup"
    core = (await lab.ask("GET", "/api/v1")).json["resources"]
    assert {"name", "namespaced", "kind", "verbs", "singularName"} <= set(core[0])


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_aggregated_discovery(lab: Any, version: str) -> None:
    form = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    answer = await lab.ask("GET", "/apis", accept=f"{form},application/json")
    assert answer.headers["Content-Type"] == form
    assert answer.json["kind"] == "APIGroupDiscoveryList"
    apps = next(g for g in answer.json["items"] if g["metadata"]["name"] == "apps")
    found = {entry["resource"]: entry for entry in apps["versions"][0]["resources"]}
    assert found["deployments"]["responseKind"]["kind"] == "Deployment"
    assert found["deployments"]["scope"] == "Namespaced"
    scale = [s for s in found["deployments"]["subresources"] if s["subresource"] == "scale"]
    assert scale[0]["responseKind"]["group"] == "autoscaling"
    core = await lab.ask("GET", "/api", accept=form)
    assert json.dumps(core.json).count('"resource": "pods"') == 1


async def test_stopping_does_not_wait_for_streams(tmp_path: Any, caplog: Any) -> None:
    backend = Registry(Store(None), lab_from_object(LAB))
    for obj in initial_objects(lab_from_object(LAB)):
        backend.create(obj)
    backend.create({**pod(node="node1"), "metadata": {"name": "web"}})
    streams = FakeStreams()
    runner = await serve_unix(build_app(backend, streams), tmp_path / "s")
    connector = aiohttp.UnixConnector(str(tmp_path / "s"))
    async with aiohttp.ClientSession("http://lab", connector=connector) as http:
        watch = await http.get(PODS, params={"watch": "1", "resourceVersion": "1"})
        log = await http.get(f"{PODS}/web/log", params={"follow": "1"})
        command = {"command": "sleep", "stdout": "1"}
        protocol = ("v5.channel.k8s.io",)
        socket = await http.ws_connect(f"{PODS}/web/exec", params=command, protocols=protocol)
        await socket.receive()
        start = time.perf_counter()
        await runner.cleanup()
        taken = time.perf_counter() - start
        assert streams.processes[0].killed
        assert streams.logs_open == 0
        for answer in (watch, log):
            answer.close()
        await socket.close()
    assert taken < 0.4
    assert not caplog.records


async def test_an_answer_that_fails_half_way_breaks_off(
    lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.registry.create({**pod(node="node1"), "metadata": {"name": "web"}})

    async def logs(*_: Any, **__: Any) -> Any:
        yield b"one\n"
        await asyncio.sleep(0.01)
        raise BadRequest("the container is gone")

    monkeypatch.setattr(type(lab.streams), "logs", logs)
    with pytest.raises(aiohttp.ClientPayloadError):
        await lab.ask("GET", f"{PODS}/web/log")
    assert (await lab.ask("GET", "/healthz")).code == 200


@pytest.mark.parametrize(
    ("expect", "answer"),
    [
        (b"100-continue", b"HTTP/1.1 100 Continue"),
        (b"the unexpected", b"HTTP/1.1 417 Expectation Failed"),
        (b"10\xc10-continue", b"HTTP/1.1 417 Expectation Failed"),
    ],
)
@pytest.mark.parametrize("path", [b"/api/v1/nodes", b"/version", b"/nowhere"])
async def test_what_a_client_expects(lab: Any, path: bytes, expect: bytes, answer: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(lab.socket))
    writer.write(b"GET %s HTTP/1.1\r\nHost: x\r\nExpect: %s\r\n\r\n" % (path, expect))
    assert (await reader.readline()).strip() == answer
    writer.close()
