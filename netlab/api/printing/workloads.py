"""How the owners of pods print, and the revisions that some of them keep."""

from __future__ import annotations

from netlab.api.printing.cells import (
    AGE,
    NAME,
    NONE,
    Cell,
    Column,
    Printer,
    age,
    count,
    format_labels,
    wide,
)
from netlab.objects.kinds import pod_of
from netlab.objects.kinds.workloads import (
    CONTROLLER_REVISION,
    DAEMON_SET,
    DEPLOYMENT,
    POD_TEMPLATE,
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    STATEFUL_SET,
)
from netlab.objects.meta import Object, controller_of, name, spec, status
from netlab.objects.selectors import format_label_selector, label_selector
from netlab.objects.types import (
    AnyKind,
    ControllerRevision,
    DaemonSet,
    Deployment,
    PodSpec,
    PodTemplate,
    PodTemplateSpec,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
)


def _pod_spec(obj: AnyKind) -> PodSpec:
    template: PodTemplateSpec = pod_of(obj)
    return spec(template)


def containers_and_images(obj: AnyKind) -> list[Cell]:
    """The names and images of the pods that it makes."""
    return _containers(_pod_spec(obj))


def _containers(pod: PodSpec) -> list[Cell]:
    containers = pod.get("containers") or []
    names = ",".join(str(c.get("name", "")) for c in containers)
    return [names, ",".join(str(c.get("image", "")) for c in containers)]


def _replicas(obj: Deployment | ReplicaSet | ReplicationController | StatefulSet) -> int:
    return obj.get("spec", {}).get("replicas", 1)


def deployment_cells(obj: Deployment) -> list[Cell]:
    """NAME READY UP-TO-DATE AVAILABLE AGE, and CONTAINERS IMAGES SELECTOR."""
    return [
        name(obj),
        f"{status(obj).get('readyReplicas', 0)}/{_replicas(obj)}",
        status(obj).get("updatedReplicas", 0),
        status(obj).get("availableReplicas", 0),
        age(obj),
        *containers_and_images(obj),
        format_label_selector(spec(obj).get("selector")),
    ]


def scale_cells(obj: Object) -> list[Cell]:
    """NAME DESIRED AVAILABLE AGE: any workload's Scale."""
    return [name(obj), spec(obj).get("replicas") or 0, status(obj).get("replicas") or 0, age(obj)]


def replicaset_cells(obj: ReplicaSet | ReplicationController) -> list[Cell]:
    """NAME DESIRED CURRENT READY AGE, and CONTAINERS IMAGES SELECTOR."""
    return [
        name(obj),
        _replicas(obj),
        status(obj).get("replicas", 0),
        status(obj).get("readyReplicas", 0),
        age(obj),
        *containers_and_images(obj),
        format_label_selector(label_selector(obj)),
    ]


def podtemplate_cells(obj: PodTemplate) -> list[Cell]:
    """NAME CONTAINERS IMAGES POD LABELS."""
    template = obj.get("template", {})
    labels = (template.get("metadata") or {}).get("labels")
    return [name(obj), *_containers(spec(template)), format_labels(labels)]


def statefulset_cells(obj: StatefulSet) -> list[Cell]:
    """NAME READY AGE, and CONTAINERS IMAGES."""
    ready = f"{status(obj).get('readyReplicas', 0)}/{_replicas(obj)}"
    return [name(obj), ready, age(obj), *containers_and_images(obj)]


def daemonset_cells(obj: DaemonSet) -> list[Cell]:
    """NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE, and the wide ones."""
    return [
        name(obj),
        status(obj).get("desiredNumberScheduled", 0),
        status(obj).get("currentNumberScheduled", 0),
        status(obj).get("numberReady", 0),
        status(obj).get("updatedNumberScheduled", 0),
        status(obj).get("numberAvailable", 0),
        format_labels(_pod_spec(obj).get("nodeSelector")),
        age(obj),
        *containers_and_images(obj),
        format_label_selector(spec(obj).get("selector")),
    ]


def controllerrevision_cells(obj: ControllerRevision) -> list[Cell]:
    """NAME CONTROLLER REVISION AGE."""
    return [name(obj), _controller(obj), int(obj.get("revision") or 0), age(obj)]


def _controller(obj: AnyKind) -> str:
    """`statefulset.apps/db`; `<none>` when nobody controls the object."""
    owner = controller_of(obj)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    kind = f"{owner['kind']}.{group}" if group else owner["kind"]
    return f"{kind.lower()}/{owner['name']}"


_TEMPLATE = (wide("Containers"), wide("Images"))

SCALE = Printer((NAME, count("Desired"), count("Available"), AGE), scale_cells)

_REPLICA_SET = Printer(
    (
        NAME, count("Desired"), count("Current"), count("Ready"), AGE,
        *_TEMPLATE, wide("Selector"),
    ),
    replicaset_cells,
)  # fmt: skip

PRINTERS = {
    POD_TEMPLATE: Printer(
        (NAME, Column("Containers"), Column("Images"), Column("Pod Labels")), podtemplate_cells
    ),
    REPLICATION_CONTROLLER: _REPLICA_SET,
    DEPLOYMENT: Printer(
        (
            NAME, Column("Ready"), count("Up-to-date"), count("Available"), AGE,
            *_TEMPLATE, wide("Selector"),
        ),
        deployment_cells,
    ),
    REPLICA_SET: _REPLICA_SET,
    STATEFUL_SET: Printer((NAME, Column("Ready"), AGE, *_TEMPLATE), statefulset_cells),
    DAEMON_SET: Printer(
        (
            NAME, count("Desired"), count("Current"), count("Ready"), count("Up-to-date"),
            count("Available"), Column("Node Selector"), AGE, *_TEMPLATE, wide("Selector"),
        ),
        daemonset_cells,
    ),
    CONTROLLER_REVISION: Printer(
        (NAME, Column("Controller"), Column("Revision"), AGE), controllerrevision_cells
    ),
}  # fmt: skip
