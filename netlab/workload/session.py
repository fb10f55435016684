"""Streams into pods: a command executed there, or a container attached to.

Both have the same ends: `write`, `close_stdin`, `stdout()`, `stderr()`, `resize`, `wait`, `kill`.
Output that is not read holds the process back.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from typing import Any

from netlab.errors import NetlabError
from netlab.tasks import cancel
from netlab.workload import frames
from netlab.workload.calls import Calls


def exit_code(returncode: int) -> int:
    """128 + n when signal n ended the process, as shells and Kubernetes count."""
    return 128 - returncode if returncode < 0 else returncode


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

    @classmethod
    async def start(cls, client: Calls, request: Mapping[str, Any]) -> AttachSession:
        """Attach to the process that `request` (an operation of the runtime) leads to."""
        reader, writer = await client.open(request)
        try:
            if (refusal := await frames.read_first(reader)) is not None:
                raise NetlabError(refusal)
        except BaseException:  # also when nobody waits for it any more
            writer.close()
            raise
        return cls(reader, writer)

    async def _read(self) -> None:
        try:
            while (received := await frames.read_frame(self._reader)) is not None:
                channel, data = received
                if channel == frames.EXIT:
                    self._state.set_result(json.loads(data))
                    break  # the runtime now waits for us to go
                if data:
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

    async def resize(self, columns: int, rows: int) -> None:
        """Set the terminal's size, if there is one."""
        await self._send(frames.RESIZE, json.dumps([columns, rows]).encode())

    async def wait(self) -> int:
        """The exit code of the process; 137 when the responder died with it."""
        state = await asyncio.shield(self._state)
        return exit_code(int(state.get("returncode", -signal.SIGKILL)))

    async def kill(self) -> None:
        """Detach. The process goes on."""
        self._writer.close()
        await cancel(self._reading)
        for queue in self._queues.values():
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(b"")


class ExecSession(AttachSession):
    """A command executed in a container. It dies with the session."""

    async def kill(self) -> None:
        """Kill the command with everything in its session; nothing of this is left afterwards."""
        if self._writer.can_write_eof() and not self._writer.is_closing():
            self._writer.write_eof()
        await self._drained()
        await super().kill()

    async def _drained(self) -> None:
        """Throw away what nobody reads any more, until the runtime has closed the connection."""
        while not self._reading.done():
            for queue in self._queues.values():
                while not queue.empty():
                    queue.get_nowait()
            await asyncio.wait((self._reading,), timeout=0.01)
