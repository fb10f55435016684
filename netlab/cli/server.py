"""Which API server a command line means: that of a lab, or one that a kubeconfig tells of.

KUBECONFIG by itself is not heard: it is there for another cluster, which `netlab delete` must not
mean. `--context` says that it is meant.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

from netlab.cli.verbs import Verb
from netlab.client.endpoint import ApiEndpoint
from netlab.errors import UsageError

_FLAGS = ("--kubeconfig", "--context")


def add_arguments(parser: argparse.ArgumentParser, verb: Verb) -> None:
    """`--lab`, and for what asks nothing but an API server `--kubeconfig` and `--context`."""
    parser.add_argument("--lab", metavar="LAB", help="which lab, if several run")
    if verb.group.by_api:
        parser.add_argument(
            "--kubeconfig", metavar="FILE", help="no lab, but the cluster this file tells of"
        )
        parser.add_argument(
            "--context",
            metavar="CONTEXT",
            help="this one of the file's contexts, or of $KUBECONFIG's",
        )


def refuse(verb: Verb, words: Iterable[str]) -> None:
    """What looks into this machine has no use for a kubeconfig."""
    found = next((flag for word in words if (flag := word.partition("=")[0]) in _FLAGS), None)
    if found and not verb.group.by_api:
        raise UsageError(
            f"netlab {verb.name} works on this machine itself, which no kubeconfig leads to",
            hint=f"leave {found} out; --lab LAB chooses among the labs that run here",
        )


def choose(arguments: argparse.Namespace) -> None:
    """Read the kubeconfig, if one is meant; the namespace is its context's, unless one is named."""
    context = None
    if is_elsewhere(arguments):
        from netlab.client import kubeconfig  # loads ssl

        if arguments.lab:
            raise UsageError("--lab and --kubeconfig say two things", hint="leave one of them out")
        context = kubeconfig.read(files(arguments), arguments.context or "")
        arguments.server = context.endpoint
    if getattr(arguments, "namespace", "") is None:
        arguments.namespace = context.namespace if context else "default"


def is_elsewhere(arguments: argparse.Namespace) -> bool:
    """Whether a kubeconfig is meant, and not a lab of this machine."""
    return any(getattr(arguments, name, None) is not None for name in ("kubeconfig", "context"))


def files(arguments: argparse.Namespace) -> list[Path]:
    """The kubeconfigs that are meant."""
    from netlab.client import kubeconfig

    named = getattr(arguments, "kubeconfig", None)
    return [Path(named)] if named is not None else kubeconfig.usual_files()


def endpoint(arguments: argparse.Namespace) -> ApiEndpoint:
    """The API server that is meant."""
    from netlab import inventory

    found: ApiEndpoint | None = getattr(arguments, "server", None)
    return found or inventory.endpoint(inventory.running(arguments.lab))
