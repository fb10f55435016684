"""Leave nothing of a lab, from whatever state it is in.

Needs nothing but the lab's directory: no controller, no lab.json, no plan. Processes are found by
their mark, in groups that carry it, or by the pod they live in; names in /run/netns by where they
lead; everything else lies in the directory, whose one lazy unmount takes the namespaces along. The
kernel takes their links apart within about a second; nobody can reach them any more meanwhile.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

from netlab.errors import NetlabError, TeardownFailed
from netlab.kernel import basedir, cgroups, groupfiles, netns, occupants, paths, process

# How long a process may take over an orderly end.
GRACE = 0.5


def teardown(lab_dir: Path, *, grace: float = GRACE) -> None:
    """Take the lab at `lab_dir` away; fine when there is none.

    `KernelRefused` where that is somebody else's. Otherwise it goes on past errors, and raises
    `TeardownFailed` with all of them.
    """
    basedir.refuse_others(lab_dir)
    errors: list[Exception] = []

    def attempt(step: Callable[[], None]) -> None:
        try:
            step()
        except (NetlabError, OSError) as error:
            errors.append(error)

    def remove_groups() -> None:
        for group in control_groups(lab_dir):
            attempt(partial(groupfiles.remove, group))

    # First of all: if this is killed half-way, nobody takes what is left for a lab.
    attempt(lambda: paths.lab_file(lab_dir).unlink(missing_ok=True))
    attempt(lambda: end_controller(lab_dir, grace))
    attempt(lambda: ask_processes(lab_dir, grace))
    remove_groups()
    attempt(lambda: end_processes(lab_dir, grace))
    remove_groups()
    attempt(lambda: unlink_names(lab_dir))
    attempt(netns.LabMount(lab_dir).teardown)
    if errors:
        raise TeardownFailed(errors)


def end_controller(lab_dir: Path, grace: float = GRACE) -> None:
    """End the controller before what it would start again."""
    with contextlib.suppress(FileNotFoundError, ValueError):  # there is none, or it has just begun
        pid = int(paths.controller_pid(lab_dir).read_text())
        if process.mark_of(pid) == netns.owner(lab_dir) is not None:
            process.end([pid], grace)


def ask_processes(lab_dir: Path, grace: float = GRACE) -> None:
    """Have those in the lab's control groups end in an orderly way, before they are killed there.

    What starts more and more of them is killed at once: looking at each would take for ever.
    """
    owner = netns.owner(lab_dir)
    if owner is None or not cgroups.lab_groups(owner):
        return
    for group in cgroups.crowded_groups(owner):
        groupfiles.remove(group)
    process.end_owned_once(owner, grace)


def end_processes(lab_dir: Path, grace: float = GRACE) -> None:
    """End every process that carries the lab's mark, and whoever lives in its pods."""
    owner = netns.owner(lab_dir)
    if owner is not None:
        process.end_owned(owner, grace)
    occupants.end(lab_dir)


def control_groups(lab_dir: Path) -> list[Path]:
    """The lab's control groups. What did not end with its processes is ended with these."""
    owner = netns.owner(lab_dir)
    return cgroups.lab_groups(owner) if owner is not None else []


def unlink_names(lab_dir: Path) -> None:
    """Take the lab's names from /run/netns."""
    for link in netns.links_into(lab_dir):
        link.unlink(missing_ok=True)
