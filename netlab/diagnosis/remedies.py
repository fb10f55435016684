"""What to do about a cause: the command that mends it, or shows what is wrong. Pure.

A cause that knows what would be right carries its own; for the others it goes by their kind.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from netlab.diagnosis.facts import Cause
from netlab.objects import meta
from netlab.objects.types import AnyKind, Service, ServicePort

_OF_SERVICE = "netlab describe svc {name}{space}"
_EDIT = "netlab edit svc {name}{space}"

_REMEDIES: Mapping[str, str] = {
    "ClusterIPFromOutside": (
        'netlab patch svc {name}{space} -p \'{{"spec":{{"type":"NodePort"}}}}\''
    ),
    "ConnectionRefused": _EDIT + "    # targetPort, protocol, or the program's own port",
    "ExternalNameIsAddress": _EDIT + "    # spec.externalName",
    "LeftToAnotherProxy": (
        "netlab label svc {name}{space} service.kubernetes.io/service-proxy-name-"
    ),
    "NetworkChanged": "netlab describe node {node}    # netlab puts it back within seconds",
    "NoAddressOfFamily": _EDIT + "    # spec.ipFamilies",
    "NoLocalEndpoint": _EDIT + "    # the traffic policy, or a pod on each node",
    "NoPodMatches": _EDIT + "    # spec.selector: it sees pods of its own namespace alone",
    "NoSuchService": _EDIT + "    # spec.externalName",
    "NoPodYet": "netlab get deploy,rs,ds,sts,pods{space}",
    "NoPortOfName": _EDIT + "    # targetPort",
    "NoSuchPort": "netlab get svc {name}{space}    # its ports",
    "NobodyListens": _EDIT + "    # targetPort, protocol, or the program's own port",
    "NoRoute": "sudo netlab shell {node} -- ip route show table all",
    "NodeNotReady": "netlab describe node {node}",
    "NodeOff": "sudo netlab node start {node}",
    "RuleAdded": "sudo netlab rules svc/{name}{space} --node {node}",
    "RuleChanged": "sudo netlab rules svc/{name}{space} --node {node}",
    "RuleDeleted": "sudo netlab rules svc/{name}{space} --node {node}",
    "RulesBehind": "sudo netlab rules svc/{name}{space} --node {node}",
    "RulesOfOthers": (
        "sudo netlab rules svc/{name}{space}    # and the table that has the other rule"
    ),
    "SourceRefused": _EDIT + "    # spec.loadBalancerSourceRanges",
}


def remedy(cause: Cause, name: str, namespace: str) -> str:
    """A command line for it, about the Service of that name."""
    if cause.remedy:
        return cause.remedy
    space = _space(namespace)
    if cause.pods and cause.reason not in _REMEDIES:
        return f"netlab describe pod {cause.pods[0]}{space}"
    node = cause.nodes[0] if cause.nodes else "NODE"
    return _REMEDIES.get(cause.reason, _OF_SERVICE).format(name=name, space=space, node=node)


def patch(obj: AnyKind, change: Mapping[str, Any], kind: str = "svc") -> str:
    """`netlab patch svc web -p '{"spec":…}'`."""
    text = shlex.quote(json.dumps(change, separators=(",", ":")))
    return f"netlab patch {kind} {meta.name(obj)}{_space(meta.namespace(obj))} -p {text}"


def describe(kind: str, obj: AnyKind) -> str:
    """`netlab describe pod web -n shop`."""
    return f"netlab describe {kind} {meta.name(obj)}{_space(meta.namespace(obj))}"


def target_port(service: Service, port: ServicePort, target: int | str) -> str:
    """Have a port of the Service lead to another of its pods'."""
    entry = {"port": port["port"], "protocol": port.get("protocol") or "TCP", "targetPort": target}
    return patch(service, {"spec": {"ports": [entry]}})


def on_node(node: str, command: str) -> str:
    """A command in the node's own shell."""
    return f"sudo netlab shell {node} -- {command}"


def _space(namespace: str) -> str:
    return "" if namespace == "default" else f" -n {namespace}"
