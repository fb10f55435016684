"""Whatever is done to a cluster in whatever order, it ends up as its objects say."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.controllers import rollout
from netlab.errors import NotFound
from netlab.objects import meta

_PATH = Path(__file__).parents[1] / "unit" / "controllers" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("controllers_cluster", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

NAMES = ("web", "db")
IMAGES = ("nginx:1", "nginx:2", "broken")

name = st.sampled_from(NAMES)
actions = st.one_of(
    st.tuples(st.just("apply"), name, st.integers(0, 9), st.sampled_from(IMAGES)),
    st.tuples(st.just("scale"), name, st.integers(0, 9)),
    st.tuples(st.just("image"), name, st.sampled_from(IMAGES)),
    st.tuples(st.just("pause"), name, st.booleans()),
    st.tuples(st.just("delete"), name, st.sampled_from(["Background", "Foreground", "Orphan"])),
    st.tuples(st.just("kill pod"), st.integers(0, 20)),
    st.tuples(st.just("release pod"), st.integers(0, 20)),
    st.tuples(st.just("kill set"), st.integers(0, 5)),
    st.tuples(st.just("serve"), name),
    st.tuples(st.just("unserve"), name),
    st.tuples(st.just("cordon"), st.sampled_from(["worker001", "worker002"]), st.booleans()),
    st.tuples(st.just("turns"), st.integers(1, 30)),
    st.tuples(st.just("settle")),
)


def image(obj):
    return obj["spec"]["containers"][0]["image"]


def template_patch(image_):
    return {"spec": {"template": {"spec": {"containers": [{"name": "web", "image": image_}]}}}}


async def nth(c, kind, number):
    items = await c.list(kind)
    return items[number % len(items)] if items else None


async def act(c, action):
    match action:
        case ("apply", name, replicas, image_):
            if name not in [meta.name(d) for d in await c.list("Deployment")]:
                await c.create(make.deployment(name, replicas, image_))
        case ("scale", name, replicas):
            await c.patch("Deployment", name, {"spec": {"replicas": replicas}})
        case ("image", name, image_):
            await c.patch("Deployment", name, template_patch(image_))
        case ("pause", name, paused):
            await c.patch("Deployment", name, {"spec": {"paused": paused or None}})
        case ("delete", name, propagation):
            await c.delete("Deployment", name, propagation=propagation)
        case ("kill pod", number):
            if pod := await nth(c, "Pod", number):
                await c.delete("Pod", meta.name(pod))
        case ("release pod", number):
            if pod := await nth(c, "Pod", number):
                labels = {"metadata": {"labels": {"app": "released"}}}
                await c.patch("Pod", meta.name(pod), labels)
        case ("kill set", number):
            if replica_set := await nth(c, "ReplicaSet", number):
                await c.delete("ReplicaSet", meta.name(replica_set))
        case ("serve", name):
            if name not in [meta.name(s) for s in await c.list("Service")]:
                await c.create(make.service(name, selector={"app": name}))
        case ("unserve", name):
            await c.delete("Service", name)
        case ("cordon", node, cordoned):
            await c.patch("Node", node, {"spec": {"unschedulable": cordoned or None}}, "")
        case ("turns", count):
            for _ in range(count):
                await asyncio.sleep(0)
        case ("settle",):
            await c.settle()


async def check_deployments(c):
    for deployment in await c.list("Deployment"):
        wanted = rollout.replicas(deployment)
        sets = [s for s in await c.list("ReplicaSet") if owned_by(s, deployment)]
        pods = [p for p in await c.list("Pod") if any(owned_by(p, s) for s in sets)]
        assert len(pods) == wanted
        assert {image(p) for p in pods} <= {image(deployment["spec"]["template"])}
        assert len([s for s in sets if rollout.replicas(s)]) <= 1
        status = deployment["status"]
        for field in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"):
            assert status.get(field, 0) == wanted, field
        assert status["observedGeneration"] == deployment["metadata"]["generation"]
        assert meta.condition(deployment, "Progressing")["reason"] == "NewReplicaSetAvailable"


def owned_by(obj, owner):
    reference = meta.controller_of(obj)
    return reference is not None and reference["uid"] == meta.uid(owner)


async def check_nothing_dangles(c):
    everything = [o for kind in ("Deployment", "ReplicaSet", "Service") for o in await c.list(kind)]
    uids = {meta.uid(obj) for obj in everything}
    for kind in ("ReplicaSet", "Pod", "EndpointSlice"):
        for obj in await c.list(kind):
            assert not meta.is_terminating(obj)
            references = obj["metadata"].get("ownerReferences") or []
            assert all(reference["uid"] in uids for reference in references)
    for pod in await c.list("Pod"):
        assert meta.is_ready(pod) and pod["spec"]["nodeName"]


async def check_endpoints(c):
    for service in await c.list("Service"):
        selector = service["spec"]["selector"].items()
        pods = [p for p in await c.list("Pod") if selector <= meta.labels(p).items()]
        wanted = sorted(p["status"]["podIP"] for p in pods)
        slices = [s for s in await c.list("EndpointSlice") if owned_by(s, service)]
        assert slices
        entries = [e for s in slices for e in s.get("endpoints") or []]
        assert sorted(e["addresses"][0] for e in entries) == wanted
        assert all(e["conditions"]["ready"] for e in entries)
        endpoints = await c.get("Endpoints", meta.name(service))
        subsets = endpoints.get("subsets") or []
        assert sorted(a["ip"] for s in subsets for a in s["addresses"]) == wanted
    assert len(await c.list("Endpoints")) == len(await c.list("Service"))


async def mend(c):
    """Take back what keeps a cluster from settling: pauses, broken pods, cordoned nodes."""
    c.kubelet.unready = lambda _: False
    c.kubelet.look_again()
    for deployment in await c.list("Deployment"):
        await c.patch("Deployment", meta.name(deployment), {"spec": {"paused": None}})
    for node in ("worker001", "worker002"):
        await c.patch("Node", node, {"spec": {"unschedulable": None}}, "")


@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=25))
async def test_any_sequence_of_changes_converges(steps):
    async with make.new_cluster([make.node("worker001"), make.node("worker002")]) as c:
        c.kubelet.unready = lambda pod: image(pod) == "broken"
        for step in steps:
            with contextlib.suppress(NotFound):
                await act(c, step)
        await mend(c)
        await c.settle()
        await check_deployments(c)
        await check_nothing_dangles(c)
        await check_endpoints(c)
