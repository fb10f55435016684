"""What upstream's tests of every kind do with it: its status, its labels, its collection, seen by
a watch."""

from __future__ import annotations

from typing import Any

import pytest

STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"

LABELS = {"app": "web"}
TEMPLATE = {
    "metadata": {"labels": LABELS},
    "spec": {"containers": [{"name": "c", "image": "nginx"}]},
}
SELECTED = {"selector": {"matchLabels": LABELS}, "template": TEMPLATE}
CONDITION = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "lastTransitionTime": None}

KINDS: dict[str, dict[str, Any]] = {
    "/apis/apps/v1/namespaces/default/deployments": {"spec": SELECTED},
    "/apis/apps/v1/namespaces/default/replicasets": {"spec": SELECTED},
    "/apis/apps/v1/namespaces/default/statefulsets": {"spec": {**SELECTED, "serviceName": "web"}},
    "/apis/apps/v1/namespaces/default/daemonsets": {"spec": SELECTED},
    "/api/v1/namespaces/default/replicationcontrollers": {"spec": {"template": TEMPLATE}},
    "/apis/batch/v1/namespaces/default/jobs": {
        "spec": {
            "template": {
                "spec": {"restartPolicy": "Never", **TEMPLATE["spec"]},
            }
        }
    },
    "/api/v1/namespaces/default/pods": {"spec": TEMPLATE["spec"]},
    "/api/v1/namespaces/default/services": {"spec": {"ports": [{"port": 80}]}},
}


@pytest.mark.parametrize("path", KINDS)
async def test_a_status_is_read_replaced_and_patched(lab: Any, path: str) -> None:
    made = await lab.ask("POST", path, {**KINDS[path], "metadata": {"name": "web"}})
    assert made.code == 201, made.json
    status = (await lab.ask("GET", f"{path}/web/status")).json
    assert status["kind"] == made.json["kind"]
    status["status"] = {**status["status"], "conditions": [CONDITION]}
    replaced = await lab.ask("PUT", f"{path}/web/status", status)
    assert replaced.code == 200, replaced.json
    (found,) = replaced.json["status"]["conditions"]
    assert (found["type"], found["status"], found["reason"]) == ("StatusUpdate", "True", "E2E")
    patch = {
        "metadata": {"annotations": {"patchedstatus": "true"}},
        "status": {"conditions": [{**CONDITION, "type": "StatusPatched"}]},
    }
    patched = await lab.ask("PATCH", f"{path}/web/status", patch, content_type=MERGE)
    assert patched.code == 200, patched.json
    assert [one["type"] for one in patched.json["status"]["conditions"]] == ["StatusPatched"]
    assert patched.json["metadata"]["annotations"]["patchedstatus"] == "true"
    assert patched.json["metadata"].get("generation", 1) == made.json["metadata"].get(
        "generation", 1
    )


PLAIN: dict[str, dict[str, Any]] = {
    **KINDS,
    "/api/v1/namespaces/default/configmaps": {"data": {"a": "b"}},
    "/api/v1/namespaces/default/secrets": {"stringData": {"a": "b"}},
    "/api/v1/namespaces/default/serviceaccounts": {},
    "/api/v1/namespaces/default/endpoints": {
        "subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "h", "port": 80}]}]
    },
    "/api/v1/namespaces/default/podtemplates": {"template": TEMPLATE},
    "/api/v1/namespaces/default/events": {
        "involvedObject": {"namespace": "default"},
        "reason": "Test",
        "message": "This is a test event",
        "type": "Normal",
    },
    "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices": {
        "addressType": "IPv4",
        "endpoints": [],
    },
    "/apis/networking.k8s.io/v1/namespaces/default/ingresses": {
        "spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}
    },
    "/apis/networking.k8s.io/v1/ingressclasses": {"spec": {"controller": "a.b/c"}},
    "/apis/coordination.k8s.io/v1/namespaces/default/leases": {"spec": {}},
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles": {"rules": []},
    "/apis/batch/v1/namespaces/default/cronjobs": {
        "spec": {
            "schedule": "* * * * *",
            "jobTemplate": KINDS["/apis/batch/v1/namespaces/default/jobs"],
        }
    },
    "/apis/apps/v1/namespaces/default/controllerrevisions": {"revision": 1, "data": {"a": None}},
}


@pytest.mark.parametrize("path", PLAIN)
async def test_a_life_is_watched_from_creation_to_the_deletion_of_the_collection(
    lab: Any, path: str
) -> None:
    labels = {"test": "static"}
    async with lab.watch(path, labelSelector="test=static") as following:
        for name in ("one", "two"):
            body = {**PLAIN[path], "metadata": {"name": name, "labels": labels}}
            made = await lab.ask("POST", path, body)
            assert made.code == 201, made.json
            assert (await following())["type"] == "ADDED"
        kind = made.json["kind"]
        read = (await lab.ask("GET", f"{path}/one")).json
        read["metadata"]["labels"]["updated"] = "yes"
        assert (await lab.ask("PUT", f"{path}/one", read)).code == 200
        assert (await following())["object"]["metadata"]["labels"]["updated"] == "yes"
        patch = {"metadata": {"labels": {"patched": "yes"}}}
        assert (await lab.ask("PATCH", f"{path}/one", patch, content_type=STRATEGIC)).code == 200
        assert (await following())["object"]["metadata"]["labels"]["patched"] == "yes"
        found = await lab.ask("GET", path, labelSelector="test=static")
        assert [one["metadata"]["name"] for one in found.json["items"]] == ["one", "two"]
        everywhere = path.replace("/namespaces/default", "")
        found = await lab.ask("GET", everywhere, labelSelector="test=static")
        assert (len(found.json["items"]), found.json["kind"]) == (2, f"{kind}List")
        gone = await lab.ask(
            "DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"},
            labelSelector="test=static",
        )  # fmt: skip
        assert gone.code == 200, gone.json
        assert {(await following())["type"] for _ in range(2)} == {"DELETED"}
    assert (await lab.ask("GET", f"{path}/one")).code == 404
