"""The message of a container that has ended: its own, or the end of its log if it asks for that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netlab.agents import endings
from netlab.workload.crilog import LogWriter

FALLBACK: dict[str, Any] = {"name": "c", "terminationMessagePolicy": "FallbackToLogsOnError"}
FILE: dict[str, Any] = {"name": "c", "terminationMessagePolicy": "File"}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return written(tmp_path / "0.log", b"one\ntwo\nthree")


def written(path: Path, text: bytes) -> Path:
    writer = LogWriter(path)
    writer.write("stdout", text)
    writer.close()
    return path


@pytest.mark.parametrize(
    ("container", "code", "said", "wanted"),
    [
        (FALLBACK, 1, "", "one\ntwo\nthree"),
        (FALLBACK, 1, "said", "said"),
        (FALLBACK, 0, "", ""),
        (FILE, 1, "", ""),
        (FILE, 0, "said", "said"),
        ({"name": "c"}, 1, "", ""),
    ],
)
def test_the_log_is_what_is_left_to_one_that_failed(log, container, code, said, wanted):
    assert endings.message(container, code, said, log, 1) == wanted


def test_without_a_log_there_is_nothing(tmp_path):
    assert endings.message(FALLBACK, 1, "", tmp_path / "0.log", 1) == ""


def test_of_a_long_log_it_is_the_end(tmp_path):
    short = written(tmp_path / "0.log", b"".join(b"%d\n" % number for number in range(20000)))
    assert endings.log_end(short).splitlines() == [str(each) for each in range(19920, 20000)]
    long = written(tmp_path / "1.log", b"x" * 100_000 + b"end\n")
    assert endings.log_end(long) == "x" * 2044 + "end\n"


def test_containers_share_what_a_pod_may_say(tmp_path):
    text = "ä" * 2048
    assert endings.message(FILE, 1, text, tmp_path, 1) == text
    assert endings.message(FILE, 1, text, tmp_path, 4) == "ä" * 1536
    assert endings.message(FILE, 1, text, tmp_path, 5) == "ä" * 1228  # 2457 bytes: no half of one
