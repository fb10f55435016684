"""The labs of this machine: which there are, which one a command means, and where its API is."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from netlab import standing, supervision, waiting
from netlab.client.endpoint import ApiEndpoint
from netlab.client.sync import Client
from netlab.errors import EnvironmentLacks, NetlabError, UsageError
from netlab.kernel import basedir, elsewhere, lablock, lock, paths
from netlab.objects.lab import Lab, lab_from_object
from netlab.objects.nodes import present


def names() -> list[str]:
    """The labs of this machine, running or left behind."""
    return [directory.name for directory in basedir.lab_dirs()]


def choose(name: str | None) -> str:
    """The lab that a command means: the one named, or the only one there is."""
    labs = names()
    wanted = name or os.environ.get("NETLAB_LAB")
    if wanted:
        if wanted not in labs:
            elsewhere.require_here(paths.lab_dir(wanted))
            have = f"running: {', '.join(labs)}" if labs else "no lab is running"
            who = "" if name else ", which NETLAB_LAB says"
            raise NetlabError(f"there is no lab named {wanted}{who}", hint=have)
        return wanted
    if not labs:
        if others := elsewhere.labs():
            raise others[0].error
        raise NetlabError("no lab is running", hint="sudo netlab up topologies/quickstart.yaml")
    if len(labs) > 1:
        raise UsageError(
            f"several labs are running: {', '.join(labs)}", hint="choose one with --lab NAME"
        )
    return labs[0]


def running(name: str | None) -> Path:
    """The directory of the lab that a command means and wants to use.

    While somebody brings it up or takes it down, that is waited for, and said on standard error.
    """
    directory = paths.lab_dir(choose(name))
    began, told = time.monotonic(), False
    while not _answers(directory) and (holder := lablock.holder(directory)):
        waited = time.monotonic() - began
        if waited > supervision.START_TIMEOUT:
            raise NetlabError(f"{holder} is still busy with lab {directory.name}")
        if waited > lock.QUIET and not told:
            sys.stderr.write(f"note: waiting for {holder}, which holds lab {directory.name}\n")
            told = True
        time.sleep(0.02)
    if not directory.exists():
        raise NetlabError(f"lab {directory.name} was taken down just now")
    return directory


@contextlib.contextmanager
def in_use(name: str | None) -> Iterator[Path]:
    """`running`, for who looks into namespaces: they are there, or it is said who took them."""
    directory = running(name)
    with Client(endpoint(directory)) as client:
        waiting.started(client, supervision.START_TIMEOUT)
    try:
        yield directory
    except (NetlabError, OSError):
        if paths.lab_file(directory).exists():
            raise
    if not paths.lab_file(directory).exists():
        raise NetlabError(f"lab {directory.name} was taken down meanwhile")


def _answers(directory: Path) -> bool:
    """True also where we may not ask: that is for the request to say."""
    try:
        return lock.answers(directory) and paths.lab_file(directory).exists()
    except (EnvironmentLacks, PermissionError):
        return True


def endpoint(directory: Path) -> ApiEndpoint:
    """Where the API server of the lab listens that a directory belongs to."""
    return ApiEndpoint(socket=str(paths.api_socket(directory)))


def client_of(name: str | None) -> Client:
    """A client of the API of the lab that a command means."""
    return Client(endpoint(running(name)))


def read_lab(directory: Path) -> Lab:
    """The lab that a directory belongs to, as it was brought up."""
    try:
        return lab_from_object(json.loads(paths.lab_file(directory).read_text()))
    except (FileNotFoundError, ValueError):
        raise NetlabError(
            f"lab {directory.name} came up half-way, or was taken down half-way",
            hint=f"sudo netlab down {directory.name}, or up again",
        ) from None


def read_machines(directory: Path) -> Lab:
    """`read_lab`, with the nodes that the lab has now: it must run."""
    spec = read_lab(directory)
    with Client(endpoint(directory)) as client:
        return present(spec, client.list("Node"))


def joined(name: str) -> tuple[str, ...]:
    """The nodes that a lab has besides those of its file; of one that is not there, or that
    somebody else has, none are known."""
    directory = paths.lab_dir(name)
    try:
        there = standing.joined(read_lab(directory), directory)
    except (NetlabError, PermissionError):
        return ()
    return tuple(node.name for node in there)


def is_running(directory: Path) -> bool:
    """True while the lab's controller lives."""
    return lock.controller_runs(directory)


def sources(name: str) -> list[str]:
    """The files that a lab was brought up from, as absolute paths."""
    try:
        found: list[str] = json.loads(sources_file(paths.lab_dir(name)).read_text())
    except FileNotFoundError:
        found = []
    if not found:
        raise UsageError(
            f"lab {name} was not brought up from files that can be read again",
            hint="name the files with the checks",
        )
    return found


def known_sources(directory: Path) -> list[str]:
    """The same, of a lab's directory; none of one that came from no files."""
    try:
        return list(json.loads(sources_file(directory).read_text()))
    except FileNotFoundError:
        return []


def sources_file(directory: Path) -> Path:
    """Where it is noted which files a lab was brought up from."""
    return directory / "sources.json"
