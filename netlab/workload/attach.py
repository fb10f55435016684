"""The runtime's side of being attached to a process in a pod; see `frames`."""

from __future__ import annotations

import asyncio
import json

from netlab.workload.crilog import Stream
from netlab.workload.frames import (
    EXIT,
    INPUT,
    INPUT_END,
    RESIZE,
    STARTED,
    STDERR,
    STDOUT,
    frame,
    read_frame,
)
from netlab.workload.running_process import RunningProcess

_CHANNELS: dict[Stream, int] = {"stdout": STDOUT, "stderr": STDERR}


async def serve(
    process: RunningProcess, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Attach one client to a process until he goes; a client that dawdles holds it back.

    The end of his input is the process's, or his leave, where others may yet say more to it.

    He is told when the process ends, and then has yet to go: what he sends into a connection that
    is closed already would cost him what of ours he has not read. The connection is the caller's
    to close.
    """

    async def send(stream: Stream, data: bytes) -> None:
        if not writer.is_closing():
            writer.write(frame(_CHANNELS[stream], data))
            try:
                await writer.drain()
            except ConnectionError:
                writer.close()

    writer.write(frame(STARTED))
    listening = asyncio.create_task(_take_input(process, reader))
    ending = asyncio.create_task(process.wait())
    try:
        await process.attach(send)
        await asyncio.wait((listening, ending), return_when=asyncio.FIRST_COMPLETED)
        if ending.done():
            writer.write(frame(EXIT, json.dumps(ending.result()).encode()))
            await asyncio.wait((listening,))
    finally:
        listening.cancel()
        ending.cancel()
        await process.detach(send)


async def _take_input(process: RunningProcess, reader: asyncio.StreamReader) -> None:
    while (received := await read_frame(reader)) is not None:
        channel, data = received
        if channel == INPUT:
            await process.write(data)
        elif channel == INPUT_END and process.ends_with_input:
            await process.close_stdin()
        elif channel == INPUT_END:
            return
        elif channel == RESIZE:
            columns, rows = json.loads(data)
            process.resize(columns, rows)
