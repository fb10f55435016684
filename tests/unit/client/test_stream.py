"""exec and attach as the CLI runs them: pipes, terminals, exit codes, against a real server."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netlab.client import terminal
from netlab.client.stream import Join, Terminals, attach, exec_, exit_code
from netlab.client.websocket import (
    BINARY,
    CLOSE,
    PING,
    WebSocketFrameReader,
    WebSocketMessage,
    frame,
)
from netlab.client.wire import ControllerUnreachable
from netlab.errors import ApiError, BadRequest

POD = {
    "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
    "spec": {"nodeName": "node1", "containers": [{"name": "c", "image": "nginx"}]},
}  # fmt: skip


class Pipes:
    """Three pipes for a command's ends; what it said is in `said`."""

    def __init__(self) -> None:
        self.stdin, self.feed = os.pipe()
        self._out, self.stdout = os.pipe()
        self._err, self.stderr = os.pipe()
        self.said: dict[str, bytes] = {"out": b"", "err": b""}
        self._readers = [
            threading.Thread(target=self._read, args=pair)
            for pair in (("out", self._out), ("err", self._err))
        ]
        for reader in self._readers:
            reader.start()

    @property
    def ends(self) -> Terminals:
        return Terminals(self.stdin, self.stdout, self.stderr)

    def _read(self, which: str, fd: int) -> None:
        while data := os.read(fd, 65536):
            self.said[which] += data

    def close(self) -> None:
        """Close our ends, so that the readers end. Idempotent."""
        if not self._readers:
            return
        for fd in (self.stdout, self.stderr, self.stdin):
            os.close(fd)
        for reader in self._readers:
            reader.join(5)
        self._readers.clear()
        for fd in (self._out, self._err, self.feed):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def pipes() -> Any:
    made = Pipes()
    yield made
    made.close()


@pytest.fixture
def pod(server: Any) -> Any:
    server.call(lambda: server.registry.create(POD))
    return server


def join(pipes: Pipes, **more: Any) -> Join:
    return Join("default", "web", terminals=pipes.ends, **more)


def test_output_and_exit_codes(pod: Any, pipes: Any) -> None:
    assert exec_(pod.socket, join(pipes), ["echo", "a b", "ü"]) == 0
    assert exec_(pod.socket, join(pipes), ["fail", "42"]) == 42
    pipes.close()
    assert pipes.said == {"out": "a b ü\n".encode(), "err": b"it failed\n"}


def test_input_to_its_end(pod: Any, pipes: Any) -> None:
    os.write(pipes.feed, b"hello")
    os.close(pipes.feed)
    assert exec_(pod.socket, join(pipes, stdin=True), ["cat"]) == 0
    pipes.close()
    assert pipes.said["out"] == b"hello"


def test_input_from_a_file(pod: Any, pipes: Any, tmp_path: Path) -> None:
    content = os.urandom(300_000)
    (tmp_path / "f").write_bytes(content)
    with (tmp_path / "f").open("rb") as file:
        ends = Terminals(file.fileno(), pipes.stdout, pipes.stderr)
        assert exec_(pod.socket, Join("default", "web", stdin=True, terminals=ends), ["cat"]) == 0
    pipes.close()
    assert pipes.said["out"] == content


def test_much_goes_both_ways_without_standing_still(pod: Any, pipes: Any) -> None:
    content = os.urandom(8_000_000)

    def feed() -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(pipes.feed, view) :]
        os.close(pipes.feed)

    feeder = threading.Thread(target=feed)
    feeder.start()
    assert exec_(pod.socket, join(pipes, stdin=True), ["cat"]) == 0
    feeder.join()
    pipes.close()
    assert pipes.said["out"] == content


def test_attach(pod: Any, pipes: Any) -> None:
    pod.streams.main = "echo"
    assert attach(pod.socket, join(pipes)) == 0
    pipes.close()
    assert pipes.said["out"] == b"attached\n"


def test_refusals_are_errors(pod: Any, pipes: Any, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="executable file not found"):
        exec_(pod.socket, join(pipes), ["nothing"])
    with pytest.raises(ApiError, match="not found"):
        exec_(pod.socket, Join("default", "other", terminals=pipes.ends), ["echo"])
    with pytest.raises(ControllerUnreachable):
        exec_(tmp_path / "none", join(pipes), ["echo"])


def test_a_server_that_goes_is_an_error(pod: Any, pipes: Any) -> None:
    timer = threading.Timer(0.2, pod.stop)
    timer.start()
    with pytest.raises(Exception, match="the connection to the API server was lost"):
        exec_(pod.socket, join(pipes), ["sleep"])
    timer.join()
    pod.start_again()


def until(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come true")


def is_raw(fd: int) -> bool:
    return not termios.tcgetattr(fd)[3] & termios.ICANON


@pytest.fixture
def tty() -> Any:
    """(the terminal's own end, the end that the client gets)."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    yield master, slave
    os.close(master)
    os.close(slave)


def test_a_terminal_is_raw_and_restored(pod: Any, tty: Any) -> None:
    master, slave = tty
    before = termios.tcgetattr(slave)
    asked = Join("default", "web", stdin=True, tty=True, terminals=Terminals(slave, slave, slave))
    seen: dict[str, Any] = {}

    def type_keys() -> None:
        until(lambda: is_raw(slave))
        os.write(master, b"\x03ab")
        process = pod.streams.processes[0]
        seen["echo"] = os.read(master, 100)
        seen["size"] = process.sizes[0]
        termios.tcsetwinsize(slave, (50, 132))
        os.kill(os.getpid(), signal.SIGWINCH)
        until(lambda: len(process.sizes) == 2)
        seen["resized"] = process.sizes[1]
        pod.loop.call_soon_threadsafe(process.input.put_nowait, b"")

    keys = threading.Thread(target=type_keys)
    keys.start()
    assert exec_(pod.socket, asked, ["cat"]) == 0
    keys.join()
    assert seen == {"echo": b"\x03ab", "size": (80, 24), "resized": (132, 50)}
    assert termios.tcgetattr(slave) == before


def test_a_terminal_is_restored_when_a_signal_ends_it(pod: Any, tty: Any) -> None:
    _, slave = tty
    before = termios.tcgetattr(slave)
    asked = Join("default", "web", stdin=True, tty=True, terminals=Terminals(slave, slave, slave))

    def end() -> None:
        until(lambda: is_raw(slave))
        os.kill(os.getpid(), signal.SIGTERM)

    ender = threading.Thread(target=end)
    ender.start()
    with pytest.raises(SystemExit) as caught:
        exec_(pod.socket, asked, ["sleep"])
    ender.join()
    assert caught.value.code == 128 + signal.SIGTERM
    assert termios.tcgetattr(slave) == before
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    until(lambda: pod.streams.processes[0].killed)


def test_no_terminal_has_no_size() -> None:
    reader, writer = os.pipe()
    assert terminal.size(reader) is None
    with terminal.raw(reader):
        pass
    os.close(reader)
    os.close(writer)


def test_a_status_that_is_no_exit_code_is_raised() -> None:
    assert exit_code({"status": "Success"}) == 0
    with pytest.raises(ApiError, match="broken"):
        exit_code({"status": "Failure", "message": "broken", "reason": "InternalError"})


# -- frames --------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_000])
def test_frames_have_three_sizes_of_length(size: int) -> None:
    sent = frame(BINARY, b"x" * size)
    head = {True: 2}.get(size < 126, 4 if size < 65536 else 10)
    assert sent[1] & 0x80  # what a client sends is masked
    assert sent[head : head + 4] == b"\0" * 4
    assert len(sent) == head + 4 + size


def server_frame(first: int, payload: bytes) -> bytes:
    return bytes([first, len(payload)]) + payload


def test_frames_are_read_in_any_pieces() -> None:
    whole = (
        server_frame(0x82, b"one")
        + server_frame(0x02, b"tw")
        + server_frame(0x89, b"ping")
        + server_frame(0x80, b"o")
        + bytes([0x82, 126, 0, 200]) + b"x" * 200
        + server_frame(0x88, b"")
    )  # fmt: skip
    expected = [
        WebSocketMessage(BINARY, b"one"), WebSocketMessage(PING, b"ping"),
        WebSocketMessage(BINARY, b"two"),
        WebSocketMessage(BINARY, b"x" * 200), WebSocketMessage(CLOSE, b""),
    ]  # fmt: skip
    for step in (1, 3, 1000):
        reader = WebSocketFrameReader()
        pieces = [whole[i : i + step] for i in range(0, len(whole), step)]
        assert [message for piece in pieces for message in reader.feed(piece)] == expected


def test_a_frame_too_large_is_refused() -> None:
    with pytest.raises(Exception, match="too large"):
        list(WebSocketFrameReader().feed(b"\x82\x7f" + (1 << 40).to_bytes(8, "big")))


def test_sizes_are_json_with_capitals(pod: Any, tty: Any) -> None:
    """The form that Kubernetes' remotecommand reads."""
    _, slave = tty
    asked = Join("default", "web", tty=True, terminals=Terminals(slave, slave, slave))
    assert json.dumps(asked.query())
    assert exec_(pod.socket, asked, ["size"]) == 0
    assert pod.streams.processes[0].sizes == [(80, 24)]
