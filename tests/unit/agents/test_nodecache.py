"""What a node-cache's arguments say, and that who has none does not pay for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from netlab.agents.nodecache import local_addresses


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("169.254.20.10", ("169.254.20.10",)),
        ("169.254.20.10,10.96.0.10", ("169.254.20.10", "10.96.0.10")),  # as upstream's manifest
        ("fd00:0090::0010", ("fd00:90::10",)),
        ("__PILLAR__LOCAL__DNS__,", ()),
        ("", ()),
    ],
)
def test_where_it_answers(text: str, addresses: tuple[str, ...]) -> None:
    assert local_addresses(text) == addresses


def test_a_controller_imports_nothing_of_it_before_there_is_one() -> None:
    modules = ("netlab.agents.nodecache", "netlab.proxy.untracked", "netlab.network.cachelink")
    told = f"import sys, netlab.daemon; print(*(set({modules!r}) & set(sys.modules)))"
    argv = [sys.executable, "-c", told]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""
