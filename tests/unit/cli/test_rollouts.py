"""How far a rollout is, and how to go back, in kubectl's words."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from netlab.cli.changes import patching, revisions, rollout_change, rollout_history_, rollout_undo_
from netlab.cli.changes.revisions import CAUSE
from netlab.cli.changes.rollout_pause_ import STEP as PAUSE
from netlab.cli.changes.rollout_restart_ import step as restart
from netlab.cli.changes.rollout_resume_ import STEP as RESUME
from netlab.cli.changes.rollouts import RolloutProgress, progress
from netlab.controllers import history
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
    assert progress(obj) == RolloutProgress(line, done=False)


def test_a_deployment_that_is_done_or_failed() -> None:
    assert progress(deployment(3, 3, 3)) == RolloutProgress(
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
    assert progress(obj) == RolloutProgress(line, done)


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
    assert over == RolloutProgress(
        "partitioned roll out complete: 2 new pods have been updated...", True
    )
    spec["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    over = progress(other("StatefulSet", spec, readyReplicas=3, updatedReplicas=3))
    assert over == RolloutProgress(
        "partitioned roll out complete: 3 new pods have been updated...", True
    )


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


HISTORY = revisions.by_number([replica_set(10, "c", **{CAUSE: "third"}), replica_set(2, "b"),
                               replica_set(1, "a")])  # fmt: skip


def stateful_set(image: str) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db", "namespace": "default", "annotations": {CAUSE: image}},
        "spec": {
            "serviceName": "db",
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"containers": [{"name": "web", "image": image}]},
            },
        },
    }


KEPT = revisions.by_number(history.new_revision(stateful_set(image), number, "hash")
                           for number, image in ((3, "c"), (1, "a"), (2, "b")))  # fmt: skip
DEPLOYMENT = {"kind": "Deployment", "metadata": {"name": "web"}}


def test_history_goes_by_numbers() -> None:
    assert list(HISTORY) == [1, 2, 10]
    assert rollout_history_.table(HISTORY) == (
        "REVISION  CHANGE-CAUSE\n1         <none>\n2         <none>\n10        third"
    )
    assert rollout_history_.text(stateful_set("c"), KEPT, 0) == (
        "statefulset.apps/db \nREVISION  CHANGE-CAUSE\n1         a\n2         b\n3         c\n"
    )
    assert rollout_history_.text(DEPLOYMENT, {}, 0) == (
        "deployment.apps/web \nNo rollout history found."
    )


def test_a_revision_in_full() -> None:
    # Only a ReplicaSet's cause is shown as if it were its template's.
    shown = rollout_history_.text(DEPLOYMENT, HISTORY, 10)
    assert shown.startswith(
        "deployment.apps/web with revision #10\nPod Template:\n  Labels:\tapp=web"
    )
    assert f"  Annotations:\t{CAUSE}: third\n" in shown
    shown = rollout_history_.text(stateful_set("c"), KEPT, 2)
    assert shown.startswith(
        "statefulset.apps/db with revision #2\nPod Template:\n  Labels:\tapp=db\n"
    )
    assert "Image:\tb\n" in shown and CAUSE not in shown
    with pytest.raises(NetlabError, match="unable to find the specified revision"):
        rollout_history_.text(stateful_set("c"), KEPT, 7)


def test_a_revision_is_given_out_as_its_owner_was() -> None:
    assert revisions.as_it_was(DEPLOYMENT, HISTORY[2]) is HISTORY[2]
    now = stateful_set("c")
    was = revisions.as_it_was(now, KEPT[1])
    assert was == {
        **now,
        "spec": {**now["spec"], "template": stateful_set("a")["spec"]["template"]},
    }


def test_which_revision_to_go_back_to() -> None:
    for kept, obj, refusal in (
        (HISTORY, DEPLOYMENT, 'no rollout history found for deployment "web"'),
        (KEPT, stateful_set("c"), "no last revision to roll back to"),
    ):
        assert rollout_undo_.target(kept, 0, obj) is kept[2]
        assert rollout_undo_.target(kept, 1, obj) is kept[1]
        for missing in (4, -1):
            with pytest.raises(NetlabError, match=f"specified revision {missing} in history"):
                rollout_undo_.target(kept, missing, obj)
        with pytest.raises(NetlabError, match=refusal):
            rollout_undo_.target({1: kept[1]}, 0, obj)


def test_going_back_brings_the_template_without_its_hash() -> None:
    now = copy.deepcopy(HISTORY[10]) | {"kind": "Deployment"}
    now["metadata"]["annotations"] |= {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "mine": "x",
    }
    patch, content_type = rollout_undo_.undo_patch(now, HISTORY[2])
    template, annotations = (operation["value"] for operation in patch)
    assert content_type == patching.JSON
    assert template == {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "web", "image": "b"}]},
    }
    assert annotations == {
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
        "deployment.kubernetes.io/revision": "10",
        "deployment.kubernetes.io/desired-replicas": "2",
    }


def test_a_controller_revision_is_itself_the_patch() -> None:
    patch, content_type = rollout_undo_.undo_patch(stateful_set("c"), KEPT[1])
    assert (patch, content_type) == (KEPT[1]["data"], patching.STRATEGIC)


def test_going_back_to_where_one_is() -> None:
    now = {**DEPLOYMENT, "spec": {"template": revisions.template_of(HISTORY[10])}}
    assert rollout_undo_.is_present(now, HISTORY[10])
    assert not rollout_undo_.is_present(now, HISTORY[2])
    assert rollout_undo_.is_present(stateful_set("b"), KEPT[2])
    assert not rollout_undo_.is_present(stateful_set("b"), KEPT[3])


def test_a_trial_that_asks_nobody_tells_the_template() -> None:
    said = rollout_undo_.foretold(DEPLOYMENT, HISTORY[10])
    assert said.startswith(
        "Pod Template:\n  Labels:\tapp=web\n\tpod-template-hash=h10\n  Containers"
    )
    said = rollout_undo_.foretold(stateful_set("c"), KEPT[2])
    assert said.startswith("will roll back to Pod Template:\n  Labels:\tapp=db\n")
    assert said.endswith("Tolerations:\t<none>\n")


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
