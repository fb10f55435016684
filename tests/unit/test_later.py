"""What is imported late: it is there, in the room that names it, and not before it is needed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from netlab.agents import podtasks
from netlab.api import server, tables
from netlab.controllers import manager
from netlab.controllers.firsts import OnceThere
from netlab.later import Later

TABLES = {
    "netlab.api": (
        *(server._COLLECTION, server._OBJECT, *server._SUBRESOURCE.values(), server._DOCUMENTS),
        {"a": server._WATCH, "b": server._DISCOVERY, "c": server._REVIEW, "d": tables._SCALE},
    ),
    "netlab.agents": (podtasks.TASKS,),
    "netlab.controllers": (
        {str(one): one.made for one in manager.CONTROLLERS if isinstance(one, OnceThere)},
    ),
}


def every() -> Iterator[tuple[str, Later[Any]]]:
    for room, its in TABLES.items():
        yield from ((room, later) for table in its for later in table.values())


@pytest.mark.parametrize(("room", "later"), sorted(set(every()), key=str), ids=str)
def test_it_is_there(room: str, later: Later[Any]) -> None:
    assert callable(later.get()) or later == tables._SCALE
    assert later.module.startswith(f"{room}."), "import-linter sees no names in tables"


SELDOM = (
    "agents.certgen", "agents.ingress", "agents.nodecache",
    "api.discovery", "api.documents", "api.execs", "api.logs", "api.openapi", "api.portforward",
    "api.reviews", "api.subresources", "api.swagger", "api.yamlbodies",
    *(f"api.printing.{family}" for family in ("access", "batch", "pods", "workloads")),
    "controllers.cronjob", "controllers.daemonset", "controllers.job", "controllers.job_pods",
    "controllers.statefulset", "controllers.ttl",
    "objects.cron", "objects.lab_update", "objects.validate_admission",
    "objects.validate_batch", "objects.validate_ingress", "objects.yamltext",
    "serving.channels", "serving.spdy",
    "ingress", "pathcheck", "proxy.nftables", "simulation", "view.describing",
)  # fmt: skip
"""Rooms and modules of them that a lab of Deployments and Services does without."""


def test_a_controller_imports_none_of_it_before_it_is_needed() -> None:
    loaded = printed("import sys, netlab.boot, netlab.daemon; print(*sys.modules)").split()
    assert {f"netlab.{name}" for name in SELDOM} & set(loaded) == set()
    assert not {"yaml", "scapy", "iptc"} & set(loaded)


IN_PARTS = """
import sys
from netlab import later
later.import_parts_of("aiohttp", __version__="")
import netlab.daemon
"""


def test_of_aiohttp_a_controller_imports_the_server_alone() -> None:
    loaded = printed(IN_PARTS + "print(*sys.modules)").split()
    assert "aiohttp.web" in loaded
    assert not {"aiohttp.client", "aiohttp.connector", "aiohttp.tracing"} & set(loaded)


def test_who_asks_for_the_rest_of_a_package_gets_it_whole() -> None:
    asked = (
        IN_PARTS
        + """
import aiohttp
print(aiohttp.ClientSession.__name__, aiohttp.__version__ > "3", aiohttp.web.__name__)
print(type(aiohttp).__name__, hasattr(aiohttp, "nothing"))
"""
    )
    assert printed(asked).split() == ["ClientSession", "True", "aiohttp.web", "module", "False"]


def printed(program: str) -> str:
    argv = [sys.executable, "-c", program]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout
