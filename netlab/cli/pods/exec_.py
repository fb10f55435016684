"""Examples:

    netlab exec client -- curl -s web:8080
    netlab exec -it client -- sh
    netlab exec deploy/web -- hostname

Exits with the command's own exit code.
"""

from __future__ import annotations

import argparse

from netlab.cli import options
from netlab.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The pod; the command comes after `--`."""
    parser.add_argument("pod", metavar="POD", help="a pod, or deploy/NAME, svc/NAME …")
    options.add_command(parser, "what to run there")
    options.add_namespace(parser)
    options.add_container(parser)
    parser.add_argument("-i", "--stdin", action="store_true", help="pass standard input on")
    parser.add_argument("-t", "--tty", action="store_true", help="as a terminal")


def run(arguments: argparse.Namespace) -> int:
    """Run the command in the pod."""
    import sys

    from netlab.client.stream import Join, exec_

    argv = arguments.command_words
    options.require_dashes(arguments, f"exec {arguments.pod}")
    if not argv:
        raise UsageError("what is to be run?", hint=f"netlab exec {arguments.pod} -- COMMAND")
    pod = options.pod_of(arguments)
    tty = arguments.tty and sys.stdin.isatty()
    join = Join(arguments.namespace, pod, arguments.container, arguments.stdin, tty)
    with options.looked_into(arguments.namespace, pod):
        return exec_(options.endpoint(arguments), join, argv)
