"""Files that people name: of a pipe a writer is awaited, and nobody is kept waiting for ever."""

import os
import shlex
import threading
import time

import pytest

from netlab import given
from netlab.cli.main import main
from netlab.errors import UsageError
from netlab.kernel.results import result


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def read(path):
    with given.opened(path) as stream:
        return stream.read()


def test_a_file_is_read(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    assert read(file) == b"x" * 100_000


def test_a_pipe_that_nobody_opens_is_given_up(pipe, monkeypatch):
    monkeypatch.setattr(given, "PATIENCE", 0.05)
    with pytest.raises(TimeoutError) as caught:
        given.opened(pipe)
    assert caught.value.filename == str(pipe)
    assert "nobody writes into this pipe" in caught.value.strerror


def test_who_has_opened_it_is_waited_for_however_long_he_takes(pipe, monkeypatch):
    monkeypatch.setattr(given, "PATIENCE", 0.05)
    may_write = threading.Event()

    def write():
        with pipe.open("wb", buffering=0) as stream:
            may_write.wait()
            stream.write(b"one")
            time.sleep(0.1)
            stream.write(b"two")

    writer = threading.Thread(target=write)
    writer.start()  # its open() returns as soon as this side opens, too
    threading.Timer(0.3, may_write.set).start()
    try:
        assert read(pipe) == b"onetwo"
    finally:
        may_write.set()
        writer.join()


def test_a_pipe_without_a_name_is_read(tmp_path):
    out, into = os.pipe()
    os.write(into, b"text")
    os.close(into)
    try:
        assert read(f"/dev/fd/{out}") == b"text"
    finally:
        os.close(out)


@pytest.mark.parametrize(
    "line",
    [
        "prove --save PIPE --from any --to any --expect none",
        "prove lint --save PIPE",
        "prove diff --before PIPE --after PIPE",
        "prove -f PIPE --from any --to any --expect none",
        "prove --save PIPE --objects PIPE",
        "trace --show PIPE",
        "trace --from-save PIPE --packet 'tcp 10.0.0.1:1 > 10.0.0.2:2'",
        "graph trace PIPE",
        "rules --from-save PIPE",
        "proxy diff -f PIPE --save PIPE",
        "up PIPE --dry-run",
        "check PIPE",
        "get pods --kubeconfig PIPE",
    ],
)
def test_every_command_says_in_a_line_that_nobody_writes(line, pipe, monkeypatch, capsys):
    monkeypatch.setattr(given, "PATIENCE", 0.05)
    assert main(shlex.split(line.replace("PIPE", str(pipe)))) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("error: ")
    assert "nobody writes into this pipe" in said[0]
    assert all(more.startswith("  hint: ") for more in said[1:])


def test_a_result_into_a_pipe_that_nobody_reads_is_given_up(pipe, monkeypatch):
    monkeypatch.setattr(given, "PATIENCE", 0.05)
    with pytest.raises(UsageError, match="nobody reads this pipe"), result(pipe):
        pass


def test_a_result_is_written_into_a_pipe_once_somebody_reads(pipe):
    said = []

    def read_later():
        time.sleep(0.2)
        said.append(pipe.read_bytes())

    reader = threading.Thread(target=read_later)
    reader.start()
    with result(pipe) as file:
        file.write(b"text")
    reader.join()
    assert said == [b"text"]
