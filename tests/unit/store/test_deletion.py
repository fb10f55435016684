from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import AlreadyExists, ApiError, Conflict, Invalid, NotFound
from netlab.store.registry import Registry


def _bind(registry: Registry) -> None:
    registry.patch("Pod", "default", "web", {"spec": {"nodeName": "n1"}}, subresource="binding")


def test_most_objects_go_at_once(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    last = registry.delete("ConfigMap", "default", "a")
    assert "deletionTimestamp" not in last["metadata"]
    with pytest.raises(NotFound):
        registry.get("ConfigMap", "default", "a")


def test_a_pod_without_a_node_goes_at_once(registry: Registry, make: Any) -> None:
    registry.create(make.pod())
    registry.delete("Pod", "default", "web", grace_period=60)
    assert registry.list("Pod").items == []


def test_a_finished_pod_goes_at_once(registry: Registry, make: Any) -> None:
    registry.create(make.pod())
    _bind(registry)
    registry.patch("Pod", "default", "web", {"status": {"phase": "Failed"}}, subresource="status")
    registry.delete("Pod", "default", "web")
    assert registry.list("Pod").items == []


def test_a_running_pod_is_given_its_grace(registry: Registry, make: Any) -> None:
    registry.create(make.pod(terminationGracePeriodSeconds=10))
    _bind(registry)
    lingering = registry.delete("Pod", "default", "web")
    assert lingering["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:10Z"
    assert lingering["metadata"]["deletionGracePeriodSeconds"] == 10
    assert registry.get("Pod", "default", "web") is lingering


def test_grace_has_an_end(registry: Registry, make: Any) -> None:
    registry.create(make.pod(terminationGracePeriodSeconds=2**62))
    _bind(registry)
    lingering = registry.delete("Pod", "default", "web")
    assert lingering["metadata"]["deletionTimestamp"] == "2094-01-19T15:14:08Z"


def test_grace_can_be_shortened_and_never_prolonged(
    registry: Registry, make: Any, clock: Any
) -> None:
    registry.create(make.pod())
    _bind(registry)
    registry.delete("Pod", "default", "web", grace_period=20)
    clock.now += 5
    revision = registry.store.revision
    registry.delete("Pod", "default", "web")  # its own 30 seconds: not sooner, so nothing changes
    assert registry.store.revision == revision
    sooner = registry.delete("Pod", "default", "web", grace_period=2)
    assert sooner["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:07Z"
    registry.delete("Pod", "default", "web", grace_period=0)
    with pytest.raises(NotFound):
        registry.get("Pod", "default", "web")


def test_a_terminating_pod_is_not_bound(registry: Registry, make: Any) -> None:
    body = make.pod()
    body["metadata"]["finalizers"] = ["example.com/hold"]
    registry.create(body)
    registry.delete("Pod", "default", "web")
    with pytest.raises(Conflict, match="is being deleted"):
        _bind(registry)


def test_finalizers_hold_until_the_last_is_taken_away(registry: Registry, make: Any) -> None:
    body = make.config("a")
    body["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    registry.create(body)
    held = registry.delete("ConfigMap", "default", "a")
    assert held["metadata"]["deletionTimestamp"] == "2026-01-01T12:00:00Z"
    registry.patch("ConfigMap", "default", "a", {"metadata": {"finalizers": ["example.com/two"]}})
    assert registry.get("ConfigMap", "default", "a")["metadata"]["finalizers"] == [
        "example.com/two"
    ]
    registry.patch("ConfigMap", "default", "a", {"metadata": {"finalizers": None}})
    with pytest.raises(NotFound):
        registry.get("ConfigMap", "default", "a")


def test_what_is_going_takes_no_new_finalizers(registry: Registry, make: Any) -> None:
    body = make.config("a")
    body["metadata"]["finalizers"] = ["example.com/one"]
    registry.create(body)
    registry.delete("ConfigMap", "default", "a")
    more = {"metadata": {"finalizers": ["example.com/one", "example.com/two"]}}
    with pytest.raises(Invalid, match="no new finalizers can be added"):
        registry.patch("ConfigMap", "default", "a", more)


@pytest.mark.parametrize(
    ("propagation", "finalizers"),
    [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])],
)
def test_propagation_is_left_to_the_garbage_collector(
    registry: Registry, make: Any, propagation: Any, finalizers: list[str]
) -> None:
    registry.create(make.deployment())
    held = registry.delete("Deployment", "default", "web", propagation=propagation)
    assert held["metadata"]["finalizers"] == finalizers
    assert held["metadata"]["generation"] == 2
    again = registry.delete("Deployment", "default", "web")
    assert again["metadata"]["finalizers"] == finalizers, "a second delete undid the first choice"


def test_deleting_another_version_is_refused(registry: Registry, make: Any) -> None:
    version = registry.create(make.config("a"))["metadata"]["resourceVersion"]
    with pytest.raises(Conflict, match="ResourceVersion in precondition: 1, ResourceVersion in"):
        registry.delete("ConfigMap", "default", "a", resource_version="1")
    registry.delete("ConfigMap", "default", "a", resource_version=version)


def test_deleting_the_wrong_uid_is_refused(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    with pytest.raises(Conflict, match="UID in precondition: x"):
        registry.delete("ConfigMap", "default", "a", uid="x")
    assert registry.get("ConfigMap", "default", "a")


def test_a_namespace_goes_when_it_is_finalized(registry: Registry, make: Any) -> None:
    registry.create(make.namespace("shop"))
    registry.create(make.config("a", space="shop"))
    going = registry.delete("Namespace", "", "shop")
    assert going["status"]["phase"] == "Terminating"
    assert going["spec"]["finalizers"] == ["kubernetes"]
    with pytest.raises(ApiError, match="because it is being terminated") as raised:
        registry.create(make.config("b", space="shop"))
    assert (raised.value.code, raised.value.reason) == (403, "Forbidden")
    registry.update({**going, "spec": {}})  # the plain object's finalizers are not for changing
    assert registry.get("Namespace", "", "shop")["spec"] == {"finalizers": ["kubernetes"]}
    registry.update({**going, "spec": {"finalizers": []}}, subresource="finalize")
    with pytest.raises(NotFound):
        registry.get("Namespace", "", "shop")


def test_a_name_is_taken_until_its_object_is_gone(registry: Registry, make: Any) -> None:
    registry.create(make.namespace("shop"))
    registry.delete("Namespace", "", "shop")
    with pytest.raises(AlreadyExists) as raised:
        registry.create(make.namespace("shop"))
    text = 'object is being deleted: namespaces "shop" already exists'
    assert raised.value.message == text


def test_a_cluster_keeps_its_namespaces(registry: Registry, make: Any) -> None:
    registry.create(make.config("a"))
    with pytest.raises(ApiError) as raised:
        registry.delete("Namespace", "", "default")
    assert (raised.value.code, raised.value.message) == (
        403,
        'namespaces "default" is forbidden: this namespace may not be deleted',
    )
    registry.delete("ConfigMap", "default", "a")


def test_delete_collection_selects(registry: Registry, make: Any) -> None:
    for name in ("a", "b"):
        registry.create(make.pod(name))
    gone = registry.delete_collection("Pod", "default", label_selector="app=a")
    assert [obj["metadata"]["name"] for obj in gone.items] == ["a"]
    assert [obj["metadata"]["name"] for obj in registry.list("Pod").items] == ["b"]
