"""Whatever becomes of a StatefulSet or DaemonSet, its history holds what its pods are made of."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.controllers import history
from netlab.objects import meta

_PATH = Path(__file__).parents[1] / "unit" / "controllers" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("controllers_cluster", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

IMAGES = ("nginx:1", "nginx:2", "nginx:3", "broken")
STRATEGIC = "application/strategic-merge-patch+json"

actions = st.one_of(
    st.tuples(st.just("image"), st.sampled_from(IMAGES)),
    st.tuples(st.just("undo"), st.integers(0, 5)),
    st.tuples(st.just("limit"), st.integers(0, 3)),
    st.tuples(st.just("partition"), st.integers(0, 4)),
    st.tuples(st.just("kill pod"), st.integers(0, 5)),
    st.tuples(st.just("lose revision"), st.integers(0, 5)),
    st.tuples(st.just("turns"), st.integers(1, 30)),
    st.tuples(st.just("settle")),
)


def image(pod):
    return pod["spec"]["containers"][0]["image"]


async def nth(c, kind, number):
    items = await c.list(kind)
    return items[number % len(items)] if items else None


async def act(c, kind, action):
    match action:
        case ("image", image_):
            pod = {"spec": {"containers": [{"name": "web", "image": image_}]}}
            await c.patch(kind, "db", {"spec": {"template": pod}})
        case ("undo", number):
            if revision := await nth(c, history.KIND, number):
                c.registry.patch(kind, "default", "db", revision["data"], content_type=STRATEGIC)
        case ("limit", number):
            await c.patch(kind, "db", {"spec": {"revisionHistoryLimit": number}})
        case ("partition", number):
            if kind == "StatefulSet":
                rolling = {"rollingUpdate": {"partition": number}}
                await c.patch(kind, "db", {"spec": {"updateStrategy": rolling}})
        case ("kill pod", number):
            if pod := await nth(c, "Pod", number):
                await c.delete("Pod", meta.name(pod))
        case ("lose revision", number):
            if revision := await nth(c, history.KIND, number):
                await c.delete(history.KIND, meta.name(revision))
        case ("turns", number):
            for _ in range(number):
                await asyncio.sleep(0)
        case ("settle",):
            await c.settle()


async def verify(c, kind):
    owner = await c.get(kind, "db")
    revisions = history.by_number(await c.list(history.KIND))
    numbers = [history.number(one) for one in revisions]
    assert len(set(numbers)) == len(numbers)
    templates = [history.template_of(one) for one in revisions]
    assert templates[-1] == owner["spec"]["template"]
    assert templates[-1] not in templates[:-1]
    by_label = {
        (meta.name(one) if kind == "StatefulSet" else meta.labels(one)[history.LABEL]): template
        for one, template in zip(revisions, templates, strict=True)
    }
    pods = await c.list("Pod")
    for pod in pods:
        # A revision that was deleted from under a pod is no longer there to be compared with.
        if history.of(pod) in by_label:
            assert image(pod) == by_label[history.of(pod)]["spec"]["containers"][0]["image"]
    used = {history.of(pod) for pod in pods}
    if kind == "StatefulSet":
        used |= {owner["status"]["currentRevision"], owner["status"]["updateRevision"]}
        idle = set(by_label) - used
        assert len(idle) <= owner["spec"]["revisionHistoryLimit"]
    else:
        spare = len(revisions) - 1 - owner["spec"]["revisionHistoryLimit"]
        assert spare <= 0 or set(by_label) - {next(reversed(by_label))} <= used


def owner_of(kind):
    made = {**make.deployment("db", 3), "kind": kind}
    made["spec"]["revisionHistoryLimit"] = 10
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    else:
        made["spec"] |= {"serviceName": "db", "podManagementPolicy": "Parallel"}
    return made


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["StatefulSet", "DaemonSet"]), st.lists(actions, max_size=20))
async def test_history_holds_what_pods_are_made_of(kind, steps):
    async with make.new_cluster() as c:
        c.kubelet.unready = lambda pod: image(pod) == "broken"
        await c.create(owner_of(kind))
        await c.settle()
        for step in steps:
            await act(c, kind, step)
        await c.settle()
        await verify(c, kind)
