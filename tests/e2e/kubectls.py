"""Real kubectl and a real lab, both in a network namespace of their own: nothing that listens
is on the machine's loopback."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import subprocess
import termios
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.labs import KUBECTLS, Done, Machine, machine

from netlab.kernel import netns

QUIET = 0.4
"""Seconds without output after which a terminal waits for what is typed."""


@dataclass
class Shell:
    """A directory to work in, where `kubectl` is a certain kubectl and talks to the lab."""

    here: Machine
    lab: str
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.here.environment,
            "PATH": f"{self.directory / 'bin'}:{self.here.environment['PATH']}",
            "HOME": str(self.directory),
            "KUBECONFIG": str(self.here.base / "run" / self.lab / "kubeconfig"),
            "TERM": "dumb",
        }

    def use(self, kubectl: Path) -> None:
        """From now on `kubectl` is this one."""
        (self.directory / "bin").mkdir(exist_ok=True)
        link = self.directory / "bin" / "kubectl"
        link.unlink(missing_ok=True)
        link.symlink_to(kubectl)

    def start(self, line: str, **streams: int) -> subprocess.Popen[bytes]:
        """Begin a command line."""
        command = ["bash", "-c", line]
        return subprocess.Popen(
            command, cwd=self.directory, env=self.environment, start_new_session=True, **streams
        )

    def run(self, line: str, input: str | None = None, timeout: float = 30.0) -> Done:
        """A command line to its end, its output and complaints together in `stdout`."""
        return subprocess.run(
            ["bash", "-c", line],
            cwd=self.directory,
            env=self.environment,
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
        )

    def __call__(self, line: str, input: str | None = None) -> str:
        """What a command line says; it must succeed."""
        done = self.run(line, input)
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return str(done.stdout)

    def in_terminal(self, line: str, typed: Sequence[str] = (), timeout: float = 30.0) -> Done:
        """A command line in a terminal, where each line is typed once it has become quiet."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 120))
        process = self.start(line, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        try:
            seen = _converse(ours, list(typed), time.monotonic() + timeout)
            code = process.wait(timeout)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        return Done(line, code, _plain(seen))


def _plain(seen: bytes) -> str:
    """What stands on the screen, without what moves the cursor."""
    text = re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", seen.decode(errors="replace"))
    return text.replace("\r\n", "\n").replace("\r", "")


def _converse(terminal: int, typed: list[str], deadline: float) -> bytes:
    seen = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], QUIET)
        if ready:
            try:
                seen += os.read(terminal, 65536)
            except OSError:  # the last process has closed it
                return seen
        elif typed and re.search(rb"[$#] (\x1b\[\S+)?$", seen):
            os.write(terminal, typed.pop(0).encode() + b"\n")
    raise AssertionError(f"still running; so far:\n{seen.decode(errors='replace')}")


@contextlib.contextmanager
def shell(base: Path, lab_text: str, lab: str = "tutorial") -> Iterator[Shell]:
    """A lab that is up, and a shell to use it from."""
    namespace = netns.create(base / "net")
    try:
        with netns.entered(namespace):
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            with machine(base) as here:
                here.netlab("up", here.lab_file(lab_text))
                here.netlab("kubeconfig")  # waits until the lab listens
                directory = base / "home"
                directory.mkdir()
                yield Shell(here, lab, directory)
    finally:
        os.close(namespace)
        netns.remove(base / "net")


def installed() -> dict[str, Path]:
    """The kubectls that scripts/kubectls has gathered, oldest first: "1.28" → the program."""
    found = {path.name.removeprefix("kubectl."): path for path in KUBECTLS.glob("kubectl.1.*")}
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))
