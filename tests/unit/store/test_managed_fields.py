"""Server-side apply: who owns which fields, and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.errors import ApiError, Invalid, NotFound
from netlab.store.patch import APPLY
from netlab.store.registry import Registry

Json = dict[str, Any]


def deployment(**spec: Any) -> Json:
    container = {"name": "c", "image": "nginx"}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def service(*ports: Json, **labels: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "labels": labels},
        "spec": {"selector": {"app": "web"}, "ports": list(ports)},
    }


def apply(registry: Registry, config: Json, by: str = "a", *, force: bool = False) -> Json:
    return registry.patch(
        config["kind"], "default", "web", config,
        content_type=APPLY, field_manager=by, force=force,
    )  # fmt: skip


def owned(obj: Json) -> dict[str, Json]:
    return {
        f"{entry['manager']} {entry['operation']}": entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", [])
    }


def test_what_is_applied_is_owned_and_nothing_else(registry: Registry) -> None:
    made = apply(registry, service({"port": 80, "name": "http"}, x="y"))
    assert owned(made) == {
        "a Apply": {
            "f:metadata": {"f:labels": {"f:x": {}}},
            "f:spec": {
                "f:ports": {
                    'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:name": {}, "f:port": {}}
                },
                "f:selector": {},
            },
        }
    }
    (entry,) = made["metadata"]["managedFields"]
    assert (entry["fieldsType"], entry["apiVersion"]) == ("FieldsV1", "v1")


def test_applying_the_same_again_writes_nothing(registry: Registry) -> None:
    first = apply(registry, service({"port": 80}, x="y"))
    assert apply(registry, service({"port": 80}, x="y")) is registry.get(
        "Service", "default", "web"
    )
    assert registry.get("Service", "default", "web") == first


def test_what_is_no_longer_said_is_taken_away(registry: Registry) -> None:
    first = apply(registry, service({"port": 80, "name": "a"}, {"port": 81, "name": "b"}, x="y"))
    second = apply(registry, service({"port": 82, "name": "b"}))
    assert [port["port"] for port in second["spec"]["ports"]] == [82]
    assert "labels" not in second["metadata"]
    assert second["spec"]["clusterIP"] == first["spec"]["clusterIP"], "the server's own stays"


def test_what_another_says_too_stays(registry: Registry) -> None:
    apply(registry, service({"port": 80}, x="y", z="1"))
    both = apply(registry, service({"port": 80}, x="y"), by="b")
    assert set(owned(both)) == {"a Apply", "b Apply"}
    left = apply(registry, service({"port": 80}))
    assert left["metadata"]["labels"] == {"x": "y"}


def test_another_value_for_what_another_owns_is_a_conflict(registry: Registry) -> None:
    apply(registry, deployment(replicas=2))
    with pytest.raises(ApiError) as caught:
        apply(registry, deployment(replicas=3), by="b")
    assert (caught.value.code, caught.value.reason) == (409, "Conflict")
    assert caught.value.message == (
        'Apply failed with 1 conflict: conflict with "a": .spec.replicas'
    )
    assert caught.value.details["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "a"',
            "field": ".spec.replicas",
        }
    ]
    taken = apply(registry, deployment(replicas=3), by="b", force=True)
    assert taken["spec"]["replicas"] == 3
    assert "f:replicas" not in owned(taken)["a Apply"]["f:spec"]
    apply(registry, deployment(replicas=4), by="b")


def test_several_conflicts_are_told_by_manager(registry: Registry) -> None:
    apply(registry, deployment(replicas=2, minReadySeconds=1))
    with pytest.raises(ApiError) as caught:
        apply(registry, deployment(replicas=3, minReadySeconds=2), by="b")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "a":\n'
        "- .spec.replicas\n- .spec.minReadySeconds"
    )


def test_after_an_apply_others_changes_are_theirs(registry: Registry) -> None:
    apply(registry, deployment(replicas=2))
    registry.patch(
        "Deployment", "default", "web", {"spec": {"replicas": 5}},
        subresource="scale", field_manager="kubectl",
    )  # fmt: skip
    with pytest.raises(ApiError, match='conflict with "kubectl" with subresource "scale" using'):
        apply(registry, deployment(replicas=2))
    # Who does not speak of it leaves it alone: that is how an autoscaler and an apply get along.
    assert apply(registry, deployment())["spec"]["replicas"] == 5


def test_what_somebody_removed_is_nobodys(registry: Registry) -> None:
    apply(registry, service({"port": 80}, x="y"))
    change = {"metadata": {"labels": None}}
    left = registry.patch("Service", "default", "web", change, field_manager="kubectl")
    assert "f:metadata" not in owned(left)["a Apply"]
    again = apply(registry, service({"port": 80}, x="z"))
    assert again["metadata"]["labels"] == {"x": "z"}


def test_a_status_changes_nobodys_fields(registry: Registry) -> None:
    made = apply(registry, deployment(replicas=2))
    now = registry.patch(
        "Deployment", "default", "web", {"status": {"replicas": 2}}, subresource="status"
    )
    assert owned(now) == owned(made)
    said = {**deployment(), "status": {"replicas": 1}}
    through = registry.patch(
        "Deployment", "default", "web", said,
        content_type=APPLY, subresource="status", field_manager="c",
    )  # fmt: skip
    assert (through["status"]["replicas"], through["spec"]) == (1, made["spec"])
    assert owned(through)["c Apply"] == {"f:status": {"f:replicas": {}}}


def test_an_element_stays_for_the_sake_of_its_other_owner(registry: Registry) -> None:
    apply(registry, service({"port": 80, "name": "a"}, {"port": 81, "name": "b"}))
    target = {"port": 81, "name": "b", "targetPort": 8081}
    apply(registry, service(target), by="b")
    left = apply(registry, service({"port": 80, "name": "a"}))
    assert [port["port"] for port in left["spec"]["ports"]] == [80, 81]


def test_lists_and_maps_that_are_one_value_are_replaced(registry: Registry) -> None:
    first = service({"port": 80})
    first["spec"]["externalIPs"] = ["1.2.3.4", "1.2.3.5"]
    apply(registry, first)
    second = service({"port": 80})
    second["spec"] |= {"externalIPs": ["1.2.3.6"], "selector": {"b": "c"}}
    now = apply(registry, second)
    assert now["spec"]["externalIPs"] == ["1.2.3.6"]
    assert now["spec"]["selector"] == {"b": "c"}


def test_objects_that_nobody_applied_carry_no_managers(registry: Registry, make: Any) -> None:
    made = registry.create(make.config("plain", x="1"))
    assert "managedFields" not in made["metadata"]
    now = registry.patch("ConfigMap", "default", "plain", {"data": {"x": "2"}}, field_manager="k")
    assert "managedFields" not in now["metadata"]


def test_managers_cannot_be_written_by_hand(registry: Registry) -> None:
    made = apply(registry, service({"port": 80}, x="y"))
    forged = {**made, "metadata": {**made["metadata"], "managedFields": []}}
    assert owned(registry.update(forged)) == owned(made)


def test_a_dry_run_says_what_would_be(registry: Registry) -> None:
    planned = registry.patch(
        "Service", "default", "web", service({"port": 80}),
        content_type=APPLY, field_manager="a", dry_run=True,
    )  # fmt: skip
    assert owned(planned)
    with pytest.raises(NotFound):
        registry.get("Service", "default", "web")


def test_what_is_refused_is_refused_whole(registry: Registry) -> None:
    apply(registry, service({"port": 80}))
    with pytest.raises(Invalid):
        apply(registry, service({"port": 80}, {"port": 81}))
    assert len(registry.get("Service", "default", "web")["spec"]["ports"]) == 1
    with pytest.raises(ApiError, match="ports"):
        apply(registry, {**service(), "spec": {"ports": "none"}})


def test_an_element_named_twice_is_refused_and_not_half_lost(registry: Registry) -> None:
    apply(registry, service({"port": 80, "name": "a"}))
    with pytest.raises(ApiError) as refused:
        apply(registry, service({"port": 80, "name": "a"}, {"port": 80, "name": "b"}))
    assert (refused.value.code, refused.value.message) == (
        500,
        "failed to create typed patch object (default/web; /v1, Kind=Service): "
        '.spec.ports: duplicate entries for key [port=80,protocol="TCP"]',
    )
    ports = registry.get("Service", "default", "web")["spec"]["ports"]
    assert [port["name"] for port in ports] == ["a"]


def test_all_that_is_named_twice_is_listed(registry: Registry) -> None:
    config = deployment()
    container = config["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    config["spec"]["template"]["spec"]["containers"].append({"name": "c", "image": "busybox"})
    with pytest.raises(ApiError) as refused:
        apply(registry, config)
    assert refused.value.message.splitlines() == [
        "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): errors:",
        '  .spec.template.spec.containers[name="c"].env: duplicate entries for key [name="A"]',
        '  .spec.template.spec.containers: duplicate entries for key [name="c"]',
    ]


def write_managers(registry: Registry, said: Any) -> Json:
    """Write metadata.managedFields, as anybody may who reads and changes the object."""
    obj = registry.get("Service", "default", "web")
    metadata = {**obj["metadata"], "managedFields": said}
    return registry.update({**obj, "metadata": metadata}, field_manager="b")


def test_clients_can_hand_fields_from_one_manager_to_another(registry: Registry) -> None:
    apply(registry, service({"port": 80}))
    labelled = registry.patch(
        "Service", "default", "web", {"metadata": {"labels": {"x": "y"}}}, field_manager="b"
    )
    entry = labelled["metadata"]["managedFields"][1]
    moved = write_managers(registry, [{**entry, "manager": "a", "operation": "Apply"}])
    assert owned(moved) == {"a Apply": {"f:metadata": {"f:labels": {"f:x": {}}}}}
    assert "labels" not in apply(registry, service({"port": 80}))["metadata"]


def test_one_empty_manager_makes_all_forgotten(registry: Registry) -> None:
    apply(registry, service({"port": 80}))
    assert owned(write_managers(registry, [{}])) == {}


SOUND = {"manager": "c", "operation": "Apply", "apiVersion": "v1", "time": "2026-01-31T12:00:00Z"}


@pytest.mark.parametrize(
    "said",
    [
        [],
        [SOUND],
        [{**SOUND, "fieldsV1": {}}, {"fieldsV1": {"f:spec": {}}}],
        [{**SOUND, "fieldsV1": {"spec": {}}}],
        [{**SOUND, "fieldsV1": {"f:spec": 1}}],
        [{**SOUND, "fieldsV1": {"k:nonsense": {}}}],
        [{**SOUND, "fieldsV1": {"k:1": {}}}],
    ],
)
def test_no_managers_and_nonsense_leave_them_as_they_were(registry: Registry, said: Any) -> None:
    before = apply(registry, service({"port": 80}))
    assert write_managers(registry, said) == before


def test_what_no_such_object_has_is_refused(registry: Registry) -> None:
    config = service({"port": 80, "prot": "TCP"})
    with pytest.raises(ApiError) as caught:
        apply(registry, config)
    assert caught.value.code == 500
    assert caught.value.message == (
        "failed to create typed patch object (default/web; /v1, Kind=Service): "
        '.spec.ports[port=80,protocol="TCP"].prot: field not declared in schema'
    )
    with pytest.raises(
        ApiError, match=r"errors:\n  \.spec\.ports.*\n  \.specs: field not declared"
    ):
        apply(registry, {**config, "specs": {}})


def test_an_apply_keeps_the_nulls_of_opaque_data(registry: Registry) -> None:
    data = {"spec": {"template": {"metadata": {"creationTimestamp": None}}}}
    revision = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {"name": "web", "namespace": "default"},
        "data": data,
        "revision": 1,
    }
    assert apply(registry, revision)["data"] == data
    assert apply(registry, {**revision, "revision": 2})["data"] == data
