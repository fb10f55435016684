"""What holds for every run: how wide its terminal is to the tests, how slow the machine may be, and
its last word."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import settings

NOT_SLOW = "not slow"

# An example takes as long as it does: a busy machine is nobody's mistake.
settings.register_profile("netlab", deadline=None)
settings.load_profile("netlab")


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
    if config.option.markexpr == NOT_SLOW:
        config.pluginmanager.register(LeftOut())
