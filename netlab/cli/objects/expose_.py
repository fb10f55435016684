"""Examples:

netlab expose deployment web --port 80 --target-port 8080
netlab expose deploy/web --type NodePort --name web-np --port 80
"""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import options, results
from netlab.cli.objects import creation
from netlab.errors import UsageError
from netlab.objects import meta
from netlab.objects.kinds import pod_of
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl expose's flags."""
    parser.add_argument("target", nargs="+", metavar="KIND/NAME", help="deploy/web, pod web …")
    options.add_namespace(parser)
    parser.add_argument("--name", default="", help="the Service's name (that of what is exposed)")
    parser.add_argument("--port", type=ports, metavar="N[,N]", help="the Service's port")
    parser.add_argument("--target-port", metavar="PORT", help="the pods' port, number or name")
    parser.add_argument("--protocol", choices=["TCP", "UDP", "SCTP"], help="(TCP)")
    parser.add_argument(
        "--type",
        choices=["ClusterIP", "NodePort", "LoadBalancer"],
        metavar="TYPE",
        help="ClusterIP, NodePort, LoadBalancer (ClusterIP)",
    )
    parser.add_argument("--cluster-ip", default="", metavar="IP", help="an address, or None")
    parser.add_argument("--session-affinity", choices=["None", "ClientIP"], help="(None)")
    parser.add_argument("-l", "--labels", default="", metavar="LABELS", help="the Service's labels")
    results.add_arguments(parser)


def ports(text: str) -> list[int]:
    """`80,443` → [80, 443]."""
    try:
        return [int(number) for number in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no port") from None


def run(arguments: argparse.Namespace) -> int:
    """Create the Service."""
    targets = options.parse_targets(arguments.target)
    if len(targets) != 1 or not targets[0][1]:
        raise UsageError("expose one thing at a time", hint="netlab expose deploy/web --port 80")
    kind, name = targets[0]
    with options.client(arguments) as client:
        service = service_object(client.get(kind.kind, arguments.namespace, name), arguments)
    creation.create(service, arguments, "exposed")
    return 0


def service_object(owner: Object, arguments: argparse.Namespace) -> Object:
    """The Service for `owner`, with its selector and its ports."""
    spec: dict[str, Any] = {
        "selector": _selector(owner),
        "ports": _ports(owner, arguments),
    }
    if arguments.type:
        spec["type"] = arguments.type
    if arguments.cluster_ip:
        spec["clusterIP"] = arguments.cluster_ip
    if arguments.session_affinity:
        spec["sessionAffinity"] = arguments.session_affinity
    labels = dict(pair.split("=", 1) for pair in arguments.labels.split(",") if "=" in pair)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": arguments.name or meta.name(owner),
            "namespace": arguments.namespace,
            "labels": labels or meta.labels(owner),
        },
        "spec": spec,
    }


def _selector(owner: Object) -> dict[str, str]:
    if owner["kind"] == "Pod":
        selector = meta.labels(owner)
    else:
        found = meta.spec(owner).get("selector") or {}
        selector = found.get("matchLabels", found)
    if not selector:
        raise UsageError(
            f"{owner['kind'].lower()} {meta.name(owner)} has no labels to select its pods by",
            hint=f"netlab label {owner['kind'].lower()} {meta.name(owner)} app={meta.name(owner)}",
        )
    return dict(selector)


def _ports(owner: Object, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    if arguments.port is not None:
        protocol = arguments.protocol or "TCP"
        found = [{"port": port, "protocol": protocol} for port in arguments.port]
    else:
        found = declared_ports(owner)
    if not found:
        raise UsageError(
            "couldn't find port via --port flag or introspection",
            hint=f"{meta.name(owner)} declares no containerPort: add --port 80, or whatever it is",
        )
    target = arguments.target_port
    for port in found:
        port["targetPort"] = (
            (int(target) if target.isdigit() else target) if target else port["port"]
        )
    if len(found) > 1:
        for number, port in enumerate(found, 1):
            port["name"] = f"port-{number}"
    return found


def declared_ports(owner: Object) -> list[dict[str, Any]]:
    """The ports that an object says it has: those that a Service gets where none are named."""
    if owner["kind"] == "Service":
        return [
            {"port": port["port"], "protocol": port.get("protocol", "TCP")}
            for port in meta.spec(owner).get("ports") or []
        ]
    return [
        {"port": port["containerPort"], "protocol": port.get("protocol", "TCP")}
        for container in meta.spec(pod_of(owner)).get("containers") or []
        for port in container.get("ports") or []
    ]
