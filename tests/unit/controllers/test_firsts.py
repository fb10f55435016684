"""Controllers that begin with the first object of theirs."""

from __future__ import annotations

from netlab.controllers.manager import start_controllers
from netlab.objects.kinds.batch import JOB_TRACKING


def names(running):
    return {controller.name for controller in running.controllers}


async def test_they_begin_with_the_first_object(cluster):
    before = names(cluster.running)
    assert not {"job-controller", "cronjob-controller", "statefulset-controller"} & before
    await cluster.create(
        {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": "nightly", "namespace": "default"},
            "spec": {
                "schedule": "0 0 * * *",
                "jobTemplate": {
                    "spec": {
                        "template": {
                            "spec": {
                                "restartPolicy": "Never",
                                "containers": [{"name": "c", "image": "busybox"}],
                            }
                        }
                    }
                },
            },
        }
    )
    await cluster.settle()
    assert names(cluster.running) - before == {"cronjob-controller"}


async def test_a_pod_that_its_job_holds_is_let_go_when_there_is_no_job(cluster, make):
    """As when somebody deleted the Job while no controller ran."""
    pod = make.pod("left")
    pod["metadata"]["finalizers"] = [JOB_TRACKING]
    await cluster.create(pod)
    await cluster.settle()
    (pod,) = await cluster.list("Pod")
    assert "finalizers" not in pod["metadata"]


async def test_they_begin_with_what_is_there_already(cluster, make):
    workload = make.deployment()
    workload["kind"] = "StatefulSet"
    workload["spec"]["serviceName"] = "web"
    await cluster.create(workload)
    await cluster.settle()
    await cluster.running.stop()
    again = await start_controllers(cluster.api)
    await again.wait_idle()
    assert "statefulset-controller" in names(again)
    await again.stop()
