"""What end-to-end tests share: labs in directories of their own, driven by the command alone.

with machine(tmp_path) as here:          proves afterwards that nothing is left
    here.netlab("up", "lab.yaml")
    here.run_in("quickstart.client", "curl", "-s", "http://172.16.110.10:30080")
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import needs
import pytest
import snapshot
from dnslib import DNSRecord

from netlab.kernel import netns, paths, process, userns

ROOT = Path(__file__).parents[2]
TOPOLOGIES = ROOT / "topologies"
KUBE_DNS = "10.96.0.10"
KUBECTLS = Path(sys.prefix) / "kubectls"
"""Where scripts/kubectls has gathered them."""

DAEMONS = 64
"""More users than a lab has for its own daemons, which come after its pods'."""

Done = subprocess.CompletedProcess[str]


@dataclass
class Machine:
    """The machine as one user of `netlab` sees it, whose labs lie below `base`."""

    base: Path
    command: Sequence[str | Path] = (sys.executable, "-m", "netlab")
    owners: set[str] = field(default_factory=set)

    @property
    def environment(self) -> dict[str, str]:
        """Where this user's labs are, for the commands that are started."""
        return {
            **os.environ,
            "PATH": f"{KUBECTLS / 'bin'}:{os.environ['PATH']}",
            paths.RUN_VARIABLE: str(self.base / "run"),
            paths.NETNS_DIR_VARIABLE: str(self.base / "netns"),
        }

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Begin a `netlab` command."""
        return subprocess.Popen(
            [*self.command, *argv],
            env=self.environment,
            cwd=ROOT,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def netlab(self, *argv: str | Path, code: int = 0, timeout: float = 60.0) -> Done:
        """Run one `netlab` command to its end; its exit code must be `code`."""
        with self.start(*map(str, argv)) as command:
            try:
                out, err = command.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                command.kill()
                raise
        self.note_owners()
        assert command.returncode == code, f"netlab {' '.join(map(str, argv))}\n{out}{err}"
        assert "Traceback" not in out + err, out + err
        return Done(command.args, command.returncode, out, err)

    def status(self, *argv: str) -> str:
        """What `netlab status` prints once nothing in the lab is on its way (till then it is 1)."""
        said: list[str] = []
        eventually(lambda: said.append(self.netlab("status", *argv).stdout) or True, 20.0)
        return said[-1]

    def lab_file(self, text: str, name: str = "lab.yaml") -> Path:
        """A file with that text."""
        path = self.base / name
        path.write_text(text)
        return path

    def namespace(self, name: str) -> Path:
        """The mount of a namespace by its full name, `quickstart.client`."""
        return self.base / "run" / name.split(".")[0] / "netns" / name

    def run_in(self, place: str, *argv: str, check: bool = True, timeout: float = 10.0) -> Done:
        """Run a program in a namespace."""
        with netns.entered(self.namespace(place)):
            return subprocess.run(
                argv, check=check, timeout=timeout, capture_output=True, text=True
            )

    def curl(self, place: str, target: str, *flags: str) -> str:
        """The body that a GET of `http://target` answers, sent from a namespace."""
        argv = ["curl", "-sS", "--max-time", "3", *flags, f"http://{target}"]
        return self.run_in(place, *argv).stdout

    def resolve(self, place: str, name: str, kind: str = "A", server: str = KUBE_DNS) -> set[str]:
        """What the cluster's DNS answers to one question from a namespace."""
        return {str(r.rdata) for r in self.ask(place, name, kind, server).rr}

    def ask(self, place: str, name: str, kind: str = "A", server: str = KUBE_DNS) -> DNSRecord:
        """The whole answer to one question."""
        with netns.entered(self.namespace(place)):
            asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with asking:
            asking.settimeout(2)
            asking.connect((server, 53))
            asking.send(DNSRecord.question(name, kind).pack())
            return DNSRecord.parse(asking.recv(4096))

    def connect(self, place: str, address: str, port: int, timeout: float = 1.0) -> None:
        """Open and close a TCP connection from a namespace; raises as `socket.connect` does."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(self.namespace(place)):
            client = socket.socket(family)
        with client:
            client.settimeout(timeout)
            client.connect((address, port))

    def note_owners(self) -> None:
        """Remember the marks of the labs there are, to look for their processes later."""
        for directory in (self.base / "run").glob("*"):
            owner = netns.owner(directory)
            if owner:
                self.owners.add(owner)

    def processes(self) -> list[int]:
        """The processes that carry the mark of any lab there was, or run as a user of its pods."""
        marked = [pid for owner in self.owners for pid in process.owned(owner)]
        return marked + [pid for owner in self.owners for pid in in_pods(owner, DAEMONS)]

    def mark(self) -> Callable[[], list[str]]:
        """Look at the machine now; the result looks again and tells what is different."""
        before = self._snapshot()

        def changes() -> list[str]:
            marked = [f"processes: + {pid}" for pid in self.processes()]
            return before.difference(self._snapshot()) + marked

        return changes

    def _snapshot(self) -> snapshot.Snapshot:
        """Of what other tests and other people's labs change meanwhile, only what is ours."""
        with _environment(self.environment):
            sections = dict(snapshot.take(but=["processes"]).sections)
        mounts, groups = sections["mounts"].items(), sections["control groups"].items()
        sections["mounts"] = {k: v for k, v in mounts if k.startswith(str(self.base))}
        sections["control groups"] = {k: v for k, v in groups if v in self.owners}
        return snapshot.Snapshot(sections)


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in (paths.RUN_VARIABLE, paths.NETNS_DIR_VARIABLE):
            patch.setenv(name, variables[name])
        yield


@contextlib.contextmanager
def machine(base: Path, command: Sequence[str | Path] = Machine.command) -> Iterator[Machine]:
    """A user of the machine who leaves it as it was; takes down what a failed test left."""
    needs.root()
    here = Machine(base, command)
    changes = here.mark()
    try:
        yield here
    finally:
        here.netlab("down", "--all")
    left = changes()
    assert not left, left


def by_chance(seconds: float) -> float:
    """How long a test may try what goes by chance: all that time where NETLAB_FUZZ is set, as by
    `scripts/test --all`, else a third."""
    return seconds if "NETLAB_FUZZ" in os.environ else seconds / 3


def eventually(holds: Callable[[], object], seconds: float = 5.0) -> None:
    """Wait until `holds` returns something true; its last exception or value is in the error."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            found = holds()
            if found:
                return
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            found = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s; last: {found!r}")
        time.sleep(0.02)


def answering(listening: Path) -> int:
    """The lab's process behind a control socket of its."""
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(listening))
        asking.sendall(b'{"id": 1, "op": "pid"}\n')
        return int(json.loads(asking.makefile().readline())["result"])


def greeting(page: str) -> str:
    """The pod's name in the page of the textbooks' hostname web server."""
    return page.split("Hello,")[1].split("<")[0].strip()


def in_pods(owner: str, others: int = 0) -> list[int]:
    """The processes of those users of the machine that a lab's pods have for their own, and of so
    many others, who come after them.

    One lab in a thousand has the same users (`kernel/userns.py`): what descends from a process
    with the mark of another lab is that lab's. Another lab may end while we look, so marks are
    read before as well, and what is gone in the end was not left by anybody.
    """
    ids = userns.id_range(owner)
    if ids is None:
        return []
    before = process.marks()
    found = {pid: {pid, *_ancestors(pid)} for pid in process.ids() if _runs_as(pid, ids, others)}
    if not found:
        return []
    marks = [*before.items(), *process.marks().items()]
    strangers = {pid for pid, mark in marks if mark != owner}
    return [pid for pid in found if not strangers & found[pid] and _runs_as(pid, ids, others)]


def _runs_as(pid: int, ids: userns.IdRange, others: int) -> bool:
    place = Path(f"/proc/{pid}")
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        # One that has ended and is yet to be collected has no command line any more.
        if 0 <= place.stat().st_uid - ids.first < ids.size + others:
            return bool((place / "cmdline").read_bytes())
    return False


def _ancestors(pid: int) -> Iterator[int]:
    """Its parent, that one's parent, and so on; of one that has ended, nobody."""
    while pid > 1:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return
        yield (pid := int(fields[1]))
