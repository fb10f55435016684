"""The stream between the runtime, which has a process's terminal, and who is attached to it.

After the request, frames go both ways: one byte of channel, four of length (big-endian), data.
Towards the runtime: INPUT, INPUT_END, RESIZE (JSON `[columns, rows]`); towards the client:
STDOUT, STDERR, EXIT (JSON, the process's state). The runtime's first frame is STARTED,
or REFUSED with the reason.
"""

from __future__ import annotations

import asyncio
import struct

INPUT, STDOUT, STDERR, EXIT, RESIZE, INPUT_END, STARTED, REFUSED = range(8)

_HEAD = struct.Struct(">BI")


def frame(channel: int, data: bytes = b"") -> bytes:
    """One frame."""
    return _HEAD.pack(channel, len(data)) + data


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes] | None:
    """(channel, data), or None at the end of the connection."""
    try:
        channel, length = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        return channel, await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


async def read_first(reader: asyncio.StreamReader) -> str | None:
    """None when the stream begins; else why it does not."""
    channel, data = await read_frame(reader) or (REFUSED, b"the process is not there any more")
    return data.decode() if channel == REFUSED else None
