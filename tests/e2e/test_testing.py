"""`netlab.testing` as people use it: pytest runs of their own, against real labs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import needs
import pytest
import yaml
from e2e.labs import ROOT, eventually

from netlab.kernel import paths

pytestmark = pytest.mark.root

POINTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
PAGE = ROOT / "netlab" / "docs" / "testing.md"
SECONDS = 90.0
NOBODY = 65534

LAB = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: mine}\n"
SHOP = """
import time
from pathlib import Path
import pytest
from netlab.testing import Topology

SHOP = (
    Topology(nodes=3, name="shop")
    .deployment("web", replicas=2)
    .service("web", type="NodePort")
    .pod("box", nodeName="worker001")
)
pytestmark = pytest.mark.netlab(SHOP)
"""


@dataclass
class User:
    """Somebody whose tests are below `base`, with netlab installed."""

    base: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        places = [str(ROOT), str(self.base / "site"), os.environ.get("PYTHONPATH", "")]
        ours = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "NETLAB_LAB"))}
        return ours | {
            "PYTHONPATH": os.pathsep.join(filter(None, places)),
            paths.RUN_VARIABLE: str(self.base / "run"),
            paths.NETNS_DIR_VARIABLE: str(self.base / "netns"),
        }

    @property
    def labs(self) -> Path:
        """Where the plugin has the labs of tests."""
        return self.base / "run-tests"

    def install(self) -> None:
        """Make the entry points known, as a wheel does."""
        site = self.base / "site" / "netlab_k8s-0.dist-info"
        site.mkdir(parents=True)
        (site / "METADATA").write_text("Metadata-Version: 2.1\nName: netlab-k8s\nVersion: 0\n")
        lines = [f"{name} = {where}\n" for name, where in POINTS["pytest11"].items()]
        (site / "entry_points.txt").write_text(f"[pytest11]\n{''.join(lines)}")

    def file(self, name: str, text: str) -> Path:
        path = self.base / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def start(self, *argv: str, uid: int | None = None) -> subprocess.Popen[str]:
        """Begin a run of pytest in a session of its own."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-Werror", "-rA"]
        running = subprocess.Popen(
            [*command, f"--basetemp={self.base / 'kept'}", *argv],
            cwd=self.base / "tests",
            env=self.environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=uid,
            # nohup, under which all tests may run, has HUP ignored
            preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
        )
        self.started.append(running)
        return running

    def pytest(self, *argv: str, code: int = 0, uid: int | None = None) -> str:
        """Run it to its end, and tell what it printed."""
        running = self.start(*argv, uid=uid)
        out, _ = running.communicate(timeout=SECONDS)
        assert running.returncode == code, out
        return out

    def left(self) -> Mapping[str, object]:
        """What is there of any lab: of the kind of thing that is to be nothing."""
        mark = str(self.base).encode()
        mounts = Path("/proc/mounts").read_text().splitlines()
        return {
            "directories": [one for one in (self.labs, self.base / "run") if one.exists()],
            "mounts": [line for line in mounts if str(self.base) in line],
            "processes": [pid for pid in others() if mark in environment(pid)],
        }


def others() -> Iterator[int]:
    found = (int(each.name) for each in Path("/proc").iterdir() if each.name.isdigit())
    yield from (pid for pid in found if pid != os.getpid())


def environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


NOTHING: dict[str, list[object]] = {"directories": [], "mounts": [], "processes": []}


@pytest.fixture
def user() -> Iterator[User]:
    needs.root()
    # Not below a worker's directory of a test of a long name: sockets' names have 107 bytes.
    with tempfile.TemporaryDirectory() as place:
        here = User(Path(place))
        here.install()
        yield here
        for running in here.started:
            if running.poll() is None:
                running.kill()
                running.communicate()
        if here.labs.exists():  # what a test that failed has left
            here.file("test_last.py", f"{SHOP}def test_it(lab): pass\n")
            here.start("test_last.py").communicate(timeout=SECONDS)


def test_a_lab_is_shared_by_a_module_or_a_tests_own(user: User) -> None:
    user.file(
        "test_shop.py",
        f"""{SHOP}
known = []

def test_reaches(lab):
    known.append(lab)
    lab.pod("box").assert_reaches("svc/web:80", endpoints="all")
    lab.pod("box").assert_reaches("web:80")
    lab.pod("box").assert_spread("svc/web:80")
    assert lab.pod("box").connect("svc/web:80").ok
    assert lab.pod("box").run("cat", "/proc/net/dev").stdout.count("eth0") == 1

def test_shares(lab, fresh_lab, make_lab):
    others = [fresh_lab, make_lab(SHOP)]
    assert [lab] == known
    assert [lab.name, *(one.name for one in others)] == ["shop", "shop-2", "shop-3"]
    for one in others:
        one.pod("box").assert_reaches("svc/web:80")

def test_refused(lab):
    lab.pod("box").assert_refused("node/worker002:81")
    lab.pod("box").assert_unanswered("203.0.113.9:80")
    trace = lab.trace("box", "node/worker002:81")
    assert (trace.verdict, trace.outcome) == ("delivered", "refused")
    assert (trace.delivered_to, trace.path[:2]) == ("worker002", ("default/box", "worker001"))
    assert trace.agrees

def test_from_outside(lab):
    (port,) = lab.api.get("Service", "default", "web")["spec"]["ports"]
    web, node = f"node/worker002:{{port['nodePort']}}", "worker002"
    lab.client().assert_path(web, dnat=node, masquerade=node, source=f"node:{{node}}")
    lab.pod("box").assert_source_preserved("svc/web:80")
    with pytest.raises(AssertionError, match="saw the source 10"):
        lab.client().assert_source_preserved(web)
""",
    )
    out = user.pytest("test_shop.py")
    assert "4 passed" in out
    assert user.left() == NOTHING


def test_paths_are_told_node_by_node(user: User) -> None:
    user.file(
        "test_path.py",
        """
import pytest
from netlab.testing import Topology

NEAR_AND_FAR = (
    Topology(nodes=3).deployment("far", nodeName="worker002").service("far")
    .pod("box", nodeName="worker001")
)
pytestmark = pytest.mark.netlab(NEAR_AND_FAR)

def test_it(lab):
    box = lab.pod("box")
    box.assert_path("svc/far:80", through=["worker001", "worker002"], dnat="sender")
    with pytest.raises(AssertionError, match="it passed worker001, worker002: default/box eth0"):
        box.assert_path("svc/far:80", through=["worker001"])
    with pytest.raises(AssertionError, match="masquerade at nowhere, expected at worker001"):
        box.assert_path("svc/far:80", masquerade="worker001")
""",
    )
    assert "1 passed" in user.pytest("test_path.py")
    assert user.left() == NOTHING


def test_a_failure_is_the_trace(user: User, tmp_path: Path) -> None:
    user.file(
        "test_fails.py",
        f"""{SHOP}
def test_broken(lab):
    lab.netlab("patch", "svc", "web", "-p", '{{"spec":{{"selector":{{"app":"wbe"}}}}}}')
    lab.pod("box").assert_refused("svc/web:80", within=30)
    lab.pod("box").assert_reaches("svc/web:80", within=0.2)
""",
    )
    report = tmp_path / "report.xml"
    out = user.pytest("test_fails.py", f"--junitxml={report}", code=1)
    told = [line[1:].strip() for line in out.splitlines() if line.startswith("E ")]
    assert told[0].startswith(
        "netlab.testing.NotAsExpected: it is not so that pod/box reaches svc/web:80: "
        "expected reachable, it was refused: ICMP type 3 code 3"
    )
    assert told[0].endswith("; that has not come within 0.2 s")
    assert "refuse (icmp-port-unreachable), it has no endpoints" in "\n".join(told)
    assert "nearest to take it" not in out, "a rule took it"
    assert "why: selector app=wbe matches no pod (nearest: app=web)" in told
    assert '>       lab.pod("box").assert_reaches("svc/web:80", within=0.2)' in out
    assert "netlab/testing" not in out, "none of our own code is shown"
    case = next(ET.parse(report).iter("testcase"))
    said = {one.attrib["name"]: one.attrib["value"] for one in case.iter("property")}
    assert (said["netlab.lab"], said["netlab.proxyMode"]) == ("shop", "iptables")
    assert f"its packets: {said['netlab.pcapng']}" in told
    assert Path(said["netlab.pcapng"]).read_bytes()[:4] == bytes.fromhex("0a0d0d0a")
    again = [sys.executable, "-m", "netlab", "trace", "--show", said["netlab.trace"]]
    shown = subprocess.run(again, env=user.environment, check=True, capture_output=True, text=True)
    assert "it has no endpoints" in shown.stdout
    assert user.left() == NOTHING


NEAREST = {
    "iptables": "worker001 nat KUBE-SERVICES rule 2: right address, port 81 is not 80",
    "nftables": " tcp . 81 is not in service-ips, which has ",
}


@pytest.mark.parametrize(("mode", "said"), NEAREST.items(), ids=NEAREST)
def test_a_failure_tells_the_nearest_miss(user: User, mode: str, said: str) -> None:
    user.file(
        "test_fails.py",
        f"""
from netlab.testing import Topology
from netlab.testing import NotAsExpected
import pytest

def test_it(make_lab):
    web = Topology(nodes=2, spec={{"proxyMode": "{mode}"}}).deployment("web").service("web")
    lab = make_lab(web.pod("box"))
    with pytest.raises(NotAsExpected) as caught:
        lab.pod("box").assert_reaches("svc/web:81")
    print(caught.value)
    assert caught.value.trace.nearest in str(caught.value)
    assert [path.suffix for path in caught.value.files.values()] == [".pcapng", ".json"]
""",
    )
    out = user.pytest("test_fails.py", "--netlab-keep=kept")
    (nearest,) = re.findall(r"nearest to take it: (.*)", out)
    assert said in nearest
    kept = sorted(one.name for one in (user.base / "tests" / "kept").iterdir())
    assert kept == ["1-pod-box-reaches-svc-web-81.json", "1-pod-box-reaches-svc-web-81.pcapng"]


def test_what_comes_later_is_waited_for(user: User) -> None:
    user.file(
        "test_later.py",
        f"""{SHOP}
def test_it(fresh_lab):
    later = Topology().deployment("late", replicas=2).service("late")
    fresh_lab.apply(*later.objects, wait=False)
    fresh_lab.pod("box").assert_reaches("svc/late:80", endpoints="all", within=30)
    fresh_lab.netlab("delete", "svc", "late")
    with pytest.raises(Exception, match="there is no Service default/late"):
        fresh_lab.pod("box").assert_reaches("svc/late:80", within=0.2)
""",
    )
    assert "1 passed" in user.pytest("test_later.py")
    assert user.left() == NOTHING


def test_workers_do_not_collide(user: User) -> None:
    for number in range(3):
        user.file(
            f"test_{number}.py",
            f"""{SHOP}
@pytest.mark.parametrize("n", range(2))
def test_it(lab, n):
    assert lab.name == "shop"
    lab.pod("box").assert_reaches("svc/web:80", endpoints="all")

def test_fresh(fresh_lab):
    fresh_lab.pod("box").assert_refused("svc/web:80")
""",
        )
    out = user.pytest("-n", "2", "--dist=loadfile", code=1)
    assert "6 passed" in out
    assert "3 failed" in out
    kept = re.findall(r"its packets: (\S+)", out)
    assert len(set(kept)) == 3
    assert all(Path(one).exists() for one in kept)
    assert user.left() == NOTHING


def ended_by(user: User, number: signal.Signals) -> tuple[str, int]:
    """A run that has a lab of each kind and is told to end while it sleeps."""
    user.file(
        "test_sleeps.py",
        f"""{SHOP}
def test_it(lab, fresh_lab):
    Path("up").touch()
    time.sleep({SECONDS})
""",
    )
    running = user.start("test_sleeps.py")
    eventually((user.base / "tests" / "up").exists, SECONDS)
    os.kill(running.pid, number)
    out, _ = running.communicate(timeout=SECONDS)
    return out, running.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(user: User, number: signal.Signals) -> None:
    out, code = ended_by(user, number)
    assert code == pytest.ExitCode.INTERRUPTED, out
    assert user.left() == NOTHING


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("place", ["labs", "labs/shop/netns", "labs/shop/api.sock"])
def test_a_run_that_is_interrupted_while_a_lab_comes_up_leaves_nothing(
    user: User, place: str, number: signal.Signals
) -> None:
    user.file("test_it.py", f"{SHOP}def test_it(lab, fresh_lab): pass\n")
    running = user.start("test_it.py")
    eventually(lambda: any(user.labs.glob(f"*/{place}")), SECONDS)
    os.kill(running.pid, number)
    out, _ = running.communicate(timeout=SECONDS)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, out
    assert user.left() == NOTHING


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("whole", [False, True], ids=["one", "all"])
def test_workers_that_are_told_to_end_leave_nothing(
    user: User, number: signal.Signals, whole: bool
) -> None:
    """Either who started them, or all together, as Ctrl-C on a terminal does."""
    for each in "ab":
        user.file(
            f"test_{each}.py",
            f"""{SHOP}
def test_it(lab):
    Path("up-{each}").touch()
    time.sleep({SECONDS})
""",
        )
    running = user.start("-n", "2", "--dist=loadfile")
    tests = user.base / "tests"
    eventually(lambda: len(list(tests.glob("up-*"))) == 2, SECONDS)
    (os.killpg if whole else os.kill)(running.pid, number)
    running.communicate(timeout=SECONDS)
    if whole and number == signal.SIGKILL:
        assert all(user.left().values())
        user.file("test_next.py", f"{SHOP}def test_it(lab): pass\n")
        out = user.pytest("-n", "1", "test_next.py")
        assert out.count("netlab: took down lab shop, left by process") == 2
    eventually(lambda: user.left() == NOTHING, 30.0)


def test_what_a_killed_run_has_left_is_taken_down_by_the_next(user: User) -> None:
    _, code = ended_by(user, signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert all(user.left().values())
    user.file("test_next.py", f"{SHOP}def test_it(lab): lab.pod('box').assert_reaches('web:80')\n")
    out = user.pytest("test_next.py")
    told = re.findall(r"netlab: took down lab (\S+), left by process (\d+), which was killed", out)
    killed = str(user.started[0].pid)
    assert told == [("shop", killed), ("shop-2", killed)]
    assert user.left() == NOTHING


def test_a_run_that_lives_keeps_its_labs(user: User) -> None:
    """Two runs at the same time: the second takes nothing from the first."""
    user.file(
        "test_first.py",
        f"""{SHOP}
def test_it(lab):
    Path("up").touch()
    deadline = time.monotonic() + {SECONDS}
    while not Path("go").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    lab.pod("box").assert_reaches("svc/web:80")
""",
    )
    user.file(
        "test_second.py", f"{SHOP}def test_it(lab): lab.pod('box').assert_reaches('web:80')\n"
    )
    first = user.start("test_first.py")
    eventually((user.base / "tests" / "up").exists, SECONDS)
    assert "took down" not in user.pytest("test_second.py", "--basetemp", str(user.base / "k2"))
    (user.base / "tests" / "go").touch()
    out, _ = first.communicate(timeout=SECONDS)
    assert first.returncode == 0, out
    assert user.left() == NOTHING


FAILING = {
    "a fixture that fails after the lab": """
@pytest.fixture
def broken(lab):
    raise RuntimeError("mine")

def test_it(broken): pass
""",
    "a fixture that fails while it is taken down": """
@pytest.fixture
def broken(lab):
    yield
    raise RuntimeError("mine")

def test_it(broken): pass
""",
    "a test that exits": """
def test_it(fresh_lab, lab):
    pytest.exit("mine")
""",
}


@pytest.mark.parametrize("body", FAILING.values(), ids=FAILING)
def test_whatever_fails_leaves_nothing(user: User, body: str) -> None:
    user.file("test_it.py", SHOP + body)
    running = user.start("test_it.py")
    out, _ = running.communicate(timeout=SECONDS)
    assert "mine" in out
    assert running.returncode in (1, 2), out
    assert user.left() == NOTHING


BAD = {
    "no such file": ('"nowhere.yaml"', "nowhere.yaml: there is no such file"),
    "no lab": ('"a: 1\\nb: 2"', ".yaml:1: "),
    "nothing": ("", "no `kind: Lab` stands in nothing"),
    "never ready": (
        'Topology().pod("box", nodeName="nowhere")',
        "nowhere",
    ),
    # One that ends is up for a moment, in which a busy machine may look at it.
    "a command that is not there": (
        'Topology().pod("box", command=["/not/there"])',
        "lab lab does not get ready: pod default/box: ",
    ),
}


@pytest.mark.parametrize(("source", "said"), BAD.values(), ids=BAD)
def test_a_lab_that_cannot_be_is_an_error_in_a_sentence(user: User, source: str, said: str) -> None:
    user.file(
        "test_it.py",
        f"""
import pytest
from netlab.testing import Topology
pytestmark = pytest.mark.netlab({source})
def test_it(lab): pass
""",
    )
    out = user.pytest("test_it.py", code=1)
    assert "1 error" in out
    assert said in out
    assert "Traceback" not in out and "def up(" not in out
    assert user.left() == NOTHING


@pytest.mark.parametrize(("setting", "word"), [("error", "1 error"), ("skip", "1 skipped")])
def test_without_root_it_is_an_error_unless_the_settings_say_skip(setting: str, word: str) -> None:
    needs.root()
    with tempfile.TemporaryDirectory() as place:  # what pytest gives us is closed to others
        here = User(Path(place))
        here.install()
        here.file("test_it.py", f"{SHOP}def test_it(lab): pass\n")
        here.file("pytest.ini", f"[pytest]\nnetlab_lacking = {setting}\n")
        for each in (here.base, *here.base.rglob("*")):
            shutil.chown(each, NOBODY)
        out = here.pytest("test_it.py", code=int(setting == "error"), uid=NOBODY)
        assert word in out
        assert "a lab needs root, and these tests run without" in out
        assert here.left() == NOTHING


def test_a_mark_that_nobody_would_hear_is_refused(user: User) -> None:
    user.file("test_it.py", f"{SHOP}@pytest.mark.netlab('x.yaml')\ndef test_it(lab): pass\n")
    out = user.pytest("test_it.py", code=4)
    assert "test_it.py::test_it has a mark `netlab` of its own, but shares its lab" in out


def test_who_uses_no_lab_pays_for_none(user: User) -> None:
    user.file(
        "test_it.py",
        """
import sys
import tempfile
def test_it():
    ours = [name for name in sys.modules if name.startswith("netlab.")]
    assert ours == ["netlab.testing", "netlab.testing.plugin"]
""",
    )
    out = user.pytest("test_it.py")
    assert "1 passed" in out
    assert user.left() == NOTHING


def blocks() -> dict[str, str]:
    """The files of the page, by the names in their first lines."""
    code = re.findall(r"(?m)(?:^    .*\n|^\n(?=(?:\n)?    ))+", PAGE.read_text())
    texts = [textwrap.dedent(each).strip("\n") + "\n" for each in code]
    return {one.split()[1]: one for one in texts if one.startswith("# ")}


def test_the_page_is_right_as_printed(user: User) -> None:
    found = blocks()
    assert list(found) == ["test_web.py", "pytest.ini", ".github/workflows/lab.yaml"]
    user.file("test_web.py", found["test_web.py"])
    out = user.pytest("test_web.py")
    assert "3 passed" in out
    assert "delivered to default/web-" in out, "what the example prints"
    assert user.left() == NOTHING


def test_the_settings_of_the_page_are_those_there_are(user: User) -> None:
    user.file("pytest.ini", blocks()["pytest.ini"].replace("skip", "error"))
    user.file("lab.yaml", f"{LAB}spec: {{nodes: 1}}\n")
    for number in range(2):
        text = "def test_it(lab): assert (lab.name, len(lab.spec.nodes)) == ('mine', 1)\n"
        user.file(f"test_{number}.py", text)
    out = user.pytest("--setup-show")
    assert "2 passed" in out
    assert out.count("SETUP    S lab") == 1
    assert user.left() == NOTHING


def test_the_workflow_of_the_page_is_one(user: User) -> None:
    """Of the packages and options that it names."""
    workflow = yaml.safe_load(blocks()[".github/workflows/lab.yaml"])
    job = workflow["jobs"]["lab"]
    assert job["container"]["options"] == "--privileged"
    said = "\n".join(step.get("run", "") for step in job["steps"])
    setup = (ROOT / "README.md").read_text()
    (packages,) = re.findall(r"apt install pipx (.*)", setup)
    assert [each for each in packages.split() if each not in said] == []
    user.file("test_web.py", "def test_it(): pass\n")
    user.file("netlab/tests/test_of_netlab.py", "import no_such_module\n")
    (command,) = re.findall(r"/venv/bin/pytest (.*)", said)
    assert "1 passed" in user.pytest(*command.replace("auto", "1").split())


def test_it_can_be_switched_off(user: User) -> None:
    user.file("test_it.py", "def test_it(lab): pass\n")
    assert "fixture 'lab' not found" in user.pytest("-p", "no:netlab", "test_it.py", code=1)


def test_pytest_is_imported_by_itself_alone() -> None:
    said = "import sys, netlab.testing as t; t.Topology, t.Lab; print('pytest' in sys.modules)"
    asked = [sys.executable, "-c", said]
    done = subprocess.run(asked, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
