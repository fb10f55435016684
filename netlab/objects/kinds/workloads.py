"""What makes pods, and the revisions that it had."""

from __future__ import annotations

from netlab.objects.kinds.kind import ALL, TEMPLATE, Kind

DEPLOYMENT = Kind(
    "Deployment",
    "deployments",
    "apps",
    short_names=("deploy",),
    categories=ALL,
    subresources=("status", "scale"),
    fixed_in_status=("labels",),
    counts_generation=True,
    pod_path=TEMPLATE,
)
REPLICA_SET = Kind(
    "ReplicaSet",
    "replicasets",
    "apps",
    short_names=("rs",),
    categories=ALL,
    subresources=("status", "scale"),
    selectable=("status.replicas",),
    first_status={"replicas": 0},
    counts_generation=True,
    pod_path=TEMPLATE,
)
STATEFUL_SET = Kind(
    "StatefulSet",
    "statefulsets",
    "apps",
    short_names=("sts",),
    categories=ALL,
    subresources=("status", "scale"),
    first_status={"replicas": 0},
    counts_generation=True,
    pod_path=TEMPLATE,
)
DAEMON_SET = Kind(
    "DaemonSet",
    "daemonsets",
    "apps",
    short_names=("ds",),
    categories=ALL,
    subresources=("status",),
    first_status={
        "currentNumberScheduled": 0,
        "desiredNumberScheduled": 0,
        "numberMisscheduled": 0,
        "numberReady": 0,
    },
    counts_generation=True,
    pod_path=TEMPLATE,
)
REPLICATION_CONTROLLER = Kind(
    "ReplicationController",
    "replicationcontrollers",
    short_names=("rc",),
    categories=ALL,
    subresources=("status", "scale"),
    selectable=("status.replicas",),
    first_status={"replicas": 0},
    counts_generation=True,
    selects_by_pairs=True,
    orphans=True,
    pod_path=TEMPLATE,
)
POD_TEMPLATE = Kind(
    "PodTemplate",
    "podtemplates",
    counts_generation=True,
)
CONTROLLER_REVISION = Kind(
    "ControllerRevision",
    "controllerrevisions",
    "apps",
    opaque=("data",),  # a client compares it with its own byte for byte
    in_files=False,
)

KINDS = (
    REPLICATION_CONTROLLER, POD_TEMPLATE, DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET,
    CONTROLLER_REVISION,
)  # fmt: skip
