"""What the CLI's clients load: every module costs each command its start-up time."""

from __future__ import annotations

import subprocess
import sys

_HEAVY = {"aiohttp", "asyncio", "http.client", "ssl", "urllib.request", "yaml"}


def test_they_import_nothing_heavy() -> None:
    code = "import sys, netlab.client.sync, netlab.client.stream; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not _HEAVY & set(loaded)
