"""Examples:

netlab run -it --rm debug --image=alicek106/ubuntu:curl --restart=Never -- bash
netlab run curlpod --image=busybox --command -- sleep 1000
netlab run web --image=nginx --port=80 --expose
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from netlab.cli import options, results
from netlab.cli.objects import creation
from netlab.client.sync import Client
from netlab.errors import NetlabError, UsageError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.objects.types import Pod


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl run's flags."""
    parser.add_argument("name", metavar="NAME", help="the pod's name")
    options.add_command(parser, "its arguments, or with --command what to run; -- may be left out")
    options.add_namespace(parser)
    parser.add_argument("--image", required=True, help="what to run")
    parser.add_argument("-i", "--stdin", action="store_true", help="pass standard input on")
    parser.add_argument("-t", "--tty", action="store_true", help="as a terminal")
    parser.add_argument("--rm", action="store_true", help="delete the pod when it is over")
    parser.add_argument(
        "--restart", choices=["Always", "OnFailure", "Never"], default="Always", help="(Always)"
    )
    parser.add_argument(
        "--command", action="store_true", help="what follows -- is the command, not arguments"
    )
    parser.add_argument("--port", type=int, metavar="N", help="the port it serves")
    parser.add_argument("--expose", action="store_true", help="make a ClusterIP Service for --port")
    parser.add_argument("-l", "--labels", default="", metavar="LABELS", help="app=web,tier=front")
    parser.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--attach", action="store_true", help="show its output")
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Create the pod; join it if asked to, and then exit with its exit code."""
    joins = arguments.stdin or arguments.attach
    if arguments.rm and not joins:
        raise UsageError("--rm should only be used for attached containers", hint="add -it")
    if arguments.expose and arguments.port is None:
        raise UsageError("--expose needs a port", hint="--port 80")
    if joins and arguments.dry_run != "none":
        raise UsageError("--dry-run starts nothing to attach to", hint="leave out -i and --attach")
    pod = pod_object(arguments)
    if not joins:
        creation.create(pod, arguments)
        if arguments.expose:
            _expose(arguments)
        return 0
    with options.client(arguments) as client:
        client.create(pod)
        if not arguments.rm:
            print(f"pod/{arguments.name} created")
        if arguments.expose:
            _expose(arguments)
        try:
            return _join(client, arguments)
        finally:
            if arguments.rm:
                client.delete("Pod", arguments.namespace, arguments.name, grace_period=0)
                print(f'pod "{arguments.name}" deleted')


def _expose(arguments: argparse.Namespace) -> None:
    if arguments.output == "yaml":
        print("---")
    creation.create(_service(arguments), arguments)


def pod_object(arguments: argparse.Namespace) -> Object:
    """The Pod that the command line describes, as kubectl would make it."""
    words = [*arguments.rest, *arguments.command_words]
    container: dict[str, Any] = {"name": arguments.name, "image": arguments.image}
    if words:
        container["command" if arguments.command else "args"] = words
    if arguments.port is not None:
        container["ports"] = [{"containerPort": arguments.port}]
    if arguments.env:
        pairs = map(results.pair, arguments.env)
        container["env"] = [{"name": name, "value": value} for name, value in pairs]
    if arguments.stdin:
        container |= {"stdin": True, "stdinOnce": True, "tty": arguments.tty}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": arguments.name,
            "namespace": arguments.namespace,
            "labels": _labels(arguments),
        },
        "spec": {
            "containers": [container],
            "dnsPolicy": "ClusterFirst",
            "restartPolicy": arguments.restart,
        },
    }


def _labels(arguments: argparse.Namespace) -> dict[str, str]:
    if not arguments.labels:
        return {"run": arguments.name}
    return dict(map(results.pair, arguments.labels.split(",")))


def _service(arguments: argparse.Namespace) -> Object:
    port = {"port": arguments.port, "targetPort": arguments.port, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": arguments.name, "namespace": arguments.namespace},
        "spec": {"selector": _labels(arguments), "ports": [port]},
    }


def _join(client: Client, arguments: argparse.Namespace) -> int:
    from netlab.client.stream import Join, attach

    if meta.status(_phase_beyond(client, arguments, "Pending")).get("phase") == "Pending":
        raise NetlabError(
            f"pod {arguments.name} does not start", hint=f"netlab describe pod {arguments.name}"
        )
    tty = arguments.tty and sys.stdin.isatty()
    if tty:
        sys.stderr.write("If you don't see a command prompt, try pressing enter.\n")
    join = Join(arguments.namespace, arguments.name, "", arguments.stdin, tty)
    code = attach(options.endpoint(arguments), join)
    if code or arguments.restart == "Always":  # else it may begin anew, and end otherwise
        return code
    return _code_of(_phase_beyond(client, arguments, "Pending", "Running"))


def _code_of(pod: Pod) -> int:
    """The exit code of a pod's only container, whose end its attached client is not told."""
    for status in meta.status(pod).get("containerStatuses") or ():
        if ended := status.get("state", {}).get("terminated"):
            return int(ended["exitCode"])
    return 0


def _phase_beyond(client: Client, arguments: argparse.Namespace, *phases: str) -> Pod:
    """The pod once it is in none of these phases, or as it is after 30 seconds."""
    query: dict[str, str | int] = {
        "fieldSelector": f"metadata.name={arguments.name}",
        "timeoutSeconds": 30,
    }
    pod: Pod = client.get("Pod", arguments.namespace, arguments.name)
    for event in client.watch("Pod", arguments.namespace, query=query):
        pod = event["object"]
        if meta.status(pod).get("phase") not in phases:
            break
    return pod
