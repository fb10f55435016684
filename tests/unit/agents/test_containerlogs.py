"""Logs in the form that `kubectl logs` asks for."""

from __future__ import annotations

import pytest

from netlab.agents import containerlogs as logs
from netlab.agents.containerlogs import LogOptions
from netlab.errors import BadRequest
from netlab.workload import crilog

ALL = LogOptions(follow=False, tail=None, since=None, timestamps=False)
LINES = [
    ("2026-01-01T00:00:00.000000000Z", b"one\n"),
    ("2026-01-01T00:00:10.000000000Z", b"two\n"),
    ("2026-01-01T00:00:20.000000000Z", b"no end"),
]


def written(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(entry(*line) for line in lines))
    return path


def entry(time, data):
    tag = b"F" if data.endswith(b"\n") else b"P"
    return b"%s stdout %s %s\n" % (time.encode(), tag, data.rstrip(b"\n"))


class Process:
    """One whose log is `path`; what it goes on to write are `more`."""

    def __init__(self, path, more=()):
        self.log, self._more = path, more

    async def follow_log(self):
        for entry in (*crilog.read(self.log), *self._more):
            yield entry


class Responder:
    def __init__(self):
        self.asked = []

    async def logs(self, uid, container, *, follow, tail):
        self.asked.append((uid, container, follow, tail))
        yield 1_767_225_600.5, "GET /"


def options(*, follow=False, tail=None, since=None, timestamps=False):
    return LogOptions(follow, tail, since, timestamps)


async def text(lines, wanted):
    return b"".join([line async for line in logs.rendered(lines, wanted)])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({}, b"one\ntwo\nno end"),
        ({"tail": 2}, b"two\nno end"),
        ({"tail": 0}, b""),
        ({"since": 1_767_225_605.0}, b"two\nno end"),  # 5 s after the first
        ({"tail": 1, "timestamps": True}, b"2026-01-01T00:00:20.000000000Z no end"),
    ],
)
async def test_parts_of_a_log(tmp_path, wanted, said):
    process = Process(written(tmp_path / "0.log", LINES))
    assert await text(logs.of_process(process, options(**wanted)), options(**wanted)) == said


async def test_who_follows_hears_each_line_once(tmp_path):
    path = written(tmp_path / "0.log", LINES[:1])
    more = [crilog.LogEntry("2026-01-01T00:00:30.000000000Z", "stdout", b"later\n")]
    wanted = options(follow=True)
    assert await text(logs.of_process(Process(path, more), wanted), wanted) == b"one\nlater\n"
    wanted = options(follow=True, tail=0)
    assert await text(logs.of_process(Process(path, more), wanted), wanted) == b"later\n"


async def test_the_life_before_this_one(pod_run):
    run = pod_run()
    written(run.directory / "containers" / "c" / "1.log", LINES[:2])
    run.state("c").restarts = 2
    assert await text(logs.of_previous(run, "c"), ALL) == b"one\ntwo\n"


@pytest.mark.parametrize("restarts", [0, 1])
async def test_there_was_no_life_before_or_its_log_is_gone(pod_run, restarts):
    run = pod_run()
    run.state("c").restarts = restarts
    with pytest.raises(BadRequest, match='previous terminated container "c" in pod "p" not found'):
        await text(logs.of_previous(run, "c"), ALL)


async def test_a_built_in_server_says_who_asked(pod_run):
    responder, wanted = Responder(), options(tail=5, timestamps=True)
    said = await text(logs.of_server(responder, pod_run(), "c", wanted), wanted)
    assert said == b"2026-01-01T00:00:00.500000Z GET /\n"
    assert responder.asked == [("u/c", "c", False, 5)]
