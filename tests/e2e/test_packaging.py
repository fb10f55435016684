"""What a machine goes through before the first lab, tried on a copy of this one.

Each run has a mount namespace in which /usr, /etc, the clone and its venv lie under a layer of
memory: programs may be taken away, links made, and nothing of it is left. Nothing is downloaded.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import needs
import pytest
from e2e.labs import TOPOLOGIES, Machine, greeting, machine

from netlab.kernel import paths

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "scripts" / "setup"
VENV = Path(sys.prefix)
LINK = "/usr/local/bin/netlab"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]

# Lays memory over each directory named after the script, then runs the script.
COPY = r"""
set -eu
memory=$1 script=$2; shift 2
mount -t tmpfs tmpfs "$memory"
for directory; do
    layer=$memory$directory
    mkdir -p "$layer/new" "$layer/work"
    options=lowerdir=$directory,upperdir=$layer/new,workdir=$layer/work
    mount -t overlay overlay -o "$options" "$directory"
done
cd /
exec bash -euc "$script"
"""

# Nothing is missing: what is not installed here is there by name, and the venv these tests run in
# passes for one that setup has made. No package can be fetched.
MADE = f"""
(
    . {SETUP}
    for pair in "${{needed[@]}}" "${{needed_dev[@]}}" "${{serving[@]}}"; do
        command -v "${{pair%%:*}}" >/dev/null || ln -s /bin/true "/usr/bin/${{pair%%:*}}"
    done
    for pair in "${{needed_files[@]}}"; do
        [ -e "${{pair%%:*}}" ] || install -D /dev/null "${{pair%%:*}}"
    done
    venv={VENV} lock={ROOT}/scripts/requirements-dev.lock
    stamp "$lock" >{VENV}/.stamp
)
rm -f /usr/bin/apt-get {LINK}
export NETLAB_VENV={VENV}
"""


OFFLINE = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}


def program(path: str, body: str) -> str:
    """Commands that put a program of our own at `path`."""
    return f"printf '%s\\n' '#!/bin/sh' {shlex.quote(body)} >{path}; chmod +x {path};"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a bash script on a copy of this machine that ends with it."""
    needs.root()
    layered = ["/usr", "/etc", str(ROOT)]
    layered += [str(VENV)] * (not VENV.is_relative_to(ROOT))
    layered += ["/usr/local"] * Path("/usr/local").is_mount()

    def run(script: str, **environment: str) -> Done:
        return subprocess.run(
            ["unshare", "--mount", "bash", "-c", COPY, "copy", str(tmp_path), script, *layered],
            env={**os.environ, "PATH": PATH, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.mark.root
class TestSetup:
    def test_does_only_what_is_missing(self, run: Run) -> None:
        done = run(f"{MADE} {SETUP} --dev; echo again; {SETUP}; readlink {LINK}; {LINK} --version")
        assert done.returncode == 0, done.stderr
        first, _, rest = done.stdout.partition("again\n")
        assert f"linking {LINK}" in first
        assert "making" not in first
        *said, link, version = rest.splitlines()
        assert [line for line in said if "completion" not in line] == []
        assert link == f"{VENV}/bin/netlab"
        assert version.startswith("netlab ")

    def test_is_quick_when_nothing_is_missing(self, run: Run) -> None:
        done = run(f"{MADE} {SETUP} --dev; date +%s.%N; {SETUP} --dev; date +%s.%N")
        began, *_, ended = [line for line in done.stdout.splitlines() if line[0].isdigit()]
        assert float(ended) - float(began) < 2

    def test_remembers_where_the_venv_is(self, run: Run) -> None:
        done = run(f"{MADE} {SETUP}; unset NETLAB_VENV; {SETUP}; readlink {LINK}")
        assert done.stdout.splitlines()[-1] == f"{VENV}/bin/netlab"

    def test_remakes_a_venv_that_was_interrupted(self, run: Run) -> None:
        again = f"{SETUP} || echo code $?"
        script = f"{MADE} rm {VENV}/.stamp; {again}; test ! -e {VENV}/.stamp; {again}"
        done = run(script, **OFFLINE)
        assert done.stdout.count(f"making {VENV}") == 2
        assert done.stdout.count("code 3") == 2
        assert "Python packages could not be installed" in done.stderr

    def test_keeps_the_venv_that_it_cannot_replace(self, run: Run) -> None:
        old = f"echo older >{VENV}/.stamp; mkdir /etc/fetched"
        after = f"{VENV}/bin/netlab --version; cat {VENV}/.stamp; ls -A /etc/fetched"
        done = run(
            f"{MADE} {old}; {SETUP} || echo code $?; {after}", TMPDIR="/etc/fetched", **OFFLINE
        )
        assert f"making {VENV}\ncode 3\nnetlab " in done.stdout, done.stderr
        assert done.stdout.endswith("\nolder\n"), "and leaves nothing of what it fetched"

    def test_without_apt_names_the_packages(self, run: Run) -> None:
        done = run(f"{MADE} rm /usr/sbin/dnsmasq /usr/bin/dig; {SETUP}")
        assert done.returncode == 3
        assert "these packages are missing: bind9-dnsutils dnsmasq-base\n" in done.stderr
        assert "hint: install them with this system's package manager" in done.stderr

    def test_asks_apt_for_what_is_missing_alone(self, run: Run) -> None:
        apt = program("/usr/bin/apt-get", 'echo apt-get "$@" >&2')
        done = run(f"{MADE} rm /usr/sbin/dnsmasq; {apt} {SETUP}")
        assert done.returncode == 0, done.stderr
        update, install = done.stderr.splitlines()
        assert update == "apt-get update -qq"
        assert "--no-install-recommends" in install
        assert install.endswith(" dnsmasq-base")  # dnsmasq would start a server on this machine

    def test_a_server_is_installed_without_its_service(self, run: Run) -> None:
        policy = "/usr/sbin/policy-rc.d"
        installed = f"{policy} nginx start; echo policy $? >&2; touch /usr/sbin/nginx; chmod +x $_"
        apt = program("/usr/bin/apt-get", f'case "$*" in *install*) {installed};; esac')
        helper = program("/usr/bin/deb-systemd-helper", 'echo helper "$@" >&2')
        quiet = f"sed -i 's/ >.dev.null 2>&1 || true/ || true/' {SETUP};"
        again = f"{SETUP} --with nginx; {SETUP} --with nginx; ls {policy} 2>&1 || true"
        done = run(f"{MADE} rm -f /usr/sbin/nginx {policy}; {apt} {helper} {quiet} {again}")
        assert done.returncode == 0, done.stderr
        assert done.stderr.splitlines() == ["policy 101", "helper disable nginx.service"]
        assert done.stdout.endswith("No such file or directory\n")

    def test_a_server_is_not_installed_where_it_would_be_started(self, run: Run) -> None:
        policy = "/usr/sbin/policy-rc.d"
        mine = program(policy, "exit 0")
        done = run(f"{MADE} rm -f /usr/sbin/nginx; {mine} {SETUP} --with nginx || cat {policy}")
        assert f"{policy} lets nginx start a server on this machine" in done.stderr
        assert done.stdout.endswith("exit 0\n")

    def test_passes_on_why_apt_failed(self, run: Run) -> None:
        apt = program("/usr/bin/apt-get", "echo E: no network >&2; exit 100")
        done = run(f"{MADE} rm /usr/sbin/dnsmasq; {apt} {SETUP}")
        assert done.returncode == 3
        assert "E: no network" in done.stderr
        assert "setup: apt-get could not install dnsmasq-base" in done.stderr

    @pytest.mark.parametrize("script", ["setup", "demo", "test"])
    def test_says_that_it_needs_root(self, run: Run, script: str) -> None:
        done = run(f"{program('/usr/bin/id', 'echo 1000')} {ROOT}/scripts/{script}")
        assert done.returncode == 3
        assert done.stderr.endswith("needs root\n  hint: run it with sudo\n")

    @pytest.mark.parametrize("words", ["--with", "--with apache", "--dev extra"])
    def test_says_what_it_does_not_understand(self, words: str) -> None:
        done = subprocess.run([SETUP, *words.split()], capture_output=True, text=True)
        odd = words.removeprefix("--dev ")
        usage = "sudo scripts/setup [--dev] [--with nginx]"
        assert done.stderr == f"setup: what does {odd} mean?\n  hint: {usage}\n"
        assert done.returncode == 2

    def test_tells_how_it_is_used(self) -> None:
        done = subprocess.run([SETUP, "--help"], check=True, capture_output=True, text=True)
        assert done.stdout.startswith("Makes this machine able to run netlab")
        assert "  sudo scripts/setup [--dev] [--with nginx]\n" in done.stdout

    def test_leaves_alone_what_is_not_its_own(self, run: Run) -> None:
        done = run(f"{MADE} echo mine >{LINK}; {SETUP} || echo code $?; cat {LINK}")
        assert done.stdout.endswith("code 3\nmine\n")
        done = run(f"{MADE} NETLAB_VENV=/usr/share {SETUP} || echo code $?; ls -d /usr/share/doc")
        assert done.stdout.endswith("code 3\n/usr/share/doc\n")
        assert "/usr/share holds other things" in done.stderr

    def test_leaves_an_installation_by_pipx_alone(self, run: Run) -> None:
        """Which gets its nginx all the same."""
        venv = "/etc/pipx/venvs/netlab-k8s"
        made = f"install -D /bin/true {venv}/bin/netlab; touch {venv}/pipx_metadata.json"
        apt = program("/usr/bin/apt-get", 'case "$*" in *install*) echo apt-get "$@" >&2;; esac')
        scripts = f"{SETUP} || echo code $?; {SETUP} --dev || echo code $?; {SETUP} --with nginx"
        script = f"{MADE} rm -f /usr/sbin/nginx; {apt} {made}; ln -s {venv}/bin/netlab {LINK};"
        done = run(f"{script} {scripts}; readlink {LINK}; find {venv}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("code 3\n") == 2
        assert done.stderr.count(f"setup: {LINK} is pipx's\n  hint: pipx uninstall netlab-k8s") == 2
        first = next(line for line in done.stderr.splitlines() if line.startswith("apt-get"))
        assert first.endswith(" nginx")
        assert f"setup: {LINK} is pipx's, and stays as it is\n{venv}/bin/netlab\n" in done.stdout

    def test_goes_on_without_completions(self, run: Run) -> None:
        broken = program(f"{VENV}/bin/netlab", "exit 1")
        done = run(f"{MADE} {broken} {SETUP}; find /usr/local -name '*netlab'")
        assert done.returncode == 0, done.stderr
        assert "completion for bash is left out" in done.stdout
        assert done.stdout.splitlines()[-1] == LINK

    def test_completions_are_where_shells_look(self, run: Run) -> None:
        done = run(f"{MADE} {SETUP}; . /usr/local/share/bash-completion/completions/netlab")
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "left out" not in done.stdout


DUAL = 'podCIDR: "10.244.0.0/16,fd00:1::/56", serviceCIDR: "10.96.0.0/12,fd00:2::/112"'


@pytest.mark.root
def test_up_asks_for_what_this_lab_wants(run: Run, tmp_path: Path) -> None:
    lab = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: odd}\nspec: "
    specs = {
        "{nodes: 1, proxyMode: nftables}": "nft",
        "{nodes: 1, iptables: legacy}": "iptables-legacy-restore",
        f"{{nodes: 1, {DUAL}}}": "ip6tables-restore",
    }
    script = "rm $(command -v nft iptables-legacy-restore ip6tables-restore nginx);"
    for spec in specs:
        file = tmp_path / "lab.yaml"
        script += f"printf %s {shlex.quote(lab + spec)} >{file};"
        script += f"{sys.executable} -m netlab up --timeout=1s {file} || echo code $?;"
    script += f"{sys.executable} -m netlab up {ROOT}/topologies/ingress.yaml || echo code $?;"
    script += f"ls {tmp_path}/run || echo nothing; {sys.executable} -m netlab down --all >&2"
    labs = {paths.RUN_VARIABLE: f"{tmp_path}/run", paths.NETNS_DIR_VARIABLE: f"{tmp_path}/netns"}
    done = run(script, **labs)
    assert done.stdout == "code 3\n" * (len(specs) + 1) + "nothing\n", done.stdout + done.stderr
    missing = (*specs.values(), "nginx")
    wanted = [f"these programs are missing: {program}\n" for program in missing]
    wanted += ["hint: sudo scripts/setup --with nginx\n"]
    assert [words for words in wanted if words not in done.stderr] == []


def provisioning() -> str:
    """The script inside the Vagrantfile."""
    text = (ROOT / "Vagrantfile").read_text()
    return text.partition("<<~'SHELL'\n")[2].partition("  SHELL\n")[0]


class TestVagrantfile:
    def test_its_script_is_sound(self) -> None:
        done = subprocess.run(
            ["shellcheck", "--shell=sh", "-"], input=provisioning(), capture_output=True, text=True
        )
        assert done.stdout == ""
        assert done.returncode == 0

    @pytest.mark.root
    def test_its_script_sets_the_machine_up(self, run: Run) -> None:
        script = provisioning().replace("/vagrant", str(ROOT))
        assert "NETLAB_VENV=/opt/netlab/venv" in script, "/vagrant may know no links"
        script = script.replace("/opt/netlab/venv", str(VENV))
        done = run(f"{MADE} unset NETLAB_VENV; {script} readlink {LINK}")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == f"{VENV}/bin/netlab"


class TestPackage:
    def test_the_locks_pin_all_that_is_asked_for(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        extras = project["project"]["optional-dependencies"]
        asked = project["project"]["dependencies"] + project["build-system"]["requires"]
        asked += extras["libiptc"] + extras["source"]
        self.pins("requirements.lock", asked)
        self.pins("requirements-dev.lock", asked + extras["dev"])

    @staticmethod
    def pins(lock: str, asked: list[str]) -> None:
        text = (ROOT / "scripts" / lock).read_text()
        entries = [line for line in text.splitlines() if line[:1].isalpha()]
        pinned = {entry.partition("==")[0] for entry in entries}
        assert all(entry.endswith(" \\") for entry in entries), "each goes on with its hashes"
        assert {name.partition(">")[0].lower() for name in asked} <= pinned

    def test_a_wheel_holds_all_that_netlab_reads(self, tmp_path: Path) -> None:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        (wheel,) = tmp_path.iterdir()
        held = set(zipfile.ZipFile(wheel).namelist())
        files = (path for path in (ROOT / "netlab").rglob("*") if path.is_file())
        read = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
        assert "netlab/py.typed" in read
        assert read - held == set()


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with our wheel and what it asks for, as pipx makes one: without python-iptables."""
    base = tmp_path_factory.mktemp("installed")
    build = ["hatchling", "build", "-t", "wheel", "-d", str(base)]
    subprocess.run([sys.executable, "-m", *build], cwd=ROOT, check=True, capture_output=True)
    (wheel,) = base.iterdir()
    venv = base / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not re.match(r"_?netlab|iptc|libxtwrapper|python_iptables|__pycache__", path.name):
            (packages / path.name).symlink_to(path)
    pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
    subprocess.run([*pip, "install", "--no-index", "--no-deps", wheel], check=True)
    subprocess.run([*pip, "check"], check=True)
    where = [venv / "bin" / "python", "-P", "-c", "import netlab; print(netlab.__path__[0])"]
    environment = {"PATH": PATH}
    found = subprocess.run(where, env=environment, check=True, capture_output=True, text=True)
    assert Path(found.stdout.strip()) == packages / "netlab", "not the clone's"
    return venv / "bin" / "netlab"


@pytest.mark.root
class TestInstalledWheel:
    @pytest.fixture
    def here(self, installed: Path, tmp_path: Path) -> Iterator[Machine]:
        with machine(tmp_path, ("env", "-C", tmp_path, "-u", "PYTHONPATH", installed)) as here:
            yield here

    def test_brings_a_lab_up(self, here: Machine) -> None:
        here.lab_file((TOPOLOGIES / "quickstart.yaml").read_text())
        here.netlab("up", "lab.yaml")
        page = here.netlab("exec", "client-pod", "--", "curl", "-s", "hostname-svc-clusterip:8080")
        assert greeting(page.stdout).startswith("hostname-deployment-")
        here.netlab("check")
        here.netlab("down")

    def test_brings_its_fixtures_to_pytest(self, installed: Path, tmp_path: Path) -> None:
        python = installed.with_name("python")
        asked = [python, "-P", "-m", "pytest", "-p", "no:cacheprovider", "--fixtures", tmp_path]
        found = subprocess.run(
            asked, cwd=tmp_path, env={"PATH": PATH}, capture_output=True, text=True
        )
        fixtures = re.findall(r"(?m)^(\w+) .*netlab/testing/plugin.py", found.stdout)
        assert fixtures == ["lab", "fresh_lab", "make_lab"], found.stdout + found.stderr

    def test_needs_no_libiptc_unless_a_lab_asks_for_it(
        self, here: Machine, installed: Path
    ) -> None:
        lab = "apiVersion: netlab/v1\nkind: Lab\nmetadata: {name: odd}\nspec: "
        here.lab_file(f"{lab}{{nodes: 1, iptables: libiptc}}\n")
        refused = here.netlab("up", "lab.yaml", code=3)
        assert "python-iptables, which libiptc is used through, is not installed" in refused.stderr
        pip = f"{installed.parent / 'python'} -m pip install python-iptables"
        assert (
            f"hint: apt-get install gcc python3-dev, then {pip}; or choose auto" in refused.stderr
        )
        assert not (here.base / "run").exists()
        here.lab_file(f"{lab}{{nodes: 1, iptables: legacy}}\n")
        here.netlab("up", "lab.yaml")
        assert "python-iptables" not in here.netlab("doctor").stdout
        here.netlab("down")


@pytest.mark.root
def test_the_callers_of_sudo_may_use_their_labs(run: Run, tmp_path: Path) -> None:
    """The API's socket belongs to the user, and is closed to the rest."""
    program = (
        "import asyncio, sys; from pathlib import Path; from aiohttp import web;"
        "from netlab.kernel import caller; from netlab.serving.http import serve_unix;"
        "app, path = web.Application(), Path(sys.argv[1]);"
        "asyncio.run(serve_unix(app, path, owner=caller.uid()))"
    )
    sock = tmp_path / "api.sock"
    done = run(f"{sys.executable} -c '{program}' {sock}; stat -c '%u %a' {sock}", SUDO_UID="1234")
    assert done.stdout == "1234 600\n", done.stderr
