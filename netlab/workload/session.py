"""Streams into pods: a command executed there, or a container attached to.

Both have the same ends: `write`, `close_stdin`, `stdout()`, `stderr()`, `resize`, `wait`, `kill`.
Output that is not read holds the process back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from netlab.errors import NetlabError
from netlab.workload import frames
from netlab.workload.child import Child, Ends, Input, Output, kill_session
from netlab.workload.client import ResponderClient

_DRAIN_SECONDS = 0.5


def exit_code(returncode: int) -> int:
    """128 + n when signal n ended the process, as shells and Kubernetes count."""
    return 128 - returncode if returncode < 0 else returncode


class ExecSession:
    """A command executed in a container. It dies with the session."""

    def __init__(self, child: Child, outputs: Sequence[Output], stdin: Input | None) -> None:
        self._child = child
        self._outputs = outputs
        self._stdin = stdin
        self._drained = [asyncio.Event() for _ in outputs]

    @staticmethod
    async def start(
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        tty: bool,
        stdin: bool,
        init: int,
    ) -> ExecSession:
        """Start it beside `init`, a container's first process, whose terminals it uses."""
        ends = Ends(tty=tty, stdin=stdin, multiplexer=f"/proc/{init}/root/dev/pts/ptmx")
        silent = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        try:
            child = Child(
                argv,
                env,
                stdin=ends.stdin,
                stdout=ends.stdout,
                stderr=ends.stderr,
                third=silent,
                init=init,
            )
        except BaseException:
            ends.discard()
            raise
        finally:
            ends.close()
            os.close(silent)
        outputs = [await Output.of(descriptor) for descriptor in ends.outputs]
        source = await Input.of(ends.input, tty=tty) if ends.input is not None else None
        return ExecSession(child, outputs, source)

    async def write(self, data: bytes) -> None:
        """Input for the command; waits while it does not read, dropped when it never will."""
        if self._stdin is not None:
            await self._stdin.write(data)

    async def close_stdin(self) -> None:
        """End of the input: on a terminal that is Ctrl-D."""
        if self._stdin is not None:
            await self._stdin.end()

    def stdout(self) -> AsyncIterator[bytes]:
        """What it writes, to the end; on a terminal that includes stderr."""
        return self._read(0)

    def stderr(self) -> AsyncIterator[bytes]:
        """What it complains."""
        return self._read(1)

    async def _read(self, number: int) -> AsyncIterator[bytes]:
        if number >= len(self._outputs):
            return
        try:
            while data := await self._outputs[number].read():
                yield data
        finally:
            self._drained[number].set()

    def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size, if there is one."""
        if self._stdin is not None:
            self._stdin.resize(columns, rows)

    async def wait(self) -> int:
        """The exit code.

        What the command left running in the background may keep the outputs open; they are
        closed half a second after its end, so that readers end too.
        """
        returncode = await self._child.wait()
        await self._until_drained()
        return exit_code(returncode)

    async def _until_drained(self) -> None:
        draining = [asyncio.create_task(event.wait()) for event in self._drained]
        await asyncio.wait(draining, timeout=_DRAIN_SECONDS)
        for task in draining:
            task.cancel()
        for output in self._outputs:
            output.close()

    async def kill(self) -> None:
        """Kill the command with everything in its session; nothing of this is left afterwards."""
        if not self._child.has_ended:
            kill_session(self._child.pid)
        await self._child.wait()
        if self._stdin is not None:
            self._stdin.abort()
        for output in self._outputs:
            output.close()


class AttachSession:
    """A connection to a container's own process, which goes on when this ends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._queues: dict[int, asyncio.Queue[bytes]] = {
            channel: asyncio.Queue(maxsize=1) for channel in (frames.STDOUT, frames.STDERR)
        }
        self._state: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    @staticmethod
    async def start(client: ResponderClient, name: Mapping[str, str]) -> AttachSession:
        """Attach to the container that `name` says (uid and container)."""
        reader, writer = await client.open({"op": "attach", **name})
        first = await frames.read_frame(reader)
        if first is None or first[0] != frames.STARTED:
            writer.close()
            raise NetlabError(f"container {name['container']} was not started")
        return AttachSession(reader, writer)

    async def _read(self) -> None:
        try:
            while (received := await frames.read_frame(self._reader)) is not None:
                channel, data = received
                if channel == frames.EXIT:
                    self._state.set_result(json.loads(data))
                elif data:
                    await self._queues[channel].put(data)
        finally:
            if not self._state.done():
                self._state.set_result({})
        for queue in self._queues.values():
            await queue.put(b"")

    async def write(self, data: bytes) -> None:
        """Input for the process."""
        await self._send(frames.INPUT, data)

    async def close_stdin(self) -> None:
        """End of the input: on a terminal that is Ctrl-D."""
        await self._send(frames.INPUT_END)

    async def _send(self, channel: int, data: bytes = b"") -> None:
        if not self._writer.is_closing():
            self._writer.write(frames.frame(channel, data))
            try:
                await self._writer.drain()
            except ConnectionError:
                self._writer.close()

    def stdout(self) -> AsyncIterator[bytes]:
        """What the process writes, beginning with what nobody has seen yet."""
        return self._chunks(frames.STDOUT)

    def stderr(self) -> AsyncIterator[bytes]:
        """What it complains."""
        return self._chunks(frames.STDERR)

    async def _chunks(self, channel: int) -> AsyncIterator[bytes]:
        while data := await self._queues[channel].get():
            yield data

    def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size, if there is one."""
        if not self._writer.is_closing():
            self._writer.write(frames.frame(frames.RESIZE, json.dumps([columns, rows]).encode()))

    async def wait(self) -> int:
        """The exit code of the process; 137 when the responder died with it."""
        state = await asyncio.shield(self._state)
        return exit_code(int(state.get("returncode", -signal.SIGKILL)))

    async def kill(self) -> None:
        """Detach. The process goes on."""
        self._writer.close()
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        for queue in self._queues.values():
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(b"")
