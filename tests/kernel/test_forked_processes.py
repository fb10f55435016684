"""A child that runs no other program: what it keeps of ours, what it is called, how it ends."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from netlab.errors import NetlabError
from netlab.kernel import forked, process
from netlab.zygote import Zygote

pytestmark = pytest.mark.root


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def said(pipe: tuple[int, int]) -> str:
    os.close(pipe[1])
    with os.fdopen(os.dup(pipe[0])) as reading:
        return reading.read()


def test_it_keeps_what_it_is_to_keep_and_nothing_else(pipe: tuple[int, int]) -> None:
    other = os.open("/", os.O_RDONLY)

    def run() -> None:
        open_ones = [fd for fd in range(64) if Path(f"/proc/self/fd/{fd}").exists()]
        assert Path("/proc/self/fd/0").readlink() == Path(os.devnull)
        os.write(pipe[1], " ".join(map(str, open_ones)).encode())

    child = forked.fork(run, keep=[pipe[1]])
    os.close(other)
    assert said(pipe).split() == ["0", "1", "2", str(pipe[1])]
    assert child.wait(10) == 0


def test_any_number_of_threads_may_look_how_it_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts a program collects all children that have ended, in a thread of his own."""
    tell = os.waitpid

    def tell_late(pid: int, flags: int) -> tuple[int, int]:
        told = tell(pid, flags)
        time.sleep(0.05)
        return told

    child = forked.fork(lambda: None, keep=[])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    monkeypatch.setattr(os, "waitpid", tell_late)
    with ThreadPoolExecutor(8) as threads:
        looks = [threads.submit(each) for each in [child.poll, partial(child.wait, 10)] * 4]
        assert [look.result() for look in looks] == [0] * 8


def test_it_is_called_as_it_calls_itself(pipe: tuple[int, int]) -> None:
    def run() -> None:
        forked.call_ourselves("netlab something")
        os.write(pipe[1], Path("/proc/self/cmdline").read_bytes())

    child = forked.fork(run, keep=[pipe[1]])
    assert said(pipe).rstrip("\0") == "netlab something"
    assert child.wait(10) == 0


def test_one_that_fails_ends_with_1_and_goes_no_further(capfd: pytest.CaptureFixture[str]) -> None:
    def run() -> None:
        raise ValueError("here")

    child = forked.fork(run, keep=[])
    assert child.wait(10) == 1
    assert child.poll() == 1
    assert "ValueError: here" in capfd.readouterr().err


def test_one_that_is_killed_is_collected() -> None:
    child = forked.fork(signal.pause, keep=[])
    assert child.poll() is None
    with pytest.raises(TimeoutError):
        child.wait(0.01)
    child.end()
    assert child.poll() == -signal.SIGTERM
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_zygote_that_dies_at_its_work_is_told_of(tmp_path: Path) -> None:
    zygote = Zygote(lambda _: os.kill(os.getpid(), signal.SIGKILL))
    zygote.take(tmp_path)
    with pytest.raises(NetlabError, match="has ended"):
        zygote.wait()
    zygote.close()


def test_what_goes_wrong_in_a_zygote_is_told_in_its_words(tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise NetlabError("no", hint="ask")

    zygote = Zygote(refuse)
    child = zygote.take(tmp_path)
    assert child is not None
    with pytest.raises(NetlabError, match="no\n  hint: ask"):
        zygote.wait()
    zygote.close()
    child.end()
    assert child.poll() is not None


def test_what_a_caller_has_in_his_environment_is_no_daemons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    monkeypatch.setenv("LC_TIME", "C")
    log = tmp_path / "log"
    assert process.spawn(["env"], owner="somebody", log=log).wait(10) == 0
    assert "s3cret" not in log.read_text()
    assert {"LC_TIME=C", "NETLAB_OWNER=somebody"} <= set(log.read_text().splitlines())
