"""Examples:

    (umask 077; netlab kubeconfig > ~/.kube/netlab)
    eval "$(netlab kubeconfig --export)"; kubectl get pods -A

Whoever holds it is root in the lab's pods. It is yours alone to read, and good until the lab is
taken down.
"""

from __future__ import annotations

import argparse
import os
import shlex
import stat
import sys
import time
from pathlib import Path

from netlab.errors import EnvironmentLacks, NetlabError

_PATIENCE = 5.0
"""Seconds that a lab may need from its first answer to listening for kubectl."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to print."""
    parser.add_argument(
        "--export", action="store_true", help="print the line that makes your shell use it"
    )
    parser.add_argument("--path", action="store_true", help="print where it lies")


def run(arguments: argparse.Namespace) -> int:
    """Print the kubeconfig, or how to use it."""
    path = find(arguments.lab)
    if arguments.export:
        print(f"export KUBECONFIG={shlex.quote(str(path))}")
    elif arguments.path:
        print(path)
    else:
        text = _read(path)
        _close_to_others(sys.stdout.fileno())
        print(text, end="")
    return 0


def _close_to_others(descriptor: int) -> None:
    """A file of ours that others may read is no place for a key."""
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid():
        os.fchmod(descriptor, stat.S_IMODE(found.st_mode) & 0o700)


def find(name: str | None) -> Path:
    """The kubeconfig of the lab that a command means, once it is there."""
    from netlab import inventory
    from netlab.kernel import paths

    directory = inventory.running(name)
    path = paths.kubeconfig(directory)
    deadline = time.monotonic() + _PATIENCE
    while not path.exists():
        if not inventory.is_running(directory) or time.monotonic() > deadline:
            raise NetlabError(
                f"lab {directory.name} does not listen for kubectl",
                hint=f"see {paths.controller_log(directory)}; apt install openssl if it is missing",
            )
        time.sleep(0.02)
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except PermissionError:
        raise EnvironmentLacks(
            f"{path} belongs to the user who brought the lab up", hint="sudo netlab kubeconfig"
        ) from None
