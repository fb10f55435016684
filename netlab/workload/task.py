"""What a container asks of the lab that is a task: its words, and in whose name."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

Say = Callable[[str], None]
"""Writes a line of the container's log."""


class Deed(Struct, frozen=True):
    """What is to be done: `argv` are the container's words, `account` is the service account of the
    `pod` (`namespace/name`)."""

    argv: tuple[str, ...]
    pod: str
    account: str


class TaskFailed(Exception):
    """It could not be done; the text is for the log, and the exit code 1."""
