"""Reviews of oneself, and Events by the names of the newer group."""

from __future__ import annotations

import asyncio
from typing import Any

EVENTS = "/apis/events.k8s.io/v1/namespaces/default/events"
CORE = "/api/v1/namespaces/default/events"


def event(name: str = "e", **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": name},
        "eventTime": "2026-01-01T00:00:00.000000Z",
        "reportingController": "kube-proxy",
        "reportingInstance": "kube-proxy-node1",
        "action": "StartKubeProxy",
        "reason": "Starting",
        "regarding": {"kind": "Node", "name": "node1", "uid": "node1"},
        "note": "it starts",
        "type": "Normal",
        **more,
    }


async def test_the_administrator_may_do_everything(lab: Any) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"spec": {"resourceAttributes": {"verb": "delete", "resource": "pods"}}}
    answer = await lab.ask("POST", path, asked)
    assert answer.code == 201
    assert answer.json["status"]["allowed"] is True
    assert answer.json["spec"] == asked["spec"]
    rules = await lab.ask(
        "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
        {"spec": {"namespace": "default"}},
    )  # fmt: skip
    assert rules.json["status"]["resourceRules"][0]["verbs"] == ["*"]
    me = await lab.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {})
    assert me.json["status"]["userInfo"]["username"] == "netlab-admin"
    assert (await lab.ask("GET", path)).code == 405
    assert (await lab.ask("POST", path, [])).code == 400


async def test_a_review_is_not_printed(lab: Any) -> None:
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    asked = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    refused = await lab.ask("POST", path, asked, accept=table)
    assert (refused.code, refused.json["reason"]) == (406, "NotAcceptable")
    assert (await lab.ask("POST", path, asked, accept=f"{table},application/json")).code == 201


async def test_events_of_the_newer_group_are_the_core_ones(lab: Any) -> None:
    made = await lab.ask("POST", EVENTS, event())
    assert made.code == 201
    assert {**event(), **made.json}["note"] == "it starts"
    core = (await lab.ask("GET", f"{CORE}/e")).json
    assert core["apiVersion"] == "v1"
    assert core["involvedObject"]["name"] == "node1"
    assert (core["message"], core["reportingComponent"]) == ("it starts", "kube-proxy")
    again = (await lab.ask("GET", f"{EVENTS}/e")).json
    assert (again["apiVersion"], again["regarding"]["name"]) == ("events.k8s.io/v1", "node1")
    assert "involvedObject" not in again
    listed = (await lab.ask("GET", EVENTS)).json
    assert listed["apiVersion"] == "events.k8s.io/v1"
    assert listed["items"][0]["note"] == "it starts"


async def test_a_series_is_patched(lab: Any) -> None:
    await lab.ask("POST", EVENTS, event())
    series = {"count": 2, "lastObservedTime": "2026-01-01T00:00:01.000000Z"}
    patched = await lab.ask(
        "PATCH", f"{EVENTS}/e", {"series": series, "note": "again"},
        content_type="application/strategic-merge-patch+json",
    )  # fmt: skip
    assert patched.code == 200, patched.json
    assert (patched.json["series"], patched.json["note"]) == (series, "again")
    assert (await lab.ask("GET", f"{CORE}/e")).json["message"] == "again"


async def test_both_groups_watch_the_same_events(lab: Any) -> None:
    async with lab.watch(EVENTS) as newer, lab.watch(CORE) as core:
        await lab.ask("POST", EVENTS, event())
        first, second = await asyncio.gather(newer(), core())
    assert first["object"]["note"] == second["object"]["message"] == "it starts"
    assert "message" not in first["object"]


async def test_unknown_fields_are_told(lab: Any) -> None:
    answer = await lab.ask("POST", EVENTS, event(regardign={}), fieldValidation="Strict")
    assert answer.code == 400
    assert 'unknown field "regardign"' in answer.message


async def test_discovery_lists_them_all(lab: Any) -> None:
    groups = {group["name"] for group in (await lab.ask("GET", "/apis")).json["groups"]}
    assert {"events.k8s.io", "authentication.k8s.io", "authorization.k8s.io"} <= groups
    events = (await lab.ask("GET", "/apis/events.k8s.io/v1")).json["resources"]
    assert [(entry["name"], entry["kind"]) for entry in events] == [("events", "Event")]
    reviews = (await lab.ask("GET", "/apis/authentication.k8s.io/v1")).json["resources"]
    assert reviews[0]["verbs"] == ["create"]
