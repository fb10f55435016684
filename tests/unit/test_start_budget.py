"""How many modules a start imports: who adds one to what somebody waits for has a reason.

Python's own are counted by name, as each version of it has others.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

CONTROLLER = """
import netlab.boot
from netlab import later
later.import_parts_of("aiohttp", __version__="")
import netlab.daemon
"""

HEAVY = {"bz2", "fractions", "importlib.resources", "lzma", "shutil", "tempfile", "xml", "yaml"}
"""What much of an import was for little."""

ASYNC = {"asyncio", "email", "http.client", "inspect", "logging", "ssl"}
"""What a command that only asks does without."""

CLI = "import netlab.cli.main, netlab.cli."

BUDGETS = {
    "package": ("import netlab", 15, HEAVY | ASYNC),
    "controller, before all else": ("import netlab.boot", 89, HEAVY | ASYNC - {"logging"}),
    "controller": (CONTROLLER, 523, {"importlib.resources", "xml", "yaml"}),
    "processes": (
        "import netlab.zygote, netlab.dns.process, netlab.workload.responder",
        88,
        {"fractions", "importlib.resources", "tempfile", "xml", "yaml"},
    ),
    "up": (f"{CLI}lab.up_, netlab.supervision, netlab.lab", 108, HEAVY | ASYNC),
    "status": (f"{CLI}lab.status_, netlab.lab", 107, HEAVY | ASYNC),
    "get": (f"{CLI}objects.get_", 52, HEAVY | ASYNC | {"subprocess"}),
    "exec": (f"{CLI}pods.exec_", 51, HEAVY | ASYNC | {"subprocess"}),
    "check": (f"{CLI}packets.check_", 53, HEAVY | ASYNC | {"subprocess"}),
}
"""What is imported; how many modules of ours and of packages that may be at most; and what not."""


@pytest.mark.parametrize(("program", "most", "without"), BUDGETS.values(), ids=BUDGETS)
def test_a_start_imports_no_more_than_it_may(program: str, most: int, without: set[str]) -> None:
    argv = [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    counted = [name for name in said if _is_counted(name)]
    assert without & set(said) == set()
    assert len(counted) <= most, sorted(counted)
    assert len(counted) > most - 10, "so few: the budget is less now"


def _is_counted(name: str) -> bool:
    """Neither Python's own, nor what an environment has each Python import."""
    return (
        not name.startswith(("_", "sitecustomize"))
        and name.partition(".")[0] not in sys.stdlib_module_names
    )
