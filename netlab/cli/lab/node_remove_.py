"""Empties nodes as `kubectl drain` does, then takes them and their machines away.

What has no controller is not made elsewhere: such pods go only with --force, which also takes a
node away whose pods do not end, or that is off. One that the lab's file names comes back with the
next `up`.

Examples:

netlab node remove worker003
netlab node remove worker002 --force
netlab node remove worker003 -o json

-o json: {deleted: [NODE], evicted: [{namespace, name}]}.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from typing import Any

from netlab.cli import options
from netlab.cli.lab import node_power
from netlab.client.sync import Client
from netlab.errors import NetlabError, NotFound, UsageError
from netlab.objects import meta
from netlab.objects.bootstrap import CONTROL_PLANE
from netlab.objects.nodes import is_off
from netlab.objects.types import Pod

WAIT = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which nodes, and how."""
    parser.add_argument("nodes", nargs="+", metavar="NODE", help="which nodes")
    parser.add_argument("--force", action="store_true", help="also pods without a controller")
    parser.add_argument(
        "--timeout", type=options.duration, default=WAIT, metavar="TIME",
        help="how long pods may take to go (60s)",
    )  # fmt: skip
    options.add_output(parser, "json", "name")


def run(arguments: argparse.Namespace) -> int:
    """Remove one after another; what cannot be done is refused before anything is touched."""
    names = dict.fromkeys(arguments.nodes)
    evicted: list[Pod] = []
    with options.client(arguments) as client:
        _refuse(client.list("Node"), names)
        for name in names:
            node = client.get("Node", "", name)
            if not is_off(node):
                evicted += _drain(client, name, arguments)
            client.delete("Node", "", name)
            node_power.away(client, name)
            _say(f'node "{name}" deleted', arguments)
            if arguments.output == "name":
                print(f"node/{name}")
    if arguments.output == "json":
        pods = [{"namespace": meta.namespace(pod), "name": meta.name(pod)} for pod in evicted]
        print(json.dumps({"deleted": list(names), "evicted": pods}))
    return 0


def _say(line: str, arguments: argparse.Namespace) -> None:
    """What a person reads, who has not asked for another form."""
    if not arguments.output:
        print(line)


def _refuse(nodes: Sequence[Any], names: dict[str, None]) -> None:
    """Raise for a node that is not there, and for those without which there is no cluster."""
    known = {meta.name(node): node for node in nodes}
    for name in names:
        if name not in known:
            raise NotFound(f'nodes "{name}" not found', hint=f"there are {', '.join(known)}")
    left = [node for name, node in known.items() if name not in names]
    last = next(reversed(names))
    if not left:
        raise UsageError(f"{last} is the last node of the lab", hint="sudo netlab down")
    if any(map(_is_control_plane, nodes)) and not any(map(_is_control_plane, left)):
        gone = next(name for name in names if _is_control_plane(known[name]))
        raise UsageError(
            f"{gone} is the last control plane of the lab",
            hint=f"netlab node stop {gone} shows what becomes of the others without it",
        )


def _is_control_plane(node: Any) -> bool:
    return CONTROL_PLANE in meta.labels(node)


def _drain(client: Client, name: str, arguments: argparse.Namespace) -> list[Pod]:
    """Empty a node; the pods that were evicted."""
    leaving = [pod for pod in _pods(client, name) if not _is_daemons(pod)]
    bare = [meta.key(pod) for pod in leaving if not meta.controller_of(pod)]
    if bare and not arguments.force:
        raise NetlabError(
            f"cannot delete Pods that declare no controller: {', '.join(bare)}",
            hint="--force takes them away for good",
        )
    client.patch("Node", "", name, {"spec": {"unschedulable": True}})
    _say(f"node/{name} cordoned", arguments)
    for pod in leaving:
        _say(f"evicting pod {meta.key(pod)}", arguments)
        _evict(client, pod)
    _await_end(client, name, {meta.uid(pod) for pod in leaving}, arguments)
    _say(f"node/{name} drained", arguments)
    return leaving


def _pods(client: Client, node: str) -> Sequence[Pod]:
    return client.list("Pod", query={"fieldSelector": f"spec.nodeName={node}"})


def _is_daemons(pod: Any) -> bool:
    owner = meta.controller_of(pod)
    return owner is not None and owner["kind"] == "DaemonSet"


def _evict(client: Client, pod: Any) -> None:
    space, name = meta.namespace(pod), meta.name(pod)
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": space, "name": name},
    }
    try:
        client.request("POST", f"/api/v1/namespaces/{space}/pods/{name}/eviction", eviction)
    except NotFound:
        return


def _await_end(client: Client, node: str, leaving: set[str], arguments: argparse.Namespace) -> None:
    deadline = time.monotonic() + arguments.timeout
    while left := [meta.key(pod) for pod in _pods(client, node) if meta.uid(pod) in leaving]:
        if time.monotonic() > deadline:
            if arguments.force:
                options.note(f"ended by force: {', '.join(left)}")
                return
            raise NetlabError(
                f"pods on {node} have not ended: {', '.join(left)}",
                hint="--timeout waits longer, --force goes on without them",
            )
        time.sleep(0.05)
