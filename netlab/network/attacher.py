"""Attaching pods: few by the calling thread, many by a process that does nothing else.

A pod takes thirty system calls, and after each the caller waits for its turn to compute. Where
many pods come, a controller computes all the time; so they are given, a portion at a time, to a
process with an interpreter of its own (`attaching.py`), which gives their namespaces back as
descriptors. It is started when it is first wanted, does not outlive who started it, and ends when
nothing is asked of it for a while. Nobody has to rely on it: attaching is idempotent, and what it
has not said to be done is done here.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from netlab.errors import EnvironmentLacks, KernelRefused, NetlabError
from netlab.kernel import descriptors, netns, paths, process
from netlab.kernel.readiness import is_ready
from netlab.network import apply
from netlab.network.apply import PORTION, Connected
from netlab.network.model import PodLink

log = logging.getLogger(__name__)

MANY = 64
"""Pods from which on the process is worth its start."""

READY = b"\n"
"""What it says when it listens."""

_MEANWHILE = 16
"""Pods that are attached here between two looks whether it does."""

_PATIENCE = 60.0
"""Seconds that it may take for a portion, on the busiest of machines."""

_LENGTH = struct.Struct("=I")

T = TypeVar("T")

_KINDS = {kind.__name__: kind for kind in (EnvironmentLacks, NetlabError)}


class Refusal(Struct, frozen=True):
    """Why a pod could not be attached, on its way from one process to the other."""

    kind: str
    message: str
    hint: str | None = None
    errno: int = 0

    @classmethod
    def of(cls, error: Exception) -> Refusal:
        """That of an error which `apply.attach_portion` has returned."""
        if isinstance(error, NetlabError):
            code = error.errno if isinstance(error, KernelRefused) else 0
            return cls(type(error).__name__, error.message, error.hint, code)
        return cls("OSError", str(error), errno=getattr(error, "errno", None) or 0)

    def error(self) -> Exception:
        """The error again."""
        if self.kind == "KernelRefused":
            return KernelRefused(self.message, self.errno, hint=self.hint)
        if self.kind == "OSError":
            return OSError(self.errno, self.message)
        return _KINDS.get(self.kind, NetlabError)(self.message, hint=self.hint)


class Answer(Struct, frozen=True):
    """What became of a portion: who was refused, by uid, and of the others the numbers by which
    their nodes know them, in the order in which the descriptors come."""

    refused: dict[str, Refusal]
    numbers: list[tuple[str, int]]


def send(connection: socket.socket, message: object, descriptors: Sequence[int] = ()) -> None:
    """Send one message, with descriptors (of which the kernel takes 253)."""
    content = msgspec.msgpack.encode(message)
    socket.send_fds(connection, [_LENGTH.pack(len(content))], list(descriptors))
    connection.sendall(content)


def receive(connection: socket.socket, kind: type[T]) -> tuple[T, list[int]] | None:
    """The next message, with its descriptors; None when there will be no more."""
    head, received = descriptors.receive(connection, _LENGTH.size, PORTION)
    if len(head) < _LENGTH.size:
        return None
    content = bytearray(_LENGTH.unpack(head)[0])
    left = memoryview(content)
    while left:
        count = connection.recv_into(left)
        if not count:
            raise ConnectionError("the end of a message is missing")
        left = left[count:]
    return msgspec.msgpack.decode(content, type=kind), received


class Attacher:
    """Attaches the pods of the lab in that directory. For one thread at a time."""

    def __init__(self, lab_dir: Path) -> None:
        self._lab_dir = lab_dir
        self._beside: _Beside | None = None

    def attach(
        self, pods: Sequence[PodLink], then: Callable[[Sequence[Connected]], None]
    ) -> dict[str, Exception]:
        """As `apply.attach_pods`."""
        failed: dict[str, Exception] = {}
        left = list(pods)
        while left:
            listens = self._listens(len(left))
            count = PORTION if listens or self._beside is None else _MEANWHILE
            portion, left = left[:count], left[count:]
            failed |= self._attach(portion, then)
        return failed

    def close(self) -> None:
        """End the process, if there is one."""
        if self._beside is not None:
            self._beside.close()
            self._beside = None

    def _listens(self, count: int) -> bool:
        """Whether the process does; it is started for as many pods as this if that pays."""
        if self._beside is not None and self._beside.has_ended():
            self.close()
        if self._beside is None and count >= MANY:
            self._beside = self._start()
        return self._beside is not None and self._beside.listens

    def _start(self) -> _Beside | None:
        try:
            return _Beside(self._lab_dir)
        except (NetlabError, OSError) as error:
            log.warning("no process to attach pods: %s", error)
            return None

    def _attach(
        self, pods: Sequence[PodLink], then: Callable[[Sequence[Connected]], None]
    ) -> dict[str, Exception]:
        if self._beside is not None and self._beside.listens:
            try:
                refused, connected = self._beside.attach(pods)
            except (OSError, msgspec.DecodeError) as error:
                log.warning("the process that attaches pods: %s", error)
                self.close()  # before anybody else does its work
            else:
                then(connected)
                return refused
        return apply.attach_pods(pods, self._lab_dir, then)


class _Beside:
    """The process, as long as it lives."""

    def __init__(self, lab_dir: Path) -> None:
        self.listens = False
        self._socket, theirs = socket.socketpair()
        with theirs:
            argv = (sys.executable, "-m", "netlab.network.attaching")
            self._process = process.spawn(
                [*argv, str(lab_dir), str(theirs.fileno()), str(os.getpid())],
                owner=netns.owner(lab_dir) or "",
                log=paths.controller_log(lab_dir),
                # `python -m` looks for modules in the working directory first
                cwd=Path(__file__).parents[2],
                pass_fds=(theirs.fileno(),),
            )
        self._socket.settimeout(_PATIENCE)

    def has_ended(self) -> bool:
        """Whether it is to be let go of; notes whether it listens by now."""
        if not is_ready(self._socket.fileno()):
            return False
        self.listens = self._said() == READY
        return not self.listens

    def _said(self) -> bytes:
        with contextlib.suppress(OSError):
            return self._socket.recv(len(READY))
        return b""

    def attach(self, pods: Sequence[PodLink]) -> tuple[dict[str, Exception], Sequence[Connected]]:
        """Have it attach pods; `OSError` if it does not."""
        send(self._socket, pods)
        answered = receive(self._socket, Answer)
        if answered is None:
            raise ConnectionError("it has ended")
        answer, descriptors = answered
        by_uid = {pod.uid: pod for pod in pods}
        connected = [
            Connected(by_uid[uid], descriptor, number)
            for (uid, number), descriptor in zip(answer.numbers, descriptors, strict=True)
        ]
        return {uid: each.error() for uid, each in answer.refused.items()}, connected

    def close(self) -> None:
        """End it, wherever it is, and return once it is gone."""
        self._socket.close()
        self._process.end(grace=0.0)
