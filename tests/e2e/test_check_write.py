"""`netlab check --write`: today's paths, which pass now, and do not when something is broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.labs import TOPOLOGIES, Machine, machine

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("write")) as here:
        here.netlab("up", TOPOLOGIES / "quickstart.yaml")
        yield here


@pytest.fixture(scope="module")
def today(lab: Machine) -> Path:
    path = lab.base / "today.yaml"
    done = lab.netlab("check", "--write", path)
    assert done.stdout == f"13 paths written to {path}\n"
    return path


def test_it_passes_at_once(lab: Machine, today: Path) -> None:
    assert lab.netlab("check", today).stderr.endswith("all 13 passed\n")


def test_it_is_the_same_each_time(lab: Machine, today: Path) -> None:
    again = lab.base / "again.yaml"
    lab.netlab("check", "--write", again)
    assert again.read_text() == today.read_text()


def test_it_says_all_that_was_seen(today: Path) -> None:
    text = today.read_text()
    assert "# `sudo netlab check` with this file tells which are otherwise.\napiVersion" in text
    (one,) = (part for part in text.split("---\n") if "client-pod-to-hostname-svc-cl" in part)
    assert one.splitlines()[2:] == [
        "metadata: {name: client-pod-to-hostname-svc-clusterip-8080}",
        "spec:",
        "  from: {pod: client-pod}",
        "  to: {service: hostname-svc-clusterip, port: 8080}",
        "  expect:",
        "    outcome: reachable",
        "    endpoints: all",
        "    dnat: {at: sender}",
        "    masquerade: {at: none}",
        "    sourceSeen: sender",
    ]


BROKEN = {
    "a selector": ('{"selector":{"app":"wbe"}}', '{"selector":{"app":"webserver"}}'),
    "who is let in": (
        '{"externalTrafficPolicy":"Local"}',
        '{"externalTrafficPolicy":"Cluster"}',
    ),
    "a port": (
        '{"ports":[{"port":8080,"targetPort":81}]}',
        '{"ports":[{"port":8080,"targetPort":80}]}',
    ),
}


@pytest.mark.parametrize(("change", "back"), BROKEN.values(), ids=BROKEN)
def test_it_fails_when_something_is_broken(
    lab: Machine, today: Path, change: str, back: str
) -> None:
    lab.netlab("patch", "svc", "hostname-svc-nodeport", "-p", f'{{"spec":{change}}}')
    try:
        lab.status()
        done = lab.netlab("check", today, code=1)
        failed = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
        assert failed
        assert all("hostname-svc-nodeport" in line for line in failed)
    finally:
        lab.netlab("patch", "svc", "hostname-svc-nodeport", "-p", f'{{"spec":{back}}}')
        lab.status()
    lab.netlab("check", today)


def test_what_does_not_answer_today_is_recorded_so(lab: Machine) -> None:
    lab.netlab("create", "service", "clusterip", "nobody", "--tcp=80")
    lab.status()
    path = lab.base / "nobody.yaml"
    try:
        lab.netlab("check", "--write", path)
        lab.netlab("check", path)
    finally:
        lab.netlab("delete", "svc", "nobody")
    parts = [part for part in path.read_text().split("---\n") if "to-nobody" in part]
    assert len(parts) == 5
    assert all("expect: {outcome: refused}" in part for part in parts)


@pytest.mark.parametrize("words", [("x.yaml",), ("--only", "x"), ("--junit", "x"), ("-o", "json")])
def test_it_goes_with_nothing_else(lab: Machine, words: tuple[str, ...]) -> None:
    done = lab.netlab("check", "--write", "y.yaml", *words, code=2)
    assert "--write records what is there" in done.stderr


def test_a_place_that_cannot_be_written_is_known_first(lab: Machine) -> None:
    done = lab.netlab("check", "--write", "/nonexistent/today.yaml", code=2)
    assert "there is no directory /nonexistent" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["load-balancer", "dual-stack", "affinity", "tutorial-mynapp"])
def test_other_labs_are_recorded_as_well(tmp_path: Path, name: str) -> None:
    with machine(tmp_path) as here:
        here.netlab("up", TOPOLOGIES / f"{name}.yaml")
        path = tmp_path / "today.yaml"
        here.netlab("check", "--write", path)
        here.netlab("check", path)
        here.netlab("down")
        here.netlab("up", TOPOLOGIES / f"{name}.yaml")
        here.netlab("check", path)
