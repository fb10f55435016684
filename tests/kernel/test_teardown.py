"""Nothing of a lab is left, whatever state it was in; and processes are found by their mark."""

from __future__ import annotations

import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import snapshot

from netlab.errors import CommandFailed, EnvironmentLacks, TeardownFailed
from netlab.kernel import lock, netns, paths, preflight, process, teardown
from netlab.kernel.run import environment, run
from netlab.network import apply, plan

pytestmark = pytest.mark.root

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(100)"
HANDLER = "signal.signal(signal.SIGTERM, lambda *_: None)"


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def zombies() -> list[int]:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if not alive(int(pid))]


def settled(pid: int, program: str) -> None:
    """Wait until a process has become the program that it was started as, by way of others."""
    deadline = time.monotonic() + 3
    while not Path(f"/proc/{pid}/cmdline").read_text().partition("\0")[0].endswith(program):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_full_lab_with_processes_leaves_nothing(running, tmp_path):
    pods = [running.pod("worker001", f"p{n}", n + 2) for n in range(5)]
    running.attach(*pods)
    owner = netns.owner(running.directory)
    assert owner
    log = paths.processes(running.directory) / "sleep.log"
    children = [
        process.spawn(["sleep", "100"], owner=owner, netns=running.path("worker001"), log=log),
        process.spawn(["sh", "-c", "sleep 100 & sleep 100"], owner=owner),
        process.spawn(["unshare", "-pf", "--mount-proc", "sleep", "100"], owner=owner),
    ]
    settled(children[1].pid, "sh")
    teardown.teardown(running.directory)
    assert process.owned(owner) == []
    assert [alive(child.pid) for child in children] == [False] * 3
    assert zombies() == []
    assert list(tmp_path.iterdir()) == []
    assert netns.mounts_beneath(tmp_path) == []


def test_teardown_of_nothing_is_fine(tmp_path):
    teardown.teardown(paths.lab_dir("never-was"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "state",
    ["empty directory", "no owner", "file for a namespace", "mounted twice", "unmounted, nested"],
)
def test_half_made_labs(state, tmp_path):
    directory = paths.lab_dir("t")
    mount = netns.LabMount(directory)
    mount.ensure()
    if state == "empty directory":
        run(["umount", "--recursive", str(directory)])
    elif state == "no owner":
        paths.owner(directory).unlink()
        os.close(netns.create(paths.namespace(directory, "t.x")))
    elif state == "file for a namespace":
        paths.namespace(directory, "t.half").touch()
        netns.link_name("t.half", paths.namespace(directory, "t.half"))
    elif state == "mounted twice":
        run(["mount", "-t", "tmpfs", "none", str(directory)])
    else:
        run(["umount", "--recursive", str(directory)])
        paths.namespaces(directory).mkdir()
        os.close(netns.create(paths.namespace(directory, "t.x")))
        (directory / "pods").mkdir()
        run(["mount", "-t", "tmpfs", "none", str(directory / "pods")])
    teardown.teardown(directory)
    assert list(tmp_path.iterdir()) == []
    assert netns.mounts_beneath(tmp_path) == []


def test_killed_builder_leaves_what_teardown_removes(tmp_path):
    script = """
import pathlib, sys
from netlab.kernel import lock, netns, paths
from netlab.network import apply, plan
from netlab.objects.lab import lab_from_object
lab = lab_from_object({"metadata": {"name": "t"}, "spec": {"nodes": 3}})
directory = paths.lab_dir("t")
netns.LabMount(directory).ensure()
print(flush=True)
apply.ensure_cluster(plan.cluster(lab), directory)
pods = [plan.pod_link(lab, lab.nodes[1], "default", f"p{n}", f"u{n}", [f"10.244.1.{n}"])
        for n in range(2, 200)]
apply.attach_pods(pods, directory)
"""
    for delay in (0.003, 0.015, 0.08):
        child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(delay)
        child.kill()
        child.communicate()
        teardown.teardown(paths.lab_dir("t"))
        assert list(tmp_path.iterdir()) == []
        assert netns.mounts_beneath(tmp_path) == []


def test_goes_on_past_errors_and_reports_them(lab_dir, monkeypatch, tmp_path):
    def refuse(*_):
        raise OSError(5, "on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(teardown, "end_processes", refuse)
        with pytest.raises(TeardownFailed, match="on purpose") as caught:
            teardown.teardown(lab_dir)
    assert len(caught.value.errors) == 1
    assert not lab_dir.exists()


def test_other_labs_and_strangers_names_stay(labs):
    with labs.standing(labs.make("other", nodes=1)) as other:
        (paths.netns_dir() / "t.stranger").touch()
        with labs.standing(labs.make("t", nodes=1)):
            pass
        assert apply.ensure_cluster(other.network, other.directory) == ()
        assert (paths.netns_dir() / "t.stranger").exists()
        (paths.netns_dir() / "t.stranger").unlink()


def test_hundred_pods_are_not_taken_down_one_by_one(running):
    """Which takes the kernel 20 ms each; all at once, 60 ms when nothing else runs."""
    pods = [running.pod("worker001", f"p{n}", n + 2) for n in range(100)]
    running.attach(*pods)
    started = time.monotonic()
    teardown.teardown(running.directory)
    assert time.monotonic() - started < 10


def test_only_marked_processes_are_owned(lab_dir):
    owner, other = "11111111-owner", "11111111-owner-longer"
    mine = process.spawn(["sleep", "100"], owner=owner)
    theirs = process.spawn(["sleep", "100"], owner=other)
    bystander = subprocess.Popen(["sleep", "100"], env={"X_NETLAB_OWNER": owner})
    assert process.owned(owner) == [mine.pid]
    process.end_owned(owner)
    assert theirs.poll() is None
    assert bystander.poll() is None
    theirs.end()
    bystander.kill()
    bystander.wait()
    assert process.owned(other) == []


def test_children_inherit_the_mark(lab_dir):
    owner = "22222222"
    process.spawn(["sh", "-c", "setsid sleep 100 & exec sleep 101"], owner=owner)
    deadline = time.monotonic() + 3
    while len(process.owned(owner)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(process.owned(owner)) == 2
    process.end_owned(owner)
    assert process.owned(owner) == []


def test_a_mark_shows_from_the_first_moment():
    """exec shows the environment last of all: a teardown just then must not miss the process."""
    environment = {process.OWNER_VARIABLE: "55555555"}
    for _ in range(50):
        with subprocess.Popen(["/bin/sleep", "100"], env=environment) as child:
            seen = process.mark_of(child.pid)
            child.kill()
        assert seen == "55555555"


def test_what_ignores_term_is_killed_at_once(lab_dir):
    child = process.spawn([sys.executable, "-c", STUBBORN], owner="33333333")
    deadline = time.monotonic() + 3
    while not process.ignores_term(child.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    started = time.monotonic()
    child.end(grace=60)
    assert time.monotonic() - started < 30
    assert child.poll() == -signal.SIGKILL


NAMED_BY_ANY_BYTES = (
    "import ctypes, signal; ctypes.CDLL(None).prctl(15, b'\\xff) S\\x0b\\xfe\\n'); "
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()"
)


def test_what_has_no_readable_name_is_ended_as_all_others(lab_dir):
    """A process in a pod calls itself what it likes, in any bytes."""
    mark = netns.owner(lab_dir)
    assert mark is not None
    started = process.spawn([sys.executable, "-c", NAMED_BY_ANY_BYTES], owner=mark)
    name = Path(f"/proc/{started.pid}/comm")
    deadline = time.monotonic() + 30
    while not name.read_bytes().startswith(b"\xff") and time.monotonic() < deadline:
        time.sleep(0.01)
    while not process.ignores_term(started.pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    teardown.teardown(lab_dir, grace=60)
    assert not alive(started.pid)
    assert not lab_dir.exists()


UNDER_ODD_MOUNTS = r"""
import os
from netlab.kernel import cgroups, netns, paths, syscalls, teardown
from pathlib import Path
for name in (b"a\fb\fc", b"\xff", "\u2028 \x85".encode(), "\u00fc".encode()):
    point = Path(os.fsdecode(os.fsencode(os.environ["ODD"]) + b"/" + name))
    point.mkdir()
    syscalls.mount("x", point, "tmpfs")
    netns.LabMount(paths.lab_dir("odd")).ensure()
    assert len(netns.mounts_beneath(paths.lab_dir("odd"))) == 3
    cgroups.detect()
    teardown.teardown(paths.lab_dir("odd"))
    assert point in netns.mounts_beneath(point.parent)
"""


def test_mount_points_of_any_bytes_are_in_nobodys_way(tmp_path):
    """Who may mount, as everybody may with FUSE, gives them their names."""
    odd = tmp_path / "odd"
    odd.mkdir()
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, "-c"]
    environment = os.environ | {"ODD": str(odd)}
    done = subprocess.run(
        [*command, UNDER_ODD_MOUNTS], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_what_handles_term_without_ending_is_killed_after_its_grace(lab_dir):
    code = f"import signal, time; {HANDLER}; time.sleep(100)"
    child = process.spawn([sys.executable, "-c", code], owner="44444444")
    mask = 1 << (signal.SIGTERM - 1)
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        status = Path(f"/proc/{child.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt"))
        if int(caught.split()[1], 16) & mask:
            break
        time.sleep(0.01)
    started = time.monotonic()
    process.end([child.pid], grace=0.2)
    assert time.monotonic() - started > 0.15
    assert child.wait(1) == -signal.SIGKILL


def test_no_zombies_even_of_forgotten_children(lab_dir):
    for _ in range(5):
        process.spawn(["true"], owner="55555555")
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        process.reap()
        if not process._children:
            break
        time.sleep(0.01)
    assert zombies() == []


def test_log_environment_and_directory_of_a_process(lab_dir):
    log = lab_dir / "out.log"
    log.write_text("before\n")
    child = process.spawn(
        ["sh", "-c", 'echo "$NETLAB_OWNER $A $(pwd) $HOME"; echo problem >&2'],
        owner="66666666",
        log=log,
        cwd=lab_dir,
        env={"A": "1", "PATH": os.environ["PATH"]},
    )
    assert child.wait(5) == 0
    assert log.read_text() == f"before\n66666666 1 {lab_dir} \nproblem\n"


def test_running_a_program_to_its_end(lab_dir):
    assert run(["cat"], input="x").stdout == "x"
    assert run(["false"], check=False).returncode == 1
    with pytest.raises(CommandFailed, match="exited 3: words") as caught:
        run(["sh", "-c", "echo words >&2; exit 3"])
    assert caught.value.returncode == 3
    with pytest.raises(CommandFailed, match=r"still running after 0\.05 s"):
        run(["sleep", "10"], timeout=0.05)
    with pytest.raises(EnvironmentLacks, match="no-such-program is missing"):
        run(["no-such-program"])


def test_doctor_finds_leftovers(lab_dir, labs):
    network = plan.cluster(labs.make(nodes=1))
    apply.ensure_cluster(network, lab_dir)
    netns.remove(paths.namespace(lab_dir, "t.client"))
    by_name = {finding.name: finding for finding in preflight.checks()}
    assert not by_name["lab t"].ok
    assert "netlab down" in by_name["lab t"].fix
    link = paths.netns_link("t.client")
    assert by_name[str(link)].fix == f"rm {link}"
    assert by_name["veth links"].ok
    assert by_name["bridge netfilter"].ok
    assert not [finding for finding in by_name.values() if finding.required and not finding.ok]


def test_running_controller_is_no_leftover(lab_dir):
    def found() -> preflight.Finding:
        return next(entry for entry in preflight.checks() if entry.name == f"lab {lab_dir.name}")

    with lock.held(paths.controller_pid(lab_dir)) as is_ours:
        assert is_ours
        assert found().ok
        with lock.held(paths.controller_pid(lab_dir)) as is_ours:
            assert not is_ours
    assert not found().ok


def test_snapshots_see_a_lab_and_its_going(labs, tmp_path):
    before = snapshot.take()
    with labs.standing(labs.make(nodes=1)) as lab:
        seen = before.difference(snapshot.take())
        assert f"labs: + {lab.lab.name}" in seen
        assert any(line.startswith(f"mounts: + {lab.directory}") for line in seen)
        assert any(line.startswith("netns names: + t.client") for line in seen)
    after = [line for line in before.difference(snapshot.take()) if str(tmp_path) in line]
    assert after == []


def test_snapshot_sees_changes_of_the_network(lab_dir):
    """In a namespace that plays the machine's own."""
    descriptor = netns.create(paths.namespace(lab_dir, "t.host"))
    with netns.entered(descriptor):
        before = snapshot.take()
        run(["ip", "link", "add", "x0", "type", "bridge"])
        run(["ip", "addr", "add", "192.0.2.9/24", "dev", "lo"])
        run(["sysctl", "-qw", "net.ipv4.ip_default_ttl=33"])
        run(["nft", "add table ip x"])
        run(["iptables-legacy", "-t", "nat", "-A", "POSTROUTING", "-j", "RETURN"])
        run(["ip", "rule", "add", "pref", "100", "lookup", "7"])
        seen = before.difference(snapshot.take())
    os.close(descriptor)
    for start in (
        "links: + x0",
        "addresses: ~ lo",
        "sysctls: ~ net.ipv4.ip_default_ttl: 64 → 33",
        "firewall rules: + nft 0: table ip x",
        "firewall rules: + iptables nat",
        "routing rules: + -4",
    ):
        assert any(line.startswith(start) for line in seen), start


def test_taking_a_snapshot_creates_no_legacy_tables(lab_dir):
    descriptor = netns.create(paths.namespace(lab_dir, "t.host"))
    with netns.entered(descriptor):
        changes = snapshot.take().difference(snapshot.take())
        # Other labs of this machine go on meanwhile: what they have is not ours.
        theirs = ("processes:", "mounts:", "control groups:")
        assert [line for line in changes if not line.startswith(theirs)] == []
        assert Path("/proc/thread-self/net/ip_tables_names").read_text() == ""
    os.close(descriptor)


@pytest.mark.parametrize("mask", [0o000, 0o077], ids=oct)
def test_a_lab_is_as_open_as_it_must_be(tmp_path, mask):
    before = os.umask(mask)
    try:
        mount = netns.LabMount(tmp_path / "run" / "m")
        mount.ensure()
        modes = {
            str(path.relative_to(tmp_path)): stat.S_IMODE(path.stat().st_mode)
            for path in [tmp_path / "netns", tmp_path / "run", *(tmp_path / "run").rglob("*")]
        }
    finally:
        os.umask(before)
        mount.teardown()
    private = {
        f"run/m/{name}": 0o700
        for name in ("netns", "addresses", "locks", "processes", "pods", "disks", "tls")
    }
    notes = {"run/.made": 0o600, "run/.lock": 0o600, "run/m/owner": 0o600}
    public = {"run": 0o755, "netns": 0o755, "run/m": 0o711, "run/m/dns": 0o755}
    assert modes == private | notes | public
    assert not (tmp_path / "run").exists()


def test_an_open_lab_of_old_is_closed(lab_dir):
    for path in (lab_dir.parent, lab_dir, lab_dir / "pods", lab_dir / "locks"):
        path.chmod(0o777)
    uid = netns.owner(lab_dir)
    assert netns.LabMount(lab_dir).ensure() == uid
    found = [lab_dir.parent, lab_dir, lab_dir / "pods", lab_dir / "locks"]
    assert [stat.S_IMODE(path.stat().st_mode) for path in found] == [0o755, 0o711, 0o700, 0o700]


def test_labs_come_and_go_side_by_side(tmp_path):
    """Each of them may be the last, which takes the base directories along."""

    def come_and_go(name):
        for _ in range(15):
            mount = netns.LabMount(tmp_path / "run" / name)
            mount.ensure()
            assert (mount.directory / "pods").is_dir()
            mount.teardown()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(come_and_go, "abcd")) == [None] * 4
    assert list(tmp_path.iterdir()) == []


def test_a_base_directory_of_somebody_elses_stays(tmp_path):
    (tmp_path / "run").mkdir()
    mount = netns.LabMount(tmp_path / "run" / "m")
    mount.ensure()
    mount.teardown()
    assert list(tmp_path.iterdir()) == [tmp_path / "run"]
    assert list((tmp_path / "run").iterdir()) == []
    (tmp_path / "run").rmdir()


def test_without_a_lab_iptables_takes_a_lock_that_only_we_can_hold(lab_dir):
    descriptor = netns.create(paths.namespace(lab_dir, "t.host"))
    listed = ["iptables-legacy", "-t", "nat", "-S"]
    assert "PREROUTING" in run(listed, netns=descriptor).stdout
    file = Path(environment("iptables", None)["XTABLES_LOCKFILE"])
    assert not file.stat().st_mode & 0o077
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        refused = run([*listed, "-w", "1"], netns=descriptor, check=False)
    os.close(descriptor)
    assert "xtables lock" in refused.stderr


def test_a_mark_that_somebody_gave_himself_is_none(lab_dir):
    owner = netns.owner(lab_dir)
    argv = ["setpriv", "--reuid", "65533", "--regid", "65533", "--clear-groups", "sleep", "60"]
    environment = {**os.environ, process.OWNER_VARIABLE: owner}
    own = process.spawn(["sleep", "60"], owner=owner)
    with subprocess.Popen(argv, env=environment) as forger:
        settled(forger.pid, "sleep")
        assert process.owned(owner) == [own.pid]
        teardown.teardown(lab_dir)
        assert forger.poll() is None
        forger.kill()
