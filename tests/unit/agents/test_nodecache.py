"""What a node-cache's arguments say, and that who has none does not pay for it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from netlab.agents.corefiles import configured, local_addresses


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


VOLUMES: list[Any] = [
    {"name": "whole", "configMap": {"name": "all"}},
    {"name": "part", "configMap": {"name": "some", "items": [{"key": "K", "path": "Corefile"}]}},
    {"name": "disk", "emptyDir": {}},
]


@pytest.mark.parametrize(
    ("mounts", "path", "found"),
    [
        ([("whole", "/etc/coredns", "")], "/etc/coredns/Corefile", ("all", "Corefile")),
        ([("part", "/etc/coredns/", "")], "/etc/coredns/Corefile", ("some", "K")),
        ([("part", "/etc/coredns", "")], "/etc/coredns/Corefile.base", None),
        ([("whole", "/etc/Corefile", "Core")], "/etc/Corefile", ("all", "Core")),
        ([("whole", "/other", ""), ("disk", "/etc", "")], "/etc/Corefile", None),
        ([], "/etc/Corefile", None),
    ],
)
def test_where_its_corefile_comes_from(mounts: Any, path: str, found: Any) -> None:
    said = [{"name": n, "mountPath": at, **({"subPath": s} if s else {})} for n, at, s in mounts]
    pod: Any = {"spec": {"volumes": VOLUMES}}
    container: Any = {"name": "c", "volumeMounts": said}
    assert configured(pod, container, path) == found


def test_a_controller_imports_nothing_of_it_before_there_is_one() -> None:
    modules = (
        "netlab.agents.nodecache",
        "netlab.dns.corefile",
        "netlab.proxy.untracked",
        "netlab.network.cachelink",
    )
    told = f"import sys, netlab.daemon; print(*(set({modules!r}) & set(sys.modules)))"
    argv = [sys.executable, "-c", told]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip() == ""
