"""The responder's client against a server that only counts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from netlab.errors import NetlabError
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


async def test_those_that_end_while_another_does_go_in_one_message(tmp_path: Path) -> None:
    asked: list[list[str]] = []
    goes_on = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            asked.append(request["uids"])
            await goes_on.wait()
            said = {"result": None} if request["uids"] != ["broken"] else {"error": "no"}
            writer.write(json.dumps({"id": request["id"], **said}).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(answer, str(tmp_path / "s"))
    client = ResponderClient(tmp_path / "s")
    first = asyncio.create_task(client.stop(["a"]))
    while not asked:
        await asyncio.sleep(0.001)
    rest = [asyncio.create_task(client.stop([f"{number}"])) for number in range(50)]
    await asyncio.sleep(0)
    rest[7].cancel()  # who does not wait for it keeps nobody from it
    goes_on.set()
    ended = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [type(one) for one in ended if one is not None] == [asyncio.CancelledError]
    assert asked == [["a"], [f"{number}" for number in range(50)]]
    with pytest.raises(NetlabError, match="no"):
        await client.stop(["broken"])
    await client.stop(["c"])
    assert asked[-1] == ["c"], "a failure is that message's own"
    await client.close()
    server.close()
    await server.wait_closed()
