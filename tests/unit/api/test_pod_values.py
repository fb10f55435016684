"""What the API refuses of a pod whichever way it comes, and what it warns of."""

from __future__ import annotations

from typing import Any

import pytest

PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
STRATEGIC = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
LABEL = "a lowercase RFC 1123 label must consist of"
PRIVILEGED = (
    'privileged (container "c" sets securityContext.privileged=true): '
    "it gives the capabilities that stay within a pod, and nothing of the machine"
)


def spec(**fields: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "busybox"}], **fields}


def pod(name: str = "p", **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec(**fields)}


def deployment(**fields: Any) -> dict[str, Any]:
    labels = {"app": "d"}
    template = {"metadata": {"labels": labels}, "spec": spec(**fields)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


BAD: dict[str, Any] = {"volumes": [{"name": "../../srv"}]}
IN_TEMPLATE = {"spec": {"template": {"spec": BAD}}}


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "field"),
    [
        ("POST", PODS, pod(**BAD), {}, "spec.volumes[0].name"),
        ("POST", DEPLOYMENTS, deployment(**BAD), {}, "spec.template.spec.volumes[0].name"),
        ("PUT", f"{DEPLOYMENTS}/d", deployment(**BAD), {}, "spec.template.spec.volumes[0].name"),
        *(
            ("PATCH", f"{DEPLOYMENTS}/d", IN_TEMPLATE, {"content_type": kind},
             "spec.template.spec.volumes[0].name")
            for kind in (STRATEGIC, MERGE)
        ),
        ("PATCH", f"{DEPLOYMENTS}/d",
         [{"op": "add", "path": "/spec/template/spec/volumes", "value": BAD["volumes"]}],
         {"content_type": "application/json-patch+json"}, "spec.template.spec.volumes[0].name"),
        ("PATCH", f"{DEPLOYMENTS}/d", deployment(**BAD),
         {"content_type": APPLY, "fieldManager": "me", "force": "true"},
         "spec.template.spec.volumes[0].name"),
        ("PATCH", f"{PODS}/new", pod("new", **BAD), {"content_type": APPLY, "fieldManager": "me"},
         "spec.volumes[0].name"),
    ],
)  # fmt: skip
async def test_each_way_in_is_guarded(
    lab: Any, method: str, path: str, body: Any, query: dict[str, str], field: str
) -> None:
    lab.registry.create(deployment())
    answer = await lab.ask(method, path, body, **query)
    assert answer.code == 422, answer.raw
    causes = [one for one in answer.json["details"]["causes"] if one["field"] == field]
    assert LABEL in causes[0]["message"]


async def test_so_is_the_way_to_a_status(lab: Any) -> None:
    lab.registry.create(pod())
    change = {"status": {"podIPs": [{"ip": "10.0.0.1 a\n10.0.0.2 b"}]}}
    answer = await lab.ask("PATCH", f"{PODS}/p/status", change, content_type=MERGE)
    assert (answer.code, answer.json["details"]["causes"][0]["field"]) == (
        422,
        "status.podIPs[0]",
    )


async def test_so_is_the_way_to_a_node(lab: Any) -> None:
    lab.registry.create(pod())
    answer = await lab.ask("POST", f"{PODS}/p/binding", {"target": {"name": "../n"}})
    assert (answer.code, answer.json["details"]["causes"][0]["field"]) == (422, "target.name")


@pytest.mark.parametrize("name", ["..", "../../../srv", "a/b", "a\nb", "a\0b"])
async def test_no_name_of_an_object_is_a_path(lab: Any, name: str) -> None:
    for path, kind in ((PODS, "Pod"), ("/api/v1/namespaces", "Namespace")):
        body = {**pod(name), "kind": kind} if kind == "Pod" else {"metadata": {"name": name}}
        answer = await lab.ask("POST", path, body)
        assert (answer.code, answer.json["reason"]) == (422, "Invalid")


async def test_namespaces_that_are_paths_do_not_exist(lab: Any) -> None:
    for space in ("..%2f..%2fsrv", "%2e%2e", "a%00b"):
        answer = await lab.ask("POST", f"/api/v1/namespaces/{space}/pods", pod())
        assert answer.code in (400, 404, 405)
    answer = await lab.ask("POST", PODS, {**pod(), "metadata": {"name": "p", "namespace": ".."}})
    assert answer.code == 400


async def test_a_command_with_a_nul_is_refused(lab: Any) -> None:
    lab.registry.create(pod(nodeName="node1"))
    answer = await lab.ask("GET", f"{PODS}/p/exec", command="a\0b", stdout="true")
    assert (answer.code, answer.message) == (
        400,
        "a command's words must not contain a NUL character",
    )


def warnings(answer: Any) -> list[str]:
    texts = answer.headers.getall("Warning", [])
    return [text.removeprefix('299 - "')[:-1].replace('\\"', '"') for text in texts]


def privileged() -> dict[str, Any]:
    return {"containers": [
        {"name": "c", "image": "busybox", "securityContext": {"privileged": True}}]}  # fmt: skip


async def test_a_pod_is_warned_of_when_it_is_created(lab: Any) -> None:
    made = await lab.ask("POST", PODS, pod(**privileged()))
    assert (made.code, warnings(made)) == (201, [PRIVILEGED])
    query = {"content_type": APPLY, "fieldManager": "me"}
    made = await lab.ask("PATCH", f"{PODS}/q", pod("q", **privileged()), **query)
    assert (made.code, warnings(made)) == (201, [PRIVILEGED])
    change = {"metadata": {"labels": {"a": "b"}}}
    changed = await lab.ask("PATCH", f"{PODS}/p", change, content_type=MERGE)
    assert (changed.code, warnings(changed)) == (200, [])


async def test_a_template_is_warned_of_whenever_what_it_asks_for_is_written(lab: Any) -> None:
    made = await lab.ask("POST", DEPLOYMENTS, deployment(**privileged()), dryRun="All")
    assert (made.code, warnings(made)) == (201, [PRIVILEGED])
    lab.registry.create(deployment())
    put = await lab.ask("PUT", f"{DEPLOYMENTS}/d", deployment(**privileged()))
    assert (put.code, warnings(put)) == (200, [PRIVILEGED])
    for change in ({"metadata": {"labels": {"a": "b"}}}, {"status": {"replicas": 1}}):
        same = await lab.ask("PATCH", f"{DEPLOYMENTS}/d", change, content_type=MERGE)
        assert (same.code, warnings(same)) == (200, []), "its generation is the same"
    again = await lab.ask("PUT", f"{DEPLOYMENTS}/d", deployment(**privileged()))
    assert (again.code, warnings(again)) == (200, [])
    more = await lab.ask("PATCH", f"{DEPLOYMENTS}/d", {"spec": {"replicas": 3}}, content_type=MERGE)
    assert (more.code, warnings(more)) == (200, [PRIVILEGED])
    scale = await lab.ask(
        "PATCH", f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 2}}, content_type=MERGE
    )
    assert (scale.code, warnings(scale)) == (200, [])
