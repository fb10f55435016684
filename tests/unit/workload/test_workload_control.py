"""Whoever asks is answered, whatever goes wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import NetlabError
from netlab.workload.control import Control, ControlSession


async def fail(request: dict[str, Any], _: ControlSession | None = None) -> None:
    raise {"deep": RecursionError("too deep"), "known": NetlabError("it is not there")}[
        request["how"]
    ]


async def answer(directory: Path, line: bytes) -> dict[str, Any]:
    control = Control({"fail": fail}, {"stream": fail})
    server = await asyncio.start_unix_server(control.connected, directory / "control")
    async with server:
        reader, writer = await asyncio.open_unix_connection(directory / "control")
        writer.write(line + b"\n")
        answered = json.loads(await asyncio.wait_for(reader.readline(), 10) or b"{}")
        writer.close()
    return dict(answered)


@pytest.mark.parametrize("operation", ["fail", "stream"])
@pytest.mark.parametrize(
    ("how", "said", "is_logged"),
    [("deep", "RecursionError: too deep", True), ("known", "it is not there", False)],
)
async def test_every_failure_is_answered(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    operation: str,
    how: str,
    said: str,
    is_logged: bool,
) -> None:
    line = json.dumps({"id": 7, "op": operation, "how": how}).encode()
    assert (await answer(tmp_path, line))["error"] == said
    assert ("Traceback" in capsys.readouterr().err) is is_logged


async def test_what_is_too_deep_to_be_read_closes_the_connection(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await answer(tmp_path, b"[" * 100_000) == {}
    assert "control connection closed" in capsys.readouterr().err
