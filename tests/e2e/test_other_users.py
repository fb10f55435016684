"""What the machine's other users can do to a lab: nothing; and what its own user can do unasked."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from e2e import manifests
from e2e.labs import Machine, machine

from netlab.cli import main as command
from netlab.kernel import paths

pytestmark = pytest.mark.root

ROOT, NOBODY, HERS = 0, 65534, 54321
SECRET = "correct-horse-battery-staple"
LOGGED = "logged-by-the-container"

LAB = f"""
{{apiVersion: netlab/v1, kind: Lab, metadata: {{name: t}}, spec: {{nodes: 1}}}}
---
{{apiVersion: v1, kind: Secret, metadata: {{name: s}}, stringData: {{word: {SECRET}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: keeper}}
spec:
  volumes: [{{name: s, secret: {{secretName: s}}}}]
  securityContext: {{runAsUser: 1000}}
  containers:
  - name: c
    image: busybox
    command: [sh, -c, "cat /s/word > /dev/null && echo {LOGGED}; sleep 3600"]
    volumeMounts: [{{name: s, mountPath: /s}}]
    env:
    - {{name: WORD, valueFrom: {{secretKeyRef: {{name: s, key: word}}}}}}
"""


umasks = pytest.mark.parametrize("lab", [0o022, 0o000, 0o077], ids=oct, indirect=True)


@pytest.fixture
def lab(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """A lab that her sudo brought up, where everybody may look; under different umasks."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)  # pytest's own directories are closed to others, which would prove nothing
    monkeypatch.setenv("SUDO_UID", str(HERS))
    monkeypatch.setenv("SUDO_GID", str(HERS))
    monkeypatch.setenv(paths.RUN_VARIABLE, str(base / "run"))
    monkeypatch.setenv(paths.NETNS_DIR_VARIABLE, str(base / "netns"))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, base)
        stack.callback(os.umask, os.umask(getattr(request, "param", 0o022)))
        here = stack.enter_context(machine(base))
        here.netlab("up", here.lab_file(LAB))
        here.netlab("wait", "pod/keeper", "--for=condition=Ready")
        here.netlab("kubeconfig")
        yield here


def as_user(uid: int, does: Callable[[], Any]) -> Any:
    """What a function returns (as JSON) to a user of that id."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        with contextlib.suppress(BaseException):
            os.close(reader)
            _become(uid)
            with os.fdopen(writer, "w") as answer:
                json.dump(does(), answer)
            code = 0
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as answer:
        text = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(text)


def _become(uid: int) -> None:
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def everything(base: Path) -> list[Path]:
    """All there is in the base directories, as root sees it, mounted file systems of pods too."""
    found = [base / "run", base / "netns"]
    for top in list(found):
        for directory, below, files in os.walk(top):
            found += [Path(directory, name) for name in (*below, *files)]
    return found


def walk(places: list[Path]) -> dict[str, list[str]]:
    """What can be done to each place: `find` a secret in it, `lock`, `list`, `connect`, `write`."""
    tries = {"find": _finds, "lock": _locks, "list": os.listdir, "connect": _connects}
    done: dict[str, list[str]] = {what: [] for what in (*tries, "write")}
    for place in places:
        for what, attempt in tries.items():
            with contextlib.suppress(OSError):
                if attempt(place) is not False:
                    done[what].append(str(place))
        if os.access(place, os.W_OK):
            done["write"].append(str(place))
    return done


def _finds(place: Path) -> bool:
    if not stat.S_ISREG(place.stat().st_mode):
        return False
    content = place.read_bytes()
    return any(word.encode() in content for word in (SECRET, LOGGED, "PRIVATE KEY", "client-key"))


def _locks(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(descriptor)


def _connects(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(str(place))


def told_by_proc() -> list[str]:
    """The processes whose command line or environment shows the secret."""
    told = []
    for file in (*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")):
        with contextlib.suppress(OSError):
            if SECRET.encode() in file.read_bytes():
                told.append(str(file))
    return told


@umasks
def test_others_find_open_and_lock_nothing(lab: Machine) -> None:
    run, places = lab.base / "run", everything(lab.base)
    directory = run / "t"
    roots, theirs = as_user(ROOT, lambda: walk(places)), as_user(NOBODY, lambda: walk(places))

    # root's walk shows what there is to be found
    found = " ".join(roots["find"])
    for part in ("pods/", "store.journal", "tls/client.key", "kubeconfig"):
        assert str(directory / part) in found
    assert any(LOGGED in Path(file).read_text(errors="replace") for file in roots["find"])
    assert str(directory / "api.sock") in roots["connect"]
    assert str(directory / "store.journal") in roots["lock"]
    assert as_user(ROOT, told_by_proc)

    assert theirs["find"] == theirs["connect"] == theirs["write"] == []
    public = (str(paths.dns(directory)), str(lab.base / "netns"))
    assert [one for one in theirs["list"] if not one.startswith(public)] == [str(run)]
    assert [one for one in theirs["lock"] if not one.startswith(public)] == [str(run)]
    assert as_user(NOBODY, told_by_proc) == []


def test_others_keep_nobody_waiting(lab: Machine) -> None:
    places = everything(lab.base)
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with contextlib.suppress(BaseException):
            _become(NOBODY)
            for place in places:
                with contextlib.suppress(OSError):
                    flock = fcntl.LOCK_EX | fcntl.LOCK_NB
                    fcntl.flock(os.open(place, os.O_RDONLY | os.O_NONBLOCK), flock)
            os.write(writer, b"x")
            signal.pause()
        os._exit(0)
    os.close(writer)
    try:
        assert os.read(reader, 1)
        said = lab.netlab("up", lab.base / "lab.yaml", timeout=20).stderr
        said += lab.netlab("down", timeout=20).stderr
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
    assert "waiting" not in said


def command_of(*words: str) -> Callable[[], tuple[int, str]]:
    """A netlab command run in this process: the repository may be closed to others."""

    def does() -> tuple[int, str]:
        with tempfile.TemporaryFile("w+") as out:
            for number in (1, 2):  # exec writes to descriptors
                os.dup2(out.fileno(), number)
            sys.stdout = sys.stderr = out
            code = command.main(words)
            out.flush()
            out.seek(0)
            return code, out.read()

    return does


def test_her_dry_run_of_a_changed_file_needs_no_second_sudo(lab: Machine) -> None:
    file = str(lab.lab_file(LAB.replace("nodes: 1", "nodes: 2").partition("---")[0], "less.yaml"))
    lab.netlab("node", "add", "more", "-o", "name")
    code, said = as_user(HERS, command_of("up", file, "--dry-run", "--prune"))
    assert code == 0, said
    assert "lab/t configured (nodes) (server dry run)\n" in said
    assert "pod/keeper pruned (server dry run)\n" in said
    assert as_user(NOBODY, command_of("up", file, "--dry-run"))[0] == 3


COMMANDS = [
    ("status",),
    ("get", "pods", "-o", "wide"),
    ("get", "secret", "s", "-o", "yaml"),
    ("describe", "pod", "keeper"),
    ("logs", "keeper"),
    ("exec", "keeper", "--", "cat", "/s/word"),
    ("kubeconfig",),
    ("__complete", "check", "--only", ""),
]


@pytest.fixture
def imported(lab: Machine, capfd: pytest.CaptureFixture[str]) -> Machine:
    """The lab, once every command has been run: from now on its modules are in memory."""
    for words in COMMANDS:
        command.main(words)
    capfd.readouterr()
    return lab


@umasks
def test_her_own_lab_needs_no_second_sudo(
    imported: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words in COMMANDS:
        code, said = as_user(HERS, command_of(*words))
        assert code == 0, (words, said)
    assert SECRET in as_user(HERS, command_of("exec", "keeper", "--", "cat", "/s/word"))[1]
    assert "running" in as_user(HERS, command_of("status"))[1]
    for variable in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.delenv(variable)
    imported.netlab("up", imported.base / "lab.yaml")  # by root: it is hers all the same
    assert as_user(HERS, command_of("status"))[0] == 0
    places = everything(imported.base)
    theirs = as_user(HERS, lambda: walk(places))
    assert theirs["find"] == [str(imported.base / "run/t/kubeconfig")]
    assert theirs["connect"] == [str(imported.base / "run/t/api.sock")]
    assert theirs["write"] == theirs["find"] + theirs["connect"]


def test_labs_side_by_side_are_each_its_users_own(
    imported: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SUDO_UID", "SUDO_GID"):
        monkeypatch.setenv(variable, str(HERS + 1))
    imported.netlab("up", imported.lab_file(manifests.lab("u", nodes=1), "u.yaml"))
    command.main(["doctor"])
    _, said = as_user(HERS, command_of("status"))
    assert [line.split() for line in said.splitlines()[1:3]] == [
        ["t", "running", "1"],
        ["u", "another", "user's", "?"],
    ]
    assert said.splitlines()[3:] == ["note: sudo netlab status shows other users' labs as well"]
    _, said = as_user(HERS, command_of("doctor"))
    assert "lab t: running" in said
    assert "lab u: another user's" in said
    assert "leads nowhere" not in said
    # Whatever the machine is, she may not try: that is all there is to say of it.
    assert "the kernel's features are not tried" in said
    assert not {"network namespaces", "overlays", "memory bound"} & {
        line[6:].partition(":")[0] for line in said.splitlines()
    }


def test_others_are_refused_with_a_hint(imported: Machine) -> None:
    for words in COMMANDS[:-1]:
        code, said = as_user(NOBODY, command_of(*words))
        assert code in ((0,) if words == ("status",) else (1, 3)), (words, said)
        assert "sudo" in said, (words, said)
        assert SECRET not in said
    assert as_user(NOBODY, command_of("__complete", "get", "pods", "")) == [0, ""]


def test_a_lab_without_controller_is_seen_by_its_user(imported: Machine) -> None:
    controller = int((imported.base / "run/t/controller.pid").read_text())
    os.kill(controller, signal.SIGKILL)
    imported.netlab("wait", "pod/keeper", "--for=condition=Ready", code=1)
    code, said = as_user(HERS, command_of("status"))
    assert (code, "its controller does not run" in said) == (1, True), said


@pytest.mark.parametrize("without", [(), ("setpriv", "--bounding-set=-sys_resource")])
def test_limits_that_the_caller_has(tmp_path: Path, without: tuple[str, ...]) -> None:
    """sudo starts what it starts with no core; who may not raise that gives pods no more."""
    raised = not without and _may_raise_limits()
    core, files = ("1", "4096") if raised else ("0", "3000")
    limited = ("prlimit", "--core=0:0", "--nofile=1024:3000", *without)
    with machine(tmp_path, (*limited, sys.executable, "-m", "netlab")) as here:
        here.netlab("up", here.lab_file(LAB))
        limits = here.netlab("exec", "keeper", "--", "cat", "/proc/self/limits").stdout
        rows = {row[:25].strip(): row[25:].split()[:2] for row in limits.splitlines()}
        assert rows["Max core file size"] == [core, core]
        assert rows["Max open files"] == [files, files]
        here.netlab("down")


def _may_raise_limits() -> bool:
    """Whether root has CAP_SYS_RESOURCE here, as it has on most machines."""
    found = re.search(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())
    return found is not None and bool(int(found[1], 16) >> 24 & 1)
