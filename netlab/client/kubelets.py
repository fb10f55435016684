"""What an API server asks of a node: exec, attach, logs and connections of its pods, and its own.

It knows nothing of namespaces and processes: it has looked whether the pod exists, is bound to a
node and has the container, and asks that node's kubelet, which is in this process (`LocalKubelets`)
or at the other end of a wire (`kubelet_http`).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from netlab.errors import ApiError


class PodRef(Struct, frozen=True):
    """One life of a pod: the uid tells it from a later one of the same name."""

    namespace: str
    name: str
    uid: str

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


class ContainerRef(Struct, frozen=True):
    """A container of a pod."""

    pod: PodRef
    container: str


class LogOptions(Struct, frozen=True):
    """Which part of a log."""

    follow: bool = False
    """Go on until the container ends or nobody listens."""

    tail: int | None = None
    """So many lines, counted from the end of what there is."""

    since: float | None = None
    """What was written before that time (Unix seconds) is left out."""

    timestamps: bool = False
    """The RFC 3339 time and a space stand before each line."""

    previous: bool = False
    """The container's last terminated instance is meant; `BadRequest` if there was none."""


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

    async def resize(self, columns: int, rows: int) -> None:
        """Tell the terminal its new size; nothing happens without a terminal."""

    async def wait(self) -> int:
        """The exit code: 0 to 255, or 128 + n when signal n ended it."""

    async def kill(self) -> None:
        """Give the stream up: called once, whenever the client has gone or all is over.

        An exec'd process that still runs is killed, with its children; an attached process goes
        on. After return nothing of the stream is left on this side of a wire (descriptors, tasks,
        processes); the other side does the same when it hears of it.
        """


class PodConnection(Protocol):
    """A TCP connection to a pod. Who goes on when the other has gone gets a `ConnectionError`."""

    async def read(self) -> bytes:
        """The next bytes; b"" when the other side will say no more."""

    async def write(self, data: bytes) -> None:
        """Send bytes; waits while the other side does not read."""

    async def end(self) -> None:
        """Send no more; the answer may still come."""

    async def close(self) -> None:
        """Be done with it."""


class PodStreams(Protocol):
    """The pods of a node as far as clients may reach into them: what a kubelet serves.

    Failures are raised as `ApiError`s: `NotFound` for a pod or container that is not there any
    more, `BadRequest` for one that does not run.
    """

    async def exec(
        self, at: ContainerRef, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ProcessStream:
        """Start a command in the container's namespaces, never in the machine's own.

        A command that cannot be started raises `ExecFailed`-like `ApiError` code 500, or gives a
        stream that writes the reason to stderr and exits with 126 or 127, as a shell would.
        """

    async def attach(self, at: ContainerRef, *, stdin: bool, tty: bool) -> ProcessStream:
        """The container's main process; `wait()` gives its exit code once it ends."""

    async def dial(self, pod: PodRef, port: int) -> PodConnection:
        """A TCP connection to a port on the pod's own loopback.

        Where nobody listens that is an `ApiError` with the words of connect(2).
        """

    async def connect(self, address: str, port: int) -> PodConnection:
        """A TCP connection to an address and port of the lab's network, from the node's own.

        It is made as by a program that runs on the node. Failures are `ApiError`s in Go's words.
        """

    def logs(self, at: ContainerRef, wanted: LogOptions) -> AsyncGenerator[bytes, None]:
        """The container's output, oldest first, in chunks of any size, until `aclose`."""


class Kubelets(Protocol):
    """Where an API server finds them."""

    def of(self, node: str) -> PodStreams:
        """The kubelet of that node; it, or what is asked of it, may raise `Silent`."""


class Silent(ApiError):
    """A node's kubelet does not answer."""

    code, reason = 503, "ServiceUnavailable"

    def __init__(self, node: str) -> None:
        super().__init__(
            f"the kubelet of node {node} does not answer",
            hint="the node may be off, or the lab be starting: netlab status",
        )


class LocalKubelets:
    """The kubelets of this process, each by the name of its node."""

    def __init__(self) -> None:
        self._kubelets: dict[str, PodStreams] = {}

    def connect(self, node: str, kubelet: PodStreams) -> None:
        """From now on, these are the node's pods."""
        self._kubelets[node] = kubelet

    def disconnect(self, node: str) -> None:
        """The node is no more, or it is not ours."""
        self._kubelets.pop(node, None)

    def of(self, node: str) -> PodStreams:
        """As `Kubelets` says."""
        try:
            return self._kubelets[node]
        except KeyError:
            raise Silent(node) from None
