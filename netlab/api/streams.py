"""What the server asks of whoever runs the pods: exec, attach, logs, connections.

The node agents implement `PodStreams`; the server knows nothing of namespaces and processes.
The server has checked before that the pod exists, is bound to a node and has the container.
"""

from __future__ import annotations

from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from netlab.objects.meta import Object


class ProcessStream(Protocol):
    """A process in a pod, and the four ends of it that the server holds.

    The server reads both outputs at the same time, each by one reader, to their end, and awaits
    `wait()`. Unread output must hold the process back (a pipe does), not pile up in memory.
    """

    async def write(self, data: bytes) -> None:
        """Give bytes to the process's stdin; waits while the pipe is full.

        A process that no longer reads is no error: the bytes are dropped.
        """

    async def close_stdin(self) -> None:
        """End of the input: the process reads EOF. Idempotent. On a terminal, send ^D."""

    def stdout(self) -> AsyncIterator[bytes]:
        """What the process writes, in chunks as they come; ends when the output is closed.

        With a terminal, everything comes here and `stderr` is empty. On attach, recent output
        comes first, or quick commands (`kubectl run -it --rm … -- true`) lose theirs.
        """

    def stderr(self) -> AsyncIterator[bytes]:
        """The same for stderr."""

    def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its new size; nothing happens without a terminal."""

    async def wait(self) -> int:
        """The exit code: 0 to 255, or 128 + n when signal n ended it."""

    async def kill(self) -> None:
        """Give the stream up: called once, whenever the client has gone or all is over.

        An exec'd process that still runs is killed, with its children; an attached process goes
        on. After return nothing of the stream is left (descriptors, tasks, processes).
        """


class PodStreams(Protocol):
    """The pods as far as clients may reach into them.

    Failures are raised as `ApiError`s: `NotFound` for a container that is not there any more,
    `BadRequest` for one that does not run.
    """

    async def exec(
        self, pod: Object, container: str, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ProcessStream:
        """Start a command in the container's namespaces, never in the machine's own.

        A command that cannot be started raises `ExecFailed`-like `ApiError` code 500, or gives a
        stream that writes the reason to stderr and exits with 126 or 127, as a shell would.
        """

    async def attach(self, pod: Object, container: str, *, stdin: bool, tty: bool) -> ProcessStream:
        """The container's main process; `wait()` gives its exit code once it ends."""

    async def dial(self, pod: Object, port: int) -> tuple[StreamReader, StreamWriter]:
        """A TCP connection to a port on the pod's own loopback; `OSError` as connect(2) gives."""

    def logs(
        self,
        pod: Object,
        container: str,
        *,
        follow: bool,
        tail_lines: int | None,
        since: float | None,
        timestamps: bool,
        previous: bool,
    ) -> AsyncGenerator[bytes, None]:
        """The container's output, oldest first, in chunks of any size.

        `tail_lines` counts from the end of what there is; `since` is epoch seconds; `timestamps`
        puts the RFC 3339 time and a space before each line; `previous` means the container's
        last terminated instance (`BadRequest` if there was none). With `follow` the iterator
        goes on until the container ends or the server closes it (`aclose`).
        """
