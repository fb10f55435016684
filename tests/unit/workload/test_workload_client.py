"""The responder's client against a server that only counts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from netlab.workload.client import ResponderClient


async def test_calls_that_meet_a_closed_client_share_one_connection(tmp_path: Path) -> None:
    """With two, the end of the first would fail calls that the second has made."""
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while line := await reader.readline():
            writer.write(json.dumps({"id": json.loads(line)["id"], "result": []}).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(answer, str(tmp_path / "s"))
    client = ResponderClient(tmp_path / "s")
    assert await asyncio.gather(*(client.call("list") for _ in range(5))) == [[]] * 5
    await client.close()
    server.close()
    await server.wait_closed()
    assert connections == 1
