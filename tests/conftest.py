"""What holds for every run: how wide its terminal is to the tests, how slow the machine may be, how
long what waits may wait, and its last word."""

from __future__ import annotations

import asyncio
import functools
import inspect
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import settings

NOT_SLOW = "not slow"

# An example takes as long as it does: a busy machine is nobody's mistake.
settings.register_profile("netlab", deadline=None)
settings.load_profile("netlab")


LONGEST = 120.0
"""Seconds after which a test that awaits something has waited in vain: it fails where it stands."""


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """What runs `async def test_…`: a loop for each, with its fixtures."""
    return "asyncio"


def _bounded(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(**fixtures: Any) -> None:
        async with asyncio.timeout(LONGEST):
            await test(**fixtures)

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.obj = _bounded(item.obj)


class LeftOut:
    """Says how many tests marked slow `scripts/test` leaves to `--all`, under xdist as well."""

    def __init__(self) -> None:
        self.count = 0

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.count += sum(item.get_closest_marker("slow") is not None for item in items)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if (output := getattr(session.config, "workeroutput", None)) is not None:
            output["left_out"] = self.count

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        # Each process collects the same; one that was killed has nothing to tell.
        self.count = max(self.count, getattr(node, "workeroutput", {}).get("left_out", 0))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.count:
            terminalreporter.write_line(f"left to scripts/test --all: {self.count} slow tests")


def pytest_configure(config: pytest.Config) -> None:
    # pytest imports readline, which exports the size of the terminal to whatever is started: what
    # tests print would be as wide as the terminal of who runs them.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
        os.unsetenv(name)
    # What a shell runs in the background ignores Ctrl-C, and so would all that tests interrupt.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.option.markexpr == NOT_SLOW:
        config.pluginmanager.register(LeftOut())
