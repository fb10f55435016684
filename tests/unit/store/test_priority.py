"""PriorityClasses, and what pods have of them."""

from __future__ import annotations

from typing import Any

import pytest
from refusals import complaints, refused

from netlab.errors import ApiError, Invalid
from netlab.objects import priorities


def pod(name: str, wanted: str = "", **spec: Any) -> dict[str, Any]:
    named = {"priorityClassName": wanted} if wanted else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "nginx"}], **named, **spec},
    }


def priority_class(name: str, value: int = 1000, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **more,
    }


def standing(stored: dict[str, Any]) -> tuple[Any, ...]:
    spec = stored["spec"]
    return spec.get("priorityClassName"), spec["priority"], spec["preemptionPolicy"]


def test_a_pod_has_its_classs_priority_or_none_in_particular(registry):
    registry.create(priority_class("high"))
    registry.create(priority_class("calm", -5, preemptionPolicy="Never"))
    for one in priorities.system_classes():
        registry.create(one)
    for number, (wanted, expected) in enumerate(
        {
            "": (None, 0, "PreemptLowerPriority"),
            "high": ("high", 1000, "PreemptLowerPriority"),
            "calm": ("calm", -5, "Never"),
            "system-node-critical": ("system-node-critical", 2000001000, "PreemptLowerPriority"),
        }.items()
    ):
        assert standing(registry.create(pod(f"p{number}", wanted))) == expected


def test_a_class_for_all_is_that_of_pods_that_name_none_from_then_on(registry):
    before = registry.create(pod("before"))
    registry.create(priority_class("usual", 7, globalDefault=True))
    assert standing(registry.create(pod("after"))) == ("usual", 7, "PreemptLowerPriority")
    assert standing(registry.get("Pod", "default", "before")) == standing(before)
    words = "PriorityClass usual is already marked as default. Only one default can exist"
    head = 'priorityclasses.scheduling.k8s.io "second" is forbidden: '
    assert refused(registry, priority_class("second", globalDefault=True)) == head + words
    registry.create(priority_class("second"))
    with pytest.raises(ApiError, match="already marked as default"):
        registry.patch("PriorityClass", "", "second", {"globalDefault": True})
    changed = registry.patch("PriorityClass", "", "usual", {"description": "for all"})
    assert (changed["description"], changed["metadata"]["generation"]) == ("for all", 1)


def test_a_class_that_is_missing_is_refused(registry):
    for wanted in ("high", "system-important"):
        assert refused(registry, pod("p", wanted)) == (
            f'pods "p" is forbidden: no PriorityClass with name {wanted} was found'
        )


def test_a_pod_cannot_say_itself_how_much_it_matters(registry):
    registry.create(priority_class("high"))
    assert refused(registry, pod("p", "high", priority=5)) == (
        'pods "p" is forbidden: the integer value of priority (5) must not be provided in pod '
        "spec; priority admission controller computed 1000 from the given PriorityClass name"
    )
    assert refused(registry, pod("p", "high", preemptionPolicy="Never")) == (
        'pods "p" is forbidden: the string value of PreemptionPolicy (Never) must not be provided '
        "in pod spec; priority admission controller computed PreemptLowerPriority from the given "
        "PriorityClass name"
    )
    assert standing(registry.create(pod("q", "high", priority=1000)))[1] == 1000


def test_what_a_pod_was_given_stays_through_updates_that_leave_it_out(registry):
    registry.create(priority_class("high"))
    stored = registry.create(pod("p", "high"))
    labelled = {**stored, "metadata": {**stored["metadata"], "labels": {"a": "b"}}}
    left = {k: v for k, v in stored["spec"].items() if k not in ("priority", "preemptionPolicy")}
    assert standing(registry.update({**labelled, "spec": left})) == standing(stored)
    with pytest.raises(Invalid, match="pod updates may not change fields"):
        registry.patch("Pod", "default", "p", {"spec": {"priority": 3}})


def test_classes_that_cannot_be(registry):
    reserved = "priority class names with 'system-' prefix are reserved for system use only. error:"
    assert complaints(registry, priority_class("system-mine")) == (
        f"metadata.name: Forbidden: {reserved} system-mine is not a known system priority class"
    )
    assert complaints(registry, priority_class("system-node-critical")) == (
        f"metadata.name: Forbidden: {reserved} value of system-node-critical PriorityClass must be "
        "2000001000"
    )
    assert complaints(registry, priority_class("huge", 1000000001)) == (
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"
    )
    assert complaints(registry, priority_class("odd", preemptionPolicy="Sometimes")) == (
        'preemptionPolicy: Unsupported value: "Sometimes": supported values: "Never", '
        '"PreemptLowerPriority"'
    )


def test_what_of_a_class_never_changes(registry):
    registry.create(priority_class("high"))
    with pytest.raises(Invalid) as caught:
        registry.patch("PriorityClass", "", "high", {"value": 2, "preemptionPolicy": "Never"})
    assert caught.value.message.partition(" is invalid: ")[2] == (
        "[value: Forbidden: may not be changed in an update., "
        'preemptionPolicy: Invalid value: "Never": field is immutable]'
    )


def test_a_cluster_keeps_its_own_classes(registry):
    for one in (*priorities.system_classes(), priority_class("high")):
        registry.create(one)
    registry.delete("PriorityClass", "", "high")
    with pytest.raises(ApiError) as caught:
        registry.delete("PriorityClass", "", "system-cluster-critical")
    assert (caught.value.code, caught.value.message) == (
        403,
        'priorityclasses.scheduling.k8s.io "system-cluster-critical" is forbidden: this is a '
        "system priority class and cannot be deleted",
    )
