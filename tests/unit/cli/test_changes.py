"""label, annotate, set image, patch, wait, edit: what they make of words and of objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netlab.cli import options
from netlab.cli.changes import edit_, metadata, patch_, set_image_
from netlab.cli.changes.annotate_ import ANNOTATIONS
from netlab.cli.changes.label_ import LABELS
from netlab.cli.objects import wait_
from netlab.errors import EnvironmentLacks, InputError, NetlabError, UsageError


def test_words_are_objects_first_then_marks() -> None:
    assert metadata.split(["pods", "x", "a=b", "c-"]) == (["pods", "x"], ["a=b", "c-"])
    assert metadata.split(["pods"]) == (["pods"], [])
    assert metadata.parse(["a=b", "c-", "d="], LABELS) == {"a": "b", "c": None, "d": ""}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a=b", "a-"], "can not both modify and remove a label"),
        (["a-", "a=b"], "can not both modify and remove a label"),
        (["a=b", "x"], "'x' is neither KEY=VALUE nor KEY-"),
    ],
)
def test_marks_that_make_no_sense(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        metadata.parse(words, LABELS)


def test_nothing_is_overwritten_unasked() -> None:
    metadata.refuse_overwriting({"a": "b"}, {"a": "b", "c": "d", "e": None}, LABELS)
    metadata.refuse_overwriting({"e": "f"}, {"e": None}, LABELS)
    with pytest.raises(NetlabError) as error:
        metadata.refuse_overwriting({"a": "b"}, {"a": "c"}, LABELS)
    assert error.value.message == "'a' already has a value (b), and --overwrite is false"
    with pytest.raises(NetlabError) as error:
        metadata.refuse_overwriting({"a": "b"}, {"a": "c"}, ANNOTATIONS)
    assert error.value.message == (
        "--overwrite is false but found the following declared annotation(s): "
        "'a' already has a value (b)"
    )


CONTAINERS = {
    "containers": [{"name": "web", "image": "nginx:1"}, {"name": "side", "image": "b"}],
    "initContainers": [{"name": "first", "image": "c"}],
}
POD = {"kind": "Pod", "metadata": {"name": "p"}, "spec": CONTAINERS}
WORKLOAD = {"kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": POD}}


def test_images_of_pods_and_templates() -> None:
    changed = {"containers": [{"name": "web", "image": "nginx:2"}]}
    assert set_image_.image_patch(POD, {"web": "nginx:2"}) == {"spec": changed}
    assert set_image_.image_patch(WORKLOAD, {"web": "nginx:2"}) == {
        "spec": {"template": {"spec": changed}}
    }


def test_all_images_and_none() -> None:
    every = set_image_.image_patch(POD, {"*": "b"})["spec"]
    assert every == {
        "containers": [{"name": "web", "image": "b"}],
        "initContainers": [{"name": "first", "image": "b"}],
    }
    assert set_image_.image_patch(POD, {"web": "nginx:1"}) == {}
    with pytest.raises(NetlabError, match='unable to find container named "x"') as error:
        set_image_.image_patch(POD, {"x": "y"})
    assert error.value.hint == "there are: first, side, web"


@pytest.mark.parametrize(
    ("text", "type_", "patch"),
    [
        ('{"spec": {"a": null}}', "merge", {"spec": {"a": None}}),
        ("spec: {replicas: 2}", "strategic", {"spec": {"replicas": 2}}),
        ('[{"op": "remove", "path": "/a"}]', "json", [{"op": "remove", "path": "/a"}]),
        ("- {op: remove, path: /a}", "json", [{"op": "remove", "path": "/a"}]),
    ],
)
def test_patches(text: str, type_: str, patch: Any) -> None:
    assert patch_.decoded(text, type_) == patch


@pytest.mark.parametrize(
    ("text", "type_"),
    [("{", "merge"), ("", "merge"), ("x", "merge"), ("[]", "merge"), ("{}", "json")],
)
def test_no_patches(text: str, type_: str) -> None:
    with pytest.raises(UsageError, match="unable to parse"):
        patch_.decoded(text, type_)


# -- wait ----------------------------------------------------------------------------------


def pod(ready: str = "True", **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": "p", "generation": 2},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}]},
        "status": {"conditions": conditions, "phase": "Running", **status},
    }


@pytest.mark.parametrize(
    ("what", "obj", "holds"),
    [
        ("condition=Ready", pod(), True),
        ("condition=ready", pod(), True),
        ("condition=Ready=false", pod(), False),
        ("condition=Ready=false", pod("False"), True),
        ("condition=Ready", pod("False"), False),
        ("condition=Available", pod(), False),
        ("condition=Ready", pod(observedGeneration=1), False),
        ("condition=Ready", pod(observedGeneration=2), True),
        ("condition=Ready", None, False),
        ("jsonpath={.status.phase}=Running", pod(), True),
        ("jsonpath={.status.phase}=Pending", pod(), False),
        ("jsonpath=.status.phase=Running", pod(), True),
        ("jsonpath={.status.podIP}", pod(), False),
        ("jsonpath={.status.podIP}", pod(podIP="10.0.0.1"), True),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}=True', pod(), True),
        ('jsonpath={.status.conditions[?(@.type=="Ready")].status}', pod(), True),
        ("jsonpath={.metadata.generation}=2", pod(), True),
        ("delete", pod(), False),
        ("delete", None, True),
        ("create", None, False),
        ("create", pod(), True),
    ],
)
def test_what_is_waited_for(what: str, obj: Any, holds: bool) -> None:
    assert wait_.parse(what).holds(obj) is holds


@pytest.mark.parametrize(
    "what", ["", "foo", "condition", "condition=", "jsonpath=", "jsonpath={.a}x", "jsonpath={.a}=",
             "delete=x"],
)  # fmt: skip
def test_what_cannot_be_waited_for(what: str) -> None:
    with pytest.raises(UsageError) as error:
        wait_.parse(what)
    assert error.value.hint


def test_one_value_can_be_waited_for() -> None:
    with pytest.raises(NetlabError, match="more than one value"):
        wait_.parse("jsonpath={.spec.containers[*].name}=a").holds(pod())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 30), ("0", 0), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("-1s", -1)],
)
def test_durations(text: str, seconds: float) -> None:
    assert options.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "x", "1d", "1s2", "s", "1 s"])
def test_no_durations(text: str) -> None:
    with pytest.raises(UsageError, match="is no duration"):
        options.duration(text)


# -- edit ----------------------------------------------------------------------------------

LIVE = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "default"}}
TEXT = "{apiVersion: v1, kind: ConfigMap, metadata: {name: c, namespace: default}, data: {a: Yg==}}"


def test_what_was_edited_is_read() -> None:
    assert edit_.parse(TEXT, LIVE)["data"] == {"a": "Yg=="}


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("name: c", "name: d", "the object's name cannot be changed: it was c"),
        ("default", "other", "the object's namespace cannot be changed"),
        ("ConfigMap", "Secret", "the object's kind cannot be changed"),
        ("data: {a: Yg==}", "data: {a: [Yg==]}", "edited:1"),
        ("data", "date", "edited:1"),
    ],
)
def test_what_may_not_be_edited(before: str, after: str, message: str) -> None:
    with pytest.raises((UsageError, InputError)) as error:
        edit_.parse(TEXT.replace(before, after), LIVE)
    assert message in str(error.value)


@pytest.mark.parametrize("editor", ["/nonexistent/editor", "vi 'unfinished"])
def test_an_editor_that_cannot_be_started(
    editor: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBE_EDITOR", editor)
    with pytest.raises(EnvironmentLacks, match=f"there is no editor {editor}"):
        edit_._edited(tmp_path / "x.yaml", "a: b\n")
