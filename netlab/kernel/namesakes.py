"""Others' things that are called netlab as well, so that one gets theirs where ours is meant.

networklab (github.com/ipspace/netlab) installs a command of that name; netlab on PyPI, a templating
tool, installs a package of it. `netlab doctor` tells of both.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from netlab.kernel.finding import Finding

DISTRIBUTION = "netlab-k8s"
"""What pip knows us by."""

_ENTRY = b"netlab.__main__"
"""What the command that pip makes of our entry point imports."""

_HEAD = 4096
"""Bytes that hold all of such a command."""


def findings() -> list[Finding]:
    """A note for each thing in the way; one that all is well where there is none."""
    found = [*_commands(os.environ.get("PATH", os.defpath)), *_packages()]
    return found or [Finding("name", True, "nothing else is called netlab here", required=False)]


def _commands(path: str) -> Iterator[Finding]:
    """Commands on the PATH that are not ours."""
    ours = ""
    for directory in dict.fromkeys(path.split(os.pathsep)):
        command = shutil.which("netlab", path=directory) if directory else None
        if command is None:
            continue
        if _is_ours(Path(command)):
            ours = ours or command
            continue
        detail = f"{command} is another program, and what one gets by typing netlab"
        fix = "put our directory before its on the PATH, or uninstall networklab if it is that"
        if ours:
            detail = f"{command} is another program, behind {ours} on the PATH"
        yield Finding("name", False, detail, "" if ours else fix, required=False)


def _is_ours(command: Path) -> bool:
    try:
        with command.open("rb") as file:
            return _ENTRY in file.read(_HEAD)
    except OSError:  # what we may not read was not installed for us
        return False


def _packages() -> Iterator[Finding]:
    """Distributions that have put a package of that name among this Python's."""
    from importlib import metadata

    for name in sorted({*metadata.packages_distributions().get("netlab", ())} - {DISTRIBUTION}):
        detail = f"the distribution {name} has a Python package netlab too, in the place of ours"
        fix = f"pip uninstall {name}; pip install --force-reinstall {DISTRIBUTION}"
        yield Finding("name", False, detail, fix, required=False)
