"""One object in full, in the layout of `kubectl describe`. Pure; a module for each family."""

from __future__ import annotations

from collections.abc import Callable

from netlab.objects.meta import Object
from netlab.view import (
    describe_cluster,
    describe_data,
    describe_pod,
    describe_service,
    describe_workload,
    tabs,
)
from netlab.view.described import Lines, Related
from netlab.view.escape import escape

_VIEWS: dict[str, Callable[[Object, Related], Lines]] = {
    "ConfigMap": describe_data.config_map,
    "DaemonSet": describe_workload.daemon_set,
    "Deployment": describe_workload.deployment,
    "EndpointSlice": describe_service.endpoint_slice,
    "Endpoints": describe_service.endpoints_object,
    "Namespace": describe_cluster.namespace,
    "Node": describe_cluster.node,
    "Pod": describe_pod.pod,
    "ReplicaSet": describe_workload.replica_set,
    "Secret": describe_data.secret,
    "Service": describe_service.service,
    "ServiceAccount": describe_data.service_account,
    "ServiceCIDR": describe_cluster.service_cidr,
    "StatefulSet": describe_workload.stateful_set,
}


def describe(obj: Object, related: Related) -> str:
    """The description, without a line end after its last line."""
    lines = _VIEWS.get(obj["kind"], describe_data.anything)(obj, related)
    return tabs.align(map(escape, lines))
