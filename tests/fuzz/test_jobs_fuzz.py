"""Whatever becomes of a Job's pods, each of them counts once, and no Job is left half done."""

from __future__ import annotations

import asyncio
import importlib.util
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netlab.controllers import job_pods
from netlab.objects import meta
from netlab.retry import Retry

_PATH = Path(__file__).parents[1] / "unit" / "controllers" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("controllers_cluster", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
make = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(make)

actions = st.one_of(
    st.tuples(st.just("end"), st.integers(0, 9), st.sampled_from([0, 0, 0, 1, 42])),
    st.tuples(st.just("kill"), st.integers(0, 9)),
    st.tuples(st.just("suspend"), st.booleans()),
    st.tuples(st.just("parallelism"), st.integers(0, 5)),
    st.tuples(st.just("turns"), st.integers(1, 20)),
    st.tuples(st.just("settle")),
)
specs = st.fixed_dictionaries(
    {
        "completions": st.integers(1, 6),
        "parallelism": st.integers(1, 4),
        "backoffLimit": st.integers(0, 4),
        "completionMode": st.sampled_from(["Indexed", "NonIndexed"]),
        "podReplacementPolicy": st.sampled_from(["Failed", "TerminatingOrFailed"]),
    }
)


def job(spec):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "b"}]}}
    return {
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "namespace": "default"},
        "spec": {"template": template, **spec},
    }  # fmt: skip


async def active(c):
    pods = await c.list("Pod")
    staying = [pod for pod in pods if job_pods.is_tracked(pod) and not meta.is_terminating(pod)]
    return [pod for pod in staying if pod["status"]["phase"] in ("Pending", "Running")]


async def act(c, action, ended):
    """`ended` tells how each pod ended that did."""
    if action[0] in ("end", "kill") and not await active(c):
        await c.settle(60.0)
    pods = await active(c)
    match action:
        case ("end", number, code) if pods:
            pod = pods[number % len(pods)]
            ended[meta.uid(pod)] = "Failed" if code else "Succeeded"
            phase = {"phase": ended[meta.uid(pod)]}
            await c.api.patch_status("Pod", "default", meta.name(pod), phase)
        case ("kill", number) if pods:
            pod = pods[number % len(pods)]
            ended[meta.uid(pod)] = "killed"
            await c.delete("Pod", meta.name(pod))
        case ("suspend", suspended):
            await c.patch("Job", "j", {"spec": {"suspend": suspended}})
        case ("parallelism", number):
            await c.patch("Job", "j", {"spec": {"parallelism": number}})
        case ("turns", count):
            for _ in range(count):
                await asyncio.sleep(0)
        case ("settle",):
            await c.settle(60.0)


async def live(spec, story):
    async with make.new_cluster() as c:
        ended: dict[str, str] = {}
        await c.create(job(spec))
        for action in story:
            await act(c, action, ended)
        await c.patch("Job", "j", {"spec": {"suspend": False, "parallelism": 3}})
        await c.settle(60.0)
        for _ in range(30):  # from now on all goes well
            for pod in await active(c):
                ended[meta.uid(pod)] = "Succeeded"
                await c.api.patch_status("Pod", "default", meta.name(pod), {"phase": "Succeeded"})
            await c.settle(60.0)
        check(await c.get("Job", "j"), await c.list("Pod"), ended)


def check(found, pods, ended):
    status = found["status"]
    end = job_pods.finished(found)
    assert end, status
    assert status["uncountedTerminatedPods"] == {}
    assert (status.get("active", 0), status["ready"], status["terminating"]) == (0, 0, 0)
    assert not any(job_pods.is_tracked(pod) for pod in pods)
    how = Counter(ended.values())
    succeeded, failed = status.get("succeeded", 0), status.get("failed", 0)
    limit, wanted = found["spec"]["backoffLimit"], found["spec"]["completions"]
    if job_pods.is_indexed(found):
        assert len(job_pods.indexes.parse(status.get("completedIndexes", ""), wanted)) == succeeded
    if end == "Complete":
        assert succeeded == wanted <= how["Succeeded"]
        assert how["Failed"] <= failed <= min(limit, how["Failed"] + how["killed"])
    else:
        assert succeeded <= how["Succeeded"]
        assert failed > limit


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(specs, st.lists(actions, max_size=25))
def test_a_job_comes_to_its_end_whatever_happens(spec, story):
    with patch.object(job_pods, "BACKOFF", Retry(0.0, 0.0)):
        asyncio.run(live(spec, story))
