"""A machine that may be harmed: namespaces over a copy of this one's files, gone after the test.

Whatever gets out of a pod there gets at its files, its processes, its network, its hostname and
its terminals, and at none of ours. What the kernel has once for all namespaces is shared: attempts
on that only find out whether they are allowed to.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import needs
from e2e.labs import ROOT, Done

from netlab.client.stream import Join, Terminals, exec_
from netlab.client.sync import Client
from netlab.errors import NetlabError
from netlab.kernel import paths

_HERE = Path(__file__).parent
_NAMESPACES = ("mount", "uts", "ipc", "net", "pid")
_RUN = "/run/labs"


@dataclass
class Disposable:
    """`init` is its first process, `token` what nobody in a pod can know."""

    init: int
    token: str
    facts: dict[str, str] = field(default_factory=dict)

    def path(self, inside: str) -> Path:
        """Where we find a path of its."""
        return Path(f"/proc/{self.init}/root{inside}")

    def entering(self, *argv: str, terminal: bool = False) -> list[str]:
        """What runs a program there; without a terminal, it has nothing to read."""
        into = [f"--{name}" for name in _NAMESPACES]
        there = ["--root", "--wd", "env", f"--chdir={ROOT}"]
        # Its own /dev/null, as even that can be harmed by who has it open.
        quiet = ["sh", "-c", 'exec "$@" </dev/null', "sh"] if not terminal else []
        return ["nsenter", "--target", str(self.init), *into, *there, *quiet, *argv]

    @property
    def environment(self) -> dict[str, str]:
        """Of the programs that are run there."""
        return {
            **os.environ,
            paths.RUN_VARIABLE: f"{_RUN}/run",
            paths.NETNS_DIR_VARIABLE: f"{_RUN}/netns",
        }

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Begin a program there."""
        return subprocess.Popen(
            self.entering(*argv),
            env=self.environment,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def run(self, *argv: str, timeout: float = 30.0) -> Done:
        """Run a program there to its end."""
        with self.start(*argv) as command:
            try:
                out, err = command.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                command.kill()
                raise
        return Done(argv, command.returncode, out, err)

    def netlab(self, *argv: str, code: int | None = 0, timeout: float = 60.0) -> Done:
        """Run a `netlab` command there; its exit code must be `code`, if one is given."""
        done = self.run(sys.executable, "-m", "netlab", *argv, timeout=timeout)
        assert code in (None, done.returncode), f"netlab {argv}\n{done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr, done.stderr
        return done

    def write(self, inside: str, text: str) -> str:
        """Put a file there."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return inside

    def client(self, lab: str) -> Client:
        """The API of a lab there."""
        return Client(self.path(str(paths.api_socket(Path(_RUN, "run", lab)))), timeout=30)

    def exec(self, lab: str, pod: str, *argv: str) -> str:
        """Run a command in the container `c` of a pod of a lab there; all that is said of it."""
        server = self.path(str(paths.api_socket(Path(_RUN, "run", lab))))
        with tempfile.TemporaryFile() as said, Path(os.devnull).open("rb") as nothing:
            terminals = Terminals(nothing.fileno(), said.fileno(), said.fileno())
            failed = ""
            try:
                exec_(server, Join("default", pod, "c", terminals=terminals), argv)
            except (NetlabError, OSError) as error:
                failed = str(error)
            said.seek(0)
            return said.read().decode(errors="replace") + failed

    def lab_dir(self, lab: str) -> str:
        """Where a lab there has its files."""
        return f"{_RUN}/run/{lab}"


@contextlib.contextmanager
def disposable(directory: Path) -> Iterator[Disposable]:
    """A machine of its own in an empty directory, with what `furniture` puts in it."""
    needs.root()
    argv = ["unshare", "--fork", "--kill-child", *(f"--{name}" for name in _NAMESPACES)]
    argv += ["sh", str(_HERE / "disposable.sh"), str(directory), *_elsewhere()]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as born:
        try:
            assert born.stdout is not None
            assert born.stdout.readline() == "ready\n", "the disposable machine did not come up"
            children = Path(f"/proc/{born.pid}/task/{born.pid}/children").read_text()
            machine = Disposable(int(children), secrets.token_hex(16))
            with _furnished(machine):
                try:
                    yield machine
                finally:
                    # Not all that a lab has is in namespaces: control groups are everybody's.
                    machine.netlab("down", "--all")
        finally:
            born.send_signal(signal.SIGKILL)
    _wait_until_gone(int(children))


def _elsewhere() -> list[str]:
    """What has to be there and does not lie on the file system of `/`."""
    wanted = {str(ROOT), sys.prefix, sys.base_prefix, "/usr"}
    return [path for path in sorted(wanted) if Path(path).stat().st_dev != Path("/").stat().st_dev]


@contextlib.contextmanager
def _furnished(machine: Disposable) -> Iterator[None]:
    argv = machine.entering(sys.executable, str(_HERE / "furniture.py"))
    env = {**machine.environment, "TOKEN": machine.token}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as furniture:
        try:
            assert furniture.stdout is not None
            machine.facts.update(json.loads(furniture.stdout.readline()))
            yield
        finally:
            furniture.kill()


def _wait_until_gone(pid: int) -> None:
    for _ in range(500):
        if not Path(f"/proc/{pid}").exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"the disposable machine's first process {pid} does not end")
