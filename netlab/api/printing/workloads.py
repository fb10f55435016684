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
    REPLICA_SET,
    STATEFUL_SET,
)
from netlab.objects.meta import Object, controller_of, name, spec, status
from netlab.objects.selectors import format_label_selector


def _containers_and_images(obj: Object) -> list[Cell]:
    containers = spec(pod_of(obj)).get("containers") or []
    names = ",".join(str(c.get("name", "")) for c in containers)
    return [names, ",".join(str(c.get("image", "")) for c in containers)]


def _replicas(obj: Object) -> int:
    wanted = spec(obj).get("replicas")
    return 1 if wanted is None else int(wanted)


def _number(obj: Object, field: str) -> int:
    return int(status(obj).get(field) or 0)


def deployment_cells(obj: Object) -> list[Cell]:
    """NAME READY UP-TO-DATE AVAILABLE AGE, and CONTAINERS IMAGES SELECTOR."""
    return [
        name(obj),
        f"{_number(obj, 'readyReplicas')}/{_replicas(obj)}",
        _number(obj, "updatedReplicas"),
        _number(obj, "availableReplicas"),
        age(obj),
        *_containers_and_images(obj),
        format_label_selector(spec(obj).get("selector")),
    ]


def scale_cells(obj: Object) -> list[Cell]:
    """NAME DESIRED AVAILABLE AGE: any workload's Scale."""
    return [name(obj), spec(obj).get("replicas") or 0, status(obj).get("replicas") or 0, age(obj)]


def replicaset_cells(obj: Object) -> list[Cell]:
    """NAME DESIRED CURRENT READY AGE, and CONTAINERS IMAGES SELECTOR."""
    return [
        name(obj),
        _replicas(obj),
        _number(obj, "replicas"),
        _number(obj, "readyReplicas"),
        age(obj),
        *_containers_and_images(obj),
        format_label_selector(spec(obj).get("selector")),
    ]


def statefulset_cells(obj: Object) -> list[Cell]:
    """NAME READY AGE, and CONTAINERS IMAGES."""
    ready = f"{_number(obj, 'readyReplicas')}/{_replicas(obj)}"
    return [name(obj), ready, age(obj), *_containers_and_images(obj)]


def daemonset_cells(obj: Object) -> list[Cell]:
    """NAME DESIRED CURRENT READY UP-TO-DATE AVAILABLE NODE SELECTOR AGE, and the wide ones."""
    return [
        name(obj),
        _number(obj, "desiredNumberScheduled"),
        _number(obj, "currentNumberScheduled"),
        _number(obj, "numberReady"),
        _number(obj, "updatedNumberScheduled"),
        _number(obj, "numberAvailable"),
        format_labels(spec(pod_of(obj)).get("nodeSelector")),
        age(obj),
        *_containers_and_images(obj),
        format_label_selector(spec(obj).get("selector")),
    ]


def controllerrevision_cells(obj: Object) -> list[Cell]:
    """NAME CONTROLLER REVISION AGE."""
    return [name(obj), _controller(obj), int(obj.get("revision") or 0), age(obj)]


def _controller(obj: Object) -> str:
    """`statefulset.apps/db`; `<none>` when nobody controls the object."""
    owner = controller_of(obj)
    if owner is None:
        return NONE
    group = owner["apiVersion"].rpartition("/")[0]
    kind = f"{owner['kind']}.{group}" if group else owner["kind"]
    return f"{kind.lower()}/{owner['name']}"


_TEMPLATE = (wide("Containers"), wide("Images"))

SCALE = Printer((NAME, count("Desired"), count("Available"), AGE), scale_cells)

PRINTERS = {
    DEPLOYMENT: Printer(
        (
            NAME, Column("Ready"), count("Up-to-date"), count("Available"), AGE,
            *_TEMPLATE, wide("Selector"),
        ),
        deployment_cells,
    ),
    REPLICA_SET: Printer(
        (
            NAME, count("Desired"), count("Current"), count("Ready"), AGE,
            *_TEMPLATE, wide("Selector"),
        ),
        replicaset_cells,
    ),
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
