"""Examples:

netlab logs web-abc12 -f
netlab logs deploy/web --tail 5
netlab logs job/pi
"""

from __future__ import annotations

import argparse
import sys

from netlab.cli import options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pod, and which part of its log."""
    parser.add_argument("pod", metavar="POD", help="a pod, or deploy/NAME, svc/NAME …")
    options.add_namespace(parser)
    options.add_container(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on as more is written")
    parser.add_argument(
        "-p", "--previous", action="store_true", help="of the container's last life"
    )
    parser.add_argument("--tail", type=int, metavar="N", help="the last N lines alone")
    parser.add_argument("--since", metavar="TIME", help="not older than this: 5s, 2m, 3h")
    parser.add_argument("--timestamps", action="store_true", help="with the time of each line")


def run(arguments: argparse.Namespace) -> int:
    """Print the log."""
    query: dict[str, str | int | bool] = {
        "container": arguments.container,
        "follow": arguments.follow,
        "previous": arguments.previous,
        "timestamps": arguments.timestamps,
    }
    if arguments.tail is not None and arguments.tail >= 0:
        query["tailLines"] = arguments.tail
    if arguments.since:
        query["sinceSeconds"] = options.seconds(arguments.since)
    pod = options.pod_of(arguments, ("Running", "Succeeded", "Failed"))
    looked_into = options.looked_into(arguments.namespace, pod)
    with options.client(arguments) as client, looked_into:
        wanted = {name: value for name, value in query.items() if value or name == "tailLines"}
        for chunk in client.logs(arguments.namespace, pod, query=wanted):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    return 0
