"""The stream between the responder, which has a container's terminal, and who is attached to it.

After the request, frames go both ways: one byte of channel, four of length (big-endian), data.
Towards the responder: INPUT, INPUT_END, RESIZE (JSON `[columns, rows]`); towards the client:
STDOUT, STDERR, EXIT (JSON, the container's state). The responder's first frame is STARTED.
"""

from __future__ import annotations

import asyncio
import struct

INPUT, STDOUT, STDERR, EXIT, RESIZE, INPUT_END, STARTED = range(7)

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
