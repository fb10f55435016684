from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from bootstrapped import initial_objects

from netlab.errors import AlreadyExists, ApiError, BadRequest, Conflict, Invalid, NotFound
from netlab.objects import bootstrap
from netlab.store.patch import APPLY
from netlab.store.registry import Registry
from netlab.store.store import Store


def test_create_fills_what_the_server_owns(registry: Registry, make: Any) -> None:
    mine = make.pod()
    mine["metadata"] |= {"uid": "mine", "generation": 7, "creationTimestamp": None}
    mine["status"] = {"phase": "Running"}
    stored = registry.create(mine)
    metadata = stored["metadata"]
    assert metadata["uid"] != "mine" and len(metadata["uid"]) == 36
    assert metadata["creationTimestamp"] == "2026-01-01T12:00:00Z"
    assert metadata["generation"] == 1
    assert stored["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert stored["spec"]["restartPolicy"] == "Always", "defaults were not filled"
    assert mine["metadata"]["uid"] == "mine", "the caller's object was changed"


def test_what_is_stored_does_not_follow_the_callers_object(registry: Registry, make: Any) -> None:
    mine = make.config("a", x="1")
    registry.create(mine)
    mine["data"]["x"] = "2"
    assert registry.get("ConfigMap", "default", "a")["data"] == {"x": "1"}


def test_generated_names_end_in_five_safe_characters(registry: Registry, make: Any) -> None:
    body = make.pod()
    body["metadata"] = {"generateName": "web-" + "x" * 70}
    name = registry.create(body)["metadata"]["name"]
    assert len(name) == 63 and name.startswith("web-xxx")
    assert registry.create(body)["metadata"]["name"] != name


def test_a_taken_generated_name_is_tried_again(
    registry: Registry, make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    endings = iter(["aaaaa", "aaaaa", "bbbbb"])
    monkeypatch.setattr("netlab.objects.names.random_suffix", lambda _: next(endings))
    body = make.config("")
    body["metadata"] = {"generateName": "c-"}
    assert [registry.create(body)["metadata"]["name"] for _ in range(2)] == ["c-aaaaa", "c-bbbbb"]


def test_the_servers_words(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    registry.create(make.deployment())
    cases: list[tuple[type[ApiError], str, Any]] = [
        (NotFound, 'services "web" not found', lambda: registry.get("Service", "default", "web")),
        (
            NotFound,
            'deployments.apps "x" not found',
            lambda: registry.delete("Deployment", "default", "x"),
        ),
        (
            NotFound,
            'namespaces "nowhere" not found',
            lambda: registry.create(make.config("a", space="nowhere")),
        ),
        (
            AlreadyExists,
            'configmaps "a" already exists',
            lambda: registry.create(make.config("a")),
        ),
        (
            AlreadyExists,
            'deployments.apps "web" already exists',
            lambda: registry.create(make.deployment()),
        ),
        (
            NotFound,
            "the server could not find the requested resource",
            lambda: registry.list("Widget"),
        ),
    ]
    for error, text, call in cases:
        with pytest.raises(error) as raised:
            call()
        assert raised.value.message == text


def test_all_problems_are_told_at_once(registry: Registry, make: Any) -> None:
    body = make.service(type="NodePort", ports=[{"port": 0, "targetPort": 80, "nodePort": 80}])
    with pytest.raises(Invalid) as raised:
        registry.create(body)
    error = raised.value
    assert error.message.startswith('Service "web" is invalid: [spec.ports[0].port: Invalid value')
    assert "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the" in error.message
    causes = error.details["causes"]
    assert isinstance(causes, list)
    assert [cause["field"] for cause in causes] == ["spec.ports[0].port", "spec.ports[0].nodePort"]
    assert error.details["kind"] == "Service" and error.code == 422


def test_wrong_types_cannot_be_handled(registry: Registry, make: Any) -> None:
    with pytest.raises(BadRequest, match='Pod in version "v1" cannot be handled as a Pod'):
        registry.create(make.pod(containers="nginx"))
    with pytest.raises(BadRequest, match="metadata"):
        registry.create({"apiVersion": "v1", "kind": "Pod", "metadata": []})


def test_unknown_fields_are_not_stored(registry: Registry, make: Any) -> None:
    body = {**make.config("a"), "dtaa": {"x": "1"}}
    assert "dtaa" not in registry.create(body)


def test_a_version_that_is_not_served(registry: Registry, make: Any) -> None:
    with pytest.raises(BadRequest, match="apps/v1beta1"):
        registry.create({**make.deployment(), "apiVersion": "apps/v1beta1"})


def test_cluster_scoped_objects_have_no_namespace(registry: Registry, make: Any) -> None:
    body = make.namespace("x")
    body["metadata"]["namespace"] = "default"
    with pytest.raises(BadRequest, match="not namespaced"):
        registry.create(body)


def test_update_needs_the_current_version(registry: Registry, make: Any) -> None:
    first = registry.create(make.config("a", x="1"))
    second = registry.update({**first, "data": {"x": "2"}})
    with pytest.raises(Conflict) as raised:
        registry.update({**first, "data": {"x": "3"}})
    assert raised.value.message == (
        'Operation cannot be fulfilled on configmaps "a": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    unconditional = make.config("a", x="4")
    third = registry.update(unconditional)
    assert int(third["metadata"]["resourceVersion"]) > int(second["metadata"]["resourceVersion"])
    assert third["metadata"]["uid"] == first["metadata"]["uid"]


def test_what_comes_with_a_status_is_metadata(registry: Registry, make: Any) -> None:
    """As upstream's test of a Service's status annotates it there."""
    registry.create(make.service())
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    patch = {"metadata": {"annotations": {"patched": "true"}}, "status": status}
    patch["spec"] = {"type": "NodePort"}
    after = registry.patch("Service", "default", "web", patch, subresource="status")
    assert after["metadata"]["annotations"] == {"patched": "true"}
    assert after["spec"]["type"] == "ClusterIP"
    assert after["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
    wrong = {"metadata": {"labels": {"-": "-"}}}
    with pytest.raises(Invalid, match=r"metadata\.labels"):
        registry.patch("Service", "default", "web", wrong, subresource="status")
    made = registry.create({**make.deployment("d"), "kind": "Deployment"})
    relabelled = {"metadata": {"labels": {"x": "y"}, "annotations": {"x": "y"}}}
    after = registry.patch("Deployment", "default", "d", relabelled, subresource="status")
    assert after["metadata"].get("labels") == made["metadata"].get("labels")
    assert after["metadata"]["annotations"] == {"x": "y"}


def test_update_of_another_uid_is_refused(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    stranger = make.config("a", x="1")
    stranger["metadata"]["uid"] = "other"
    with pytest.raises(Conflict, match="UID in precondition: other"):
        registry.update(stranger)


def test_a_write_that_changes_nothing_is_none(registry: Registry, make: Any) -> None:
    stored = registry.create(make.deployment())
    revision = registry.store.revision
    assert registry.update(copy.deepcopy(stored)) is stored
    assert registry.patch("Deployment", "default", "web", {"spec": {"replicas": 1}}) is stored
    assert registry.patch("Deployment", "default", "web", {"status": {"replicas": 9}}) is stored
    assert registry.store.revision == revision


def test_generation_counts_changes_of_the_spec_only(registry: Registry, make: Any) -> None:
    registry.create(make.deployment())

    def patched(change: dict[str, Any], subresource: str = "") -> int:
        obj = registry.patch("Deployment", "default", "web", change, subresource=subresource)
        return int(obj["metadata"]["generation"])

    assert patched({"metadata": {"labels": {"a": "b"}}}) == 1
    assert patched({"status": {"replicas": 1}}, "status") == 1
    assert patched({"spec": {"replicas": 2}}) == 2
    assert patched({"spec": {"replicas": 3}}, "scale") == 3


def test_what_a_status_leaves_out_of_what_its_type_requires_is_zero(
    registry: Registry, make: Any
) -> None:
    registry.create(make.pod())
    status = {"containerStatuses": [{"name": "web"}], "conditions": [{"type": "Ready"}]}
    after = registry.patch("Pod", "default", "web", {"status": status}, subresource="status")
    zeros = {"ready": False, "restartCount": 0, "image": "", "imageID": ""}
    assert after["status"]["containerStatuses"] == [{"name": "web", **zeros}]
    assert after["status"]["conditions"] == [{"type": "Ready", "status": ""}]


def test_a_patch_makes_an_object_none_of_another_kind(registry: Registry, make: Any) -> None:
    registry.create(make.service())
    for other in ({"kind": "DeleteOptions", "dryRun": "All"}, {"apiVersion": "v2"}):
        with pytest.raises(BadRequest, match="cannot change the kind"):
            registry.patch("Service", "default", "web", other)


def test_what_many_objects_say_is_kept_once(registry: Registry, make: Any) -> None:
    one, other = (
        registry.create(json.loads(json.dumps(make.service(name)))) for name in ("web", "other")
    )
    assert one["status"] is other["status"]
    assert one["spec"]["selector"]["app"] is other["spec"]["selector"]["app"]
    its = next(field for field in other["spec"] if field == "selector")
    assert next(field for field in one["spec"] if field == "selector") is its


def test_a_status_that_new_objects_share_is_changed_for_one(registry: Registry, make: Any) -> None:
    for name in ("web", "other"):
        registry.create(make.service(name))
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    registry.patch("Service", "default", "web", {"status": status}, subresource="status")
    registry.create(make.service("third"))
    told = [registry.get("Service", "default", name)["status"] for name in ("other", "third")]
    assert told == [{"loadBalancer": {}}] * 2


def test_an_address_in_a_load_balancers_status_is_the_services_own(
    registry: Registry, make: Any
) -> None:
    registry.create(make.service(type="LoadBalancer"))
    ingress = [{"ip": "203.0.113.1"}, {"ip": "203.0.113.2", "ipMode": "Proxy"}, {"hostname": "lb"}]
    status = {"status": {"loadBalancer": {"ingress": ingress}}}
    after = registry.patch("Service", "default", "web", status, subresource="status")
    modes = [entry.get("ipMode") for entry in after["status"]["loadBalancer"]["ingress"]]
    assert modes == ["VIP", "Proxy", None]


def test_a_required_time_that_a_status_leaves_out_is_null(registry: Registry, make: Any) -> None:
    registry.create(make.service())
    said = {
        "type": "Up",
        "status": "True",
        "reason": "E2E",
        "message": "",
        "lastTransitionTime": None,
    }
    for time in ({"lastTransitionTime": None}, {}):
        status = {"conditions": [{**said, **time}]}
        after = registry.patch(
            "Service", "default", "web", {"status": status}, subresource="status"
        )
        assert after["status"]["conditions"] == [said]
    again = registry.update(after, subresource="status")
    assert again["status"]["conditions"] == [said]


def test_what_is_no_time_is_refused(registry: Registry, make: Any) -> None:
    registry.create(make.service())
    said = {"type": "Up", "status": "True", "reason": "E2E", "message": ""}
    for time in ("", "soon", "2026-01-31"):
        status = {"conditions": [{**said, "lastTransitionTime": time}]}
        with pytest.raises(
            BadRequest, match="must be a time such as 2026-01-31T12:00:00Z, not the"
        ):
            registry.patch("Service", "default", "web", {"status": status}, subresource="status")


def test_status_changes_through_its_subresource_only(registry: Registry, make: Any) -> None:
    stored = copy.deepcopy(registry.create(make.pod()))
    stored["status"] = {"phase": "Running"}
    stored["metadata"]["labels"] = {"changed": "yes"}
    after = registry.update(stored)
    assert after["status"]["phase"] == "Pending" and after["metadata"]["labels"] == {
        "changed": "yes"
    }

    stored["metadata"] |= {"labels": {"again": "yes"}, "resourceVersion": ""}
    stored["spec"] = {"containers": []}
    after = registry.update(stored, subresource="status")
    assert after["status"] == {"phase": "Running"}
    assert after["metadata"]["labels"] == {"again": "yes"}
    assert after["spec"]["containers"][0]["image"] == "nginx"


def test_scale_changes_replicas_only(registry: Registry, make: Any) -> None:
    registry.create(make.deployment())
    change = {"spec": {"replicas": 5, "paused": True}, "metadata": {"labels": {"a": "b"}}}
    after = registry.patch("Deployment", "default", "web", change, subresource="scale")
    assert after["spec"]["replicas"] == 5
    assert "paused" not in after["spec"] and "labels" not in after["metadata"]
    with pytest.raises(Invalid, match=r"spec\.replicas"):
        registry.patch(
            "Deployment", "default", "web", {"spec": {"replicas": -1}}, subresource="scale"
        )


def test_a_kind_without_the_subresource(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    with pytest.raises(NotFound, match="could not find the requested resource"):
        registry.patch("ConfigMap", "default", "a", {}, subresource="scale")


def test_nodes_of_a_lab_can_be_labelled_and_cordoned(lab: Any, make: Any) -> None:
    registry = Registry(Store(None), lab)
    node = next(obj for obj in initial_objects(lab) if obj["kind"] == "Node")
    facts = {
        "kernel": "6.1",
        "os_image": "Linux",
        "architecture": "amd64",
        "boot_id": "1",
        "cpus": 2,
        "memory": 1024,
        "storage": 2048,
        "now": "2026-01-01T12:00:00Z",
    }
    node["status"] = bootstrap.node_status(lab.nodes[0], "a-b", **facts)
    name = registry.create(node)["metadata"]["name"]
    change = {"metadata": {"labels": {"disk": "ssd"}}, "spec": {"unschedulable": True}}
    changed = registry.patch("Node", "", name, change)
    assert changed["metadata"]["labels"]["disk"] == "ssd" and changed["spec"]["unschedulable"]


def test_immutable_fields_stay(registry: Registry, make: Any) -> None:
    registry.create(make.deployment())
    change = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    with pytest.raises(Invalid, match="field is immutable"):
        registry.patch("Deployment", "default", "web", change)


def test_a_dry_run_changes_nothing(registry: Registry, make: Any) -> None:
    revision = registry.store.revision
    planned = registry.create(make.service(type="NodePort"), dry_run=True)
    assert planned["spec"]["clusterIP"] and planned["spec"]["ports"][0]["nodePort"]
    assert registry.store.revision == revision
    taken = registry.create(
        make.service("other", type="NodePort", clusterIP=planned["spec"]["clusterIP"])
    )
    assert taken["spec"]["clusterIP"] == planned["spec"]["clusterIP"], "the dry run kept it"

    kind, where = "Service", ("default", "other")
    registry.update(
        {**taken, "metadata": {**taken["metadata"], "labels": {"a": "b"}}}, dry_run=True
    )
    registry.patch(kind, *where, {"spec": {"type": "ClusterIP"}}, dry_run=True)
    registry.delete(kind, *where, dry_run=True)
    assert registry.get(kind, *where) is taken
    with pytest.raises(AlreadyExists):
        body = make.service("other")
        registry.create(body, dry_run=True)


def test_lists_select(registry: Registry, make: Any) -> None:
    for name in ("a", "b", "c"):
        registry.create(make.pod(name))
    registry.patch("Pod", "default", "b", {"spec": {"nodeName": "n1"}}, subresource="binding")

    def names(**selectors: str) -> list[str]:
        found = registry.list("Pod", "default", **selectors)
        assert found.resource_version == str(registry.store.revision)
        return [obj["metadata"]["name"] for obj in found.items]

    assert names() == ["a", "b", "c"]
    assert names(label_selector="app in (a,c)") == ["a", "c"]
    assert names(field_selector="spec.nodeName=n1") == ["b"]
    assert names(field_selector="metadata.name=c") == ["c"]
    assert names(field_selector="metadata.name=c", label_selector="app=a") == []
    with pytest.raises(BadRequest):
        names(label_selector="a in b")


def test_a_pod_is_bound_once(registry: Registry, make: Any) -> None:
    registry.create(make.pod())

    def bind(node: str, **metadata: str) -> dict[str, Any]:
        change = {"spec": {"nodeName": node}, "metadata": metadata}
        return registry.patch("Pod", "default", "web", change, subresource="binding")

    with pytest.raises(Conflict, match="UID"):
        bind("n1", uid="of-another")
    with pytest.raises(BadRequest):
        bind("")
    bound = bind("n1")
    assert bound["spec"]["nodeName"] == "n1" and bound["metadata"]["generation"] == 1
    assert [(c["type"], c["status"]) for c in bound["status"]["conditions"]] == [
        ("PodScheduled", "True")
    ]
    with pytest.raises(Conflict, match='pod web is already assigned to node "n1"'):
        bind("n2")


def test_binding_in_this_process_comes_to_what_a_patch_makes(registry: Registry, make: Any) -> None:
    for name in ("a", "b"):
        applied = make.pod(name)
        registry.patch("Pod", "default", name, applied, content_type=APPLY, field_manager="me")
    before = registry.get("Pod", "default", "b")
    known = copy.deepcopy(before)
    change = {"spec": {"nodeName": "n1"}}
    patched = registry.patch("Pod", "default", "a", change, subresource="binding")
    bound = registry.bind("default", "b", "n1", uid=before["metadata"]["uid"])
    assert registry.get("Pod", "default", "b") is bound and before == known

    def of_any_pod(pod: dict[str, Any]) -> dict[str, Any]:
        found = json.loads(json.dumps(pod).replace('"b"', '"a"'))
        for field in ("uid", "resourceVersion"):
            del found["metadata"][field]
        found["spec"]["volumes"] = found["spec"]["containers"][0]["volumeMounts"] = []
        return found

    assert of_any_pod(bound) == of_any_pod(patched)


def test_a_pod_is_bound_in_this_process_as_by_a_patch_or_not_at_all(
    registry: Registry, make: Any
) -> None:
    registry.create(make.pod())
    with pytest.raises(BadRequest):
        registry.bind("default", "web", "")
    with pytest.raises(Conflict, match="UID"):
        registry.bind("default", "web", "n1", uid="of-another")
    with pytest.raises(NotFound):
        registry.bind("default", "no", "n1")
    registry.bind("default", "web", "n1")
    with pytest.raises(Conflict, match='pod web is already assigned to node "n1"'):
        registry.bind("default", "web", "n1")


def test_a_patch_cannot_rename(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    for change in ({"name": "b"}, {"namespace": "other"}):
        with pytest.raises(BadRequest, match="cannot change"):
            registry.patch("ConfigMap", "default", "a", {"metadata": change})


def test_what_says_to_a_new_element_how_to_be_merged_is_not_kept(
    registry: Registry, make: Any
) -> None:
    """kubectl's own merge keeps what was to be deleted there, and so does a cluster's."""
    registry.create({**make.deployment("d"), "kind": "Deployment"})
    env = [{"name": "a", "value": "1"}, {"name": "b", "$patch": "delete"}]
    new = {"name": "new", "image": "i", "env": env, "$setElementOrder/env": [{"name": "a"}]}
    patch = {"spec": {"template": {"spec": {"containers": [new]}}}}
    after = registry.patch("Deployment", "default", "d", patch)
    first = after["spec"]["template"]["spec"]["containers"][0]
    assert first["env"] == [{"name": "a", "value": "1"}, {"name": "b"}]
    assert not any(key.startswith("$") for key in first)


def test_a_patch_with_a_stale_version(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    with pytest.raises(Conflict):
        registry.patch(
            "ConfigMap", "default", "a", {"metadata": {"resourceVersion": "1"}, "data": {"x": "1"}}
        )


def test_apply_creates_and_then_merges(registry: Registry, make: Any) -> None:
    def apply(config: dict[str, Any]) -> dict[str, Any]:
        return registry.patch(
            "Service",
            "default",
            "web",
            config,
            content_type="application/apply-patch+yaml",
            field_manager="kubectl",
        )

    first = apply(make.service())
    assert first["spec"]["clusterIP"].startswith("10.")
    second = apply(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "labels": {"a": "b"}},
            "spec": {"ports": [{"port": 81, "name": "b"}, {"port": 80, "name": "a"}]},
        }
    )
    assert second["spec"]["clusterIP"] == first["spec"]["clusterIP"]
    assert [(p["name"], p["port"]) for p in second["spec"]["ports"]] == [("b", 81), ("a", 80)]
    assert second["metadata"]["labels"] == {"a": "b"}


def test_empty_labels_are_none(registry: Registry, make: Any) -> None:
    body = make.config("a", x="1")
    body["metadata"] |= {"labels": {}, "annotations": {}, "finalizers": []}
    made = registry.create(body)
    assert not {"labels", "annotations", "finalizers"} & made["metadata"].keys()
    same = registry.patch("ConfigMap", "default", "a", {"metadata": {"annotations": {}}})
    assert same is made


def test_the_data_of_a_controller_revision_is_kept_to_the_last_null(registry: Registry) -> None:
    data = {"spec": {"template": {"$patch": "replace", "metadata": {"creationTimestamp": None}}}}
    obj = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "db-1", "namespace": "default", "labels": {"app": None}},
        "data": data,
    }
    made = registry.create(obj)
    assert (made["data"], made["revision"]) == (data, 0)
    assert "labels" not in made["metadata"]
    where = ("ControllerRevision", "default", "db-1")
    add = [{"op": "add", "path": "/metadata/finalizers", "value": ["example.com/held"]}]
    registry.patch(*where, add, content_type="application/json-patch+json")
    registry.patch(*where, {"revision": 2})
    registry.update({**registry.get(*where), "revision": 3})
    registry.delete(*where)
    last = registry.get(*where)
    assert (last["data"], last["revision"]) == (data, 3)
    with pytest.raises(Invalid, match="data: Invalid value: "):
        registry.patch(*where, {"data": {"spec": {"template": None}}})


def test_nulls_mean_absence(registry: Registry, make: Any) -> None:
    body = {**make.config("a", x="1"), "binaryData": None}
    body["metadata"]["labels"] = None
    stored = registry.create(body)
    assert "binaryData" not in stored and "labels" not in stored["metadata"]
