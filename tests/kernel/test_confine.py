"""What is confined has no rights and sees nothing, looked at from outside and from inside."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from netlab.kernel import confine, netns, process, userns

pytestmark = pytest.mark.root

USER = userns.IdRange(0x7000_0000).daemon(9)

# What somebody tries who has taken over a server. Each line is to raise OSError.
TAKEN_OVER = """
import ctypes, json, os, signal, socket, sys
from netlab.kernel import userns
from netlab.workload.confined import give_up_rights

owner, lab, parent, port, namespace, abstract, asks = json.loads(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)

def call(name, *arguments):
    if getattr(libc, name)(*arguments) != 0:
        raise OSError(ctypes.get_errno(), name)

def connect(family, address):
    with socket.socket(family) as client:
        client.connect(address)

tried = {
    "read a secret": lambda: open("/etc/shadow"),
    "list the lab": lambda: os.listdir(lab),
    "list processes": lambda: os.listdir("/proc"),
    "make a file": lambda: open("/new", "w"),
    "climb out": lambda: os.stat("../../../../proc/1"),
    "run a program": lambda: os.execv("/bin/sh", ["sh"]),
    "fork": lambda: os.fork() or os._exit(0),
    "signal another process": lambda: os.kill(parent, signal.SIGTERM),
    "look whether it is there": lambda: os.kill(parent, 0),
    "trace it": lambda: call("ptrace", 16, parent, 0, 0),
    "reach the machine": lambda: connect(socket.AF_INET, ("127.0.0.1", port)),
    "reach its unix sockets": lambda: connect(socket.AF_UNIX, abstract),
    "ask the kernel's ciphers": lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET),
    "reach the machine's host": lambda: socket.socket(40, socket.SOCK_STREAM),
    "send raw packets": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "enter a namespace": lambda: call("setns", namespace, 0),
    "make a user namespace": lambda: call("unshare", 0x10000000),
    "mount something": lambda: call("mount", b"tmpfs", b"/", b"tmpfs", 0, None),
    "be root again": lambda: os.setuid(0),
    "join a group": lambda: os.setgroups([0]),
    "change the root": lambda: os.chroot("/"),
}

def outcome(what):
    try:
        what()
    except OSError:
        return "refused"
    return "done"

give_up_rights(userns.daemon_id(owner, userns.RESPONDER), asks=asks)
seen = os.listdir("/")
print(json.dumps({**{name: outcome(what) for name, what in tried.items()}, "seen": seen}))
"""


def status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def has_no_rights(pid: int, user: int) -> None:
    found = status(pid)
    for name in ("Uid", "Gid"):
        assert found[name].split() == [str(user)] * 4
    assert found["Groups"] == ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(found[name], 16) == 0, name
    assert found["NoNewPrivs"] == "1"


def is_elsewhere(pid: int, *kinds: str) -> None:
    for kind in kinds:
        assert Path(f"/proc/{pid}/ns/{kind}").readlink() != Path(f"/proc/self/ns/{kind}").readlink()


@pytest.fixture
def owner() -> Iterator[str]:
    made = str(uuid.uuid4())
    yield made
    process.end_owned(made)
    assert process.owned(made) == []


@pytest.mark.parametrize("asks", [False, True])
def test_somebody_who_has_taken_over_a_server_gets_nowhere(
    owner: str, tmp_path: Path, asks: bool
) -> None:
    """One that asks name servers has the network it was given, and no other way out."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        abstract = f"\0{owner}"
        local.bind(abstract)
        local.listen()
        home = netns.current()
        stack.callback(os.close, home)
        port = listener.getsockname()[1]
        knows = json.dumps([owner, str(tmp_path), os.getpid(), port, home, abstract, asks])
        done = subprocess.run(
            [sys.executable, "-c", TAKEN_OVER, knows],
            pass_fds=[home],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    found = json.loads(done.stdout)
    assert found.pop("seen") == []
    reached = {what for what, outcome in found.items() if outcome != "refused"}
    assert reached == ({"reach the machine"} if asks else set())


def test_a_confined_program_sees_its_files_alone_and_has_no_rights(
    owner: str, tmp_path: Path
) -> None:
    (tmp_path / "given").mkdir(mode=0o755)
    (tmp_path / "given" / "file").write_text("here\n")
    secret = tmp_path / "secret"
    secret.touch()
    view = confine.view_of("/usr/bin/sleep", read=[tmp_path / "given"], empty=[Path("/srv/empty")])
    started = process.spawn(
        ["/usr/bin/sleep", "60"], owner=owner, confinement=confine.Confinement(USER, view)
    )
    has_no_rights(started.pid, USER)
    is_elsewhere(started.pid, "mnt", "ipc")
    root = Path(f"/proc/{started.pid}/root")
    given = root / (tmp_path / "given" / "file").relative_to("/")
    assert given.read_text() == "here\n"
    assert list((root / "srv/empty").iterdir()) == []
    assert not (root / secret.relative_to("/")).exists()
    assert {path.name for path in root.iterdir()} <= {
        "usr", "lib", "lib32", "lib64", "nix", "gnu", "etc", "dev", "srv", tmp_path.parts[1],
    }  # fmt: skip
    assert [path.name for path in (root / "etc").iterdir()] in ([], ["ld.so.cache"])
    for line in Path(f"/proc/{started.pid}/mountinfo").read_text().splitlines():
        assert "ro" in line.split(" ")[5].split(",")
    with pytest.raises(OSError, match="Read-only"):
        given.write_text("changed")
    # neither the thread that started it nor we are any different
    assert os.geteuid() == 0
    assert status(os.getpid())["NoNewPrivs"] == "0"
    assert secret.exists()
    assert process.owned(owner) == [started.pid]


def test_what_cannot_be_started_confined_is_an_error_and_leaves_nothing(owner: str) -> None:
    nothing = confine.Confinement(USER, confine.View())
    with pytest.raises(OSError, match="sleep"):
        process.spawn(["/usr/bin/sleep", "60"], owner=owner, confinement=nothing)
    assert process.owned(owner) == []


def test_a_confined_program_writes_where_it_may_and_is_ended_like_others(
    owner: str, tmp_path: Path
) -> None:
    place = tmp_path / "own"
    place.mkdir()
    os.chown(place, USER, USER)
    view = confine.view_of("/usr/bin/touch")
    view = confine.View(view.read, write=(place,))
    made = process.spawn(
        ["/usr/bin/touch", str(place / "new")],
        owner=owner,
        confinement=confine.Confinement(USER, view),
    )
    assert made.wait(10) == 0
    assert (place / "new").stat().st_uid == USER
    view = confine.view_of("/usr/bin/sleep")
    process.spawn(
        ["/usr/bin/sleep", "60"], owner=owner, confinement=confine.Confinement(USER, view)
    )
    process.end_owned(owner)
    with pytest.raises(ProcessLookupError):
        os.kill(made.pid, signal.SIGCONT)


COMPLAINS = """
import asyncio, logging, sys, time
from netlab.kernel import userns
from netlab.workload.confined import give_up_rights

async def complain():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0)
    try:
        b"\\xff".decode()
    except UnicodeError:
        logging.getLogger("asyncio").exception("so")
    "\\u00fc.example".encode("idna")
    time.strftime("%Z", time.localtime())

give_up_rights(userns.daemon_id(sys.argv[1], userns.RESPONDER))
print("confined", file=sys.stderr)
asyncio.run(complain())
print("finished", file=sys.stderr)
"""


def test_the_responder_says_what_went_wrong_without_any_file(owner: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMPLAINS, owner],
        env={**os.environ, "PYTHONVERBOSE": "2"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    said = done.stderr.partition("confined\n")[2].partition("finished\n")[0]
    assert "ZeroDivisionError" in said
    assert "UnicodeDecodeError" in said
    assert [line for line in said.splitlines() if "trying" in line] == []
