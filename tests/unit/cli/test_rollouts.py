"""How far a rollout is, and how to go back, in kubectl's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from netlab.cli import rollout_change, rollout_history_, rollout_undo_
from netlab.cli.rolling import CAUSE, Progress, progress, revisions
from netlab.cli.rollout_pause_ import STEP as PAUSE
from netlab.cli.rollout_restart_ import step as restart
from netlab.cli.rollout_resume_ import STEP as RESUME
from netlab.errors import NetlabError, UsageError


def deployment(updated: int, total: int, available: int, **more: Any) -> dict[str, Any]:
    status = {
        "observedGeneration": 2,
        "updatedReplicas": updated,
        "replicas": total,
        "availableReplicas": available,
        **more,
    }
    metadata = {"name": "x", "generation": 2}
    return {"kind": "Deployment", "metadata": metadata, "spec": {"replicas": 3}, "status": status}


WAITING = 'Waiting for deployment "x" rollout to finish: '


@pytest.mark.parametrize(
    ("obj", "line"),
    [
        (deployment(1, 4, 3), WAITING + "1 out of 3 new replicas have been updated..."),
        (deployment(0, 0, 0), WAITING + "0 out of 3 new replicas have been updated..."),
        (deployment(3, 4, 3), WAITING + "1 old replicas are pending termination..."),
        (deployment(3, 3, 2), WAITING + "2 of 3 updated replicas are available..."),
        (
            deployment(3, 3, 3, observedGeneration=1),
            "Waiting for deployment spec update to be observed...",
        ),
    ],
)
def test_a_deployment_on_its_way(obj: dict[str, Any], line: str) -> None:
    assert progress(obj) == Progress(line, done=False)


def test_a_deployment_that_is_done_or_failed() -> None:
    assert progress(deployment(3, 3, 3)) == Progress(
        'deployment "x" successfully rolled out', done=True
    )
    late = [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "status": "False"}]
    with pytest.raises(NetlabError, match='deployment "x" exceeded its progress deadline'):
        progress(deployment(1, 4, 3, conditions=late))


def other(kind: str, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    metadata = {"name": "x", "generation": 1}
    status = {"observedGeneration": 1, **status}
    return {"kind": kind, "metadata": metadata, "spec": spec, "status": status}


WAITING_SET = 'Waiting for daemon set "x" rollout to finish: '
REVISIONS = {"currentRevision": "x-1", "updateRevision": "x-2"}


@pytest.mark.parametrize(
    ("obj", "line", "done"),
    [
        (
            other("DaemonSet", {}, desiredNumberScheduled=2, updatedNumberScheduled=1),
            WAITING_SET + "1 out of 2 new pods have been updated...",
            False,
        ),
        (
            other("DaemonSet", {}, desiredNumberScheduled=1, updatedNumberScheduled=1),
            WAITING_SET + "0 of 1 updated pods are available...",
            False,
        ),
        (other("DaemonSet", {}), 'daemon set "x" successfully rolled out', True),
        (
            other("StatefulSet", {"replicas": 3}, readyReplicas=1),
            "Waiting for 2 pods to be ready...",
            False,
        ),
        (
            other("StatefulSet", {"replicas": 1}, readyReplicas=1, updatedReplicas=0, **REVISIONS),
            "waiting for statefulset rolling update to complete 0 pods at revision x-2...",
            False,
        ),
        (
            other("StatefulSet", {"replicas": 1}, readyReplicas=1, currentReplicas=1,
                  currentRevision="x-2", updateRevision="x-2"),
            "statefulset rolling update complete 1 pods at revision x-2...",
            True,
        ),
    ],
)  # fmt: skip
def test_other_workloads(obj: dict[str, Any], line: str, done: bool) -> None:
    assert progress(obj) == Progress(line, done)


def test_partitions() -> None:
    spec = {
        "replicas": 3,
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
    }
    going = progress(other("StatefulSet", spec, readyReplicas=3, updatedReplicas=1))
    assert going.line == (
        "Waiting for partitioned roll out to finish: 1 out of 2 new pods have been updated..."
    )
    over = progress(other("StatefulSet", spec, readyReplicas=3, updatedReplicas=2))
    assert over == Progress("partitioned roll out complete: 2 new pods have been updated...", True)


def test_what_has_no_rollout() -> None:
    with pytest.raises(UsageError, match="no status viewer"):
        progress(other("Service", {}))
    with pytest.raises(NetlabError, match="only available for RollingUpdate"):
        progress(other("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}))


# -- revisions -----------------------------------------------------------------------------


def replica_set(number: int, image: str, **annotations: str) -> dict[str, Any]:
    labels = {"app": "web", "pod-template-hash": f"h{number}"}
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"web-{number}",
            "annotations": {
                "deployment.kubernetes.io/revision": str(number),
                "deployment.kubernetes.io/desired-replicas": "2",
                **annotations,
            },
        },
        "spec": {
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "web", "image": image}]},
            }
        },
    }


HISTORY = revisions([replica_set(10, "c", **{CAUSE: "third"}), replica_set(2, "b"),
                     replica_set(1, "a")])  # fmt: skip


def test_history_goes_by_numbers() -> None:
    assert list(HISTORY) == [1, 2, 10]
    assert rollout_history_.table(HISTORY) == (
        "REVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n10        third"
    )


def test_which_revision_to_go_back_to() -> None:
    assert rollout_undo_.target(HISTORY, 0, "web") == 2
    assert rollout_undo_.target(HISTORY, 1, "web") == 1
    with pytest.raises(NetlabError, match="unable to find specified revision 3 in history"):
        rollout_undo_.target(HISTORY, 3, "web")
    with pytest.raises(NetlabError, match='no rollout history found for deployment "web"'):
        rollout_undo_.target({1: HISTORY[1]}, 0, "web")


def test_going_back_brings_the_template_without_its_hash() -> None:
    now = copy.deepcopy(HISTORY[10])
    now["metadata"]["annotations"] |= {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "mine": "x",
    }
    patch = rollout_undo_.undo_patch(now, HISTORY[2])
    assert patch is not None
    template, annotations = (operation["value"] for operation in patch)
    assert template == {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "b"}]},
    }
    assert annotations == {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deployment.kubernetes.io/revision": "10",
        "deployment.kubernetes.io/desired-replicas": "2",
    }
    assert rollout_undo_.undo_patch(now, HISTORY[10]) is None


def test_steps_that_make_no_sense() -> None:
    paused = {"kind": "Deployment", "metadata": {"name": "x"}, "spec": {"paused": True}}
    running = {**paused, "spec": {}}
    for obj, step in ((running, PAUSE), (paused, RESUME), (running, restart("now"))):
        rollout_change.check(obj, step)
    for obj, step, refusal in (
        (paused, PAUSE, 'deployments.apps "x" is already paused'),
        (running, RESUME, 'deployments.apps "x" is not paused'),
        (paused, restart("now"), "can't restart paused deployment"),
        ({**running, "kind": "DaemonSet"}, PAUSE, 'daemonsets.apps "x" pausing is not supported'),
        ({**running, "kind": "Pod"}, restart("now"), 'pods "x" restarting is not supported'),
    ):
        with pytest.raises(NetlabError) as error:
            rollout_change.check(obj, step)
        assert refusal in error.value.message
