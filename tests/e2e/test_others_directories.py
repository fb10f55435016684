"""Where labs are kept: somebody else keeps things there too, or its name is too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.labs import Machine, machine

pytestmark = pytest.mark.root

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: NAME}
spec: {nodes: 1}
"""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Machine]:
    with machine(tmp_path) as here:
        base = here.base / "run"
        for path in (base / "theirs" / "file", base / ".theirs.lock", base / ".other.lock"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("theirs")
        (base / "empty").mkdir(mode=0o700)
        yield here
        assert (base / "empty").is_dir()
        (base / "empty").rmdir()
        for path in (base / "theirs" / "file", base / ".theirs.lock", base / ".other.lock"):
            assert path.read_text() == "theirs"
            path.unlink()
        (base / "theirs").rmdir()
        assert list(base.iterdir()) == []
        base.rmdir()


def test_down_of_all_takes_only_labs(here: Machine) -> None:
    assert "no lab is running" in here.netlab("down", "--all").stdout
    here.netlab("up", here.lab_file(LAB.replace("NAME", "ours")))
    assert "theirs" not in here.netlab("doctor", code=0).stdout
    assert here.netlab("down", "--all").stdout.startswith("lab ours is down")


@pytest.mark.parametrize(
    "use",
    [
        lambda here: here.netlab("down", "theirs", code=1),
        lambda here: here.netlab("get", "pods", "--lab", "theirs", code=1),
    ],
)
def test_what_is_no_lab_is_none(here: Machine, use: Callable[[Machine], object]) -> None:
    use(here)


def test_a_lab_takes_no_place_that_is_taken(here: Machine) -> None:
    refused = here.netlab("up", here.lab_file(LAB.replace("NAME", "theirs")), code=1)
    assert "is there, and no lab's" in refused.stderr
    assert "NETLAB_RUN" in refused.stderr


def test_a_directory_of_too_long_a_name_is_refused_at_once(tmp_path: Path) -> None:
    with machine(tmp_path / ("long" * 25)) as here:
        here.base.mkdir()
        refused = here.netlab("up", here.lab_file(LAB.replace("NAME", "ours")), code=2)
        assert "bytes; the kernel takes 107" in refused.stderr
        assert "NETLAB_RUN" in refused.stderr
        assert not (here.base / "run").exists()
