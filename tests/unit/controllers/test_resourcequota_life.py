"""ResourceQuotas say how much is in force, and used, whatever comes and goes."""

from __future__ import annotations

from typing import Any


def quota(**hard: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few"},
        "spec": {"hard": hard},
    }


async def said(cluster: Any) -> tuple[dict[str, str], dict[str, str]]:
    status = (await cluster.get("ResourceQuota", "few"))["status"]
    return status["hard"], status["used"]


async def test_what_was_there_before_is_counted(cluster, make):
    await cluster.create(make.pod("a"))
    await cluster.create(quota(pods="5", services="1"))
    await cluster.settle()
    assert await said(cluster) == ({"pods": "5", "services": "1"}, {"pods": "1", "services": "0"})


async def test_what_goes_is_given_back(cluster, make):
    await cluster.create(quota(pods="1"))
    await cluster.settle()
    await cluster.create(make.pod("a"))
    await cluster.settle()
    assert (await said(cluster))[1] == {"pods": "1"}
    await cluster.delete("Pod", "a", grace_period=0)
    await cluster.settle()
    assert (await said(cluster))[1] == {"pods": "0"}


async def test_a_pod_that_has_ended_is_an_object_alone(cluster, make):
    await cluster.create(quota(**{"pods": "1", "count/pods": "5"}))
    await cluster.settle()
    await cluster.create(make.pod("a"))
    await cluster.settle()
    await cluster.api.patch_status("Pod", "default", "a", {"phase": "Succeeded"})
    await cluster.settle()
    assert (await said(cluster))[1] == {"pods": "0", "count/pods": "1"}


async def test_another_limit_is_in_force_at_once(cluster, make):
    await cluster.create(quota(pods="1"))
    await cluster.settle()
    await cluster.patch("ResourceQuota", "few", {"spec": {"hard": {"pods": "3", "secrets": "2"}}})
    await cluster.settle()
    assert await said(cluster) == ({"pods": "3", "secrets": "2"}, {"pods": "0", "secrets": "0"})


async def test_a_controller_tells_what_no_quota_lets_it_make(cluster, make):
    await cluster.create(quota(pods="1"))
    await cluster.settle()
    controller = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": "rc"},
        "spec": {
            "replicas": 3,
            "selector": {"app": "rc"},
            "template": {
                "metadata": {"labels": {"app": "rc"}},
                "spec": {"containers": [{"name": "c", "image": "nginx"}]},
            },
        },
    }
    await cluster.create(controller)
    await cluster.settle()
    (condition,) = (await cluster.get("ReplicationController", "rc"))["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("ReplicaFailure", "FailedCreate")
    assert "exceeded quota: few" in condition["message"]
    await cluster.patch("ReplicationController", "rc", {"spec": {"replicas": 1}})
    await cluster.settle()
    status = (await cluster.get("ReplicationController", "rc"))["status"]
    assert "conditions" not in status
