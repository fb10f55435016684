"""Linters are tests: style, types, layers and shell scripts are held like any other promise."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from netlab.cli.verbs import HIDDEN, VERBS
from netlab.objects.kinds import FAMILIES

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted(
    path
    for folder in ("scripts", ".ci")
    for path in (ROOT / folder).iterdir()
    if path.is_file() and path.read_bytes()[:40].partition(b"\n")[0].endswith((b"bash", b"sh"))
)


def run(*argv: str) -> None:
    found = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:
        pytest.fail(f"{' '.join(argv)}:\n{found.stdout}{found.stderr}", pytrace=False)


LINTERS = {
    "ruff": ("ruff", "check", "."),
    "ruff-format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
    "import-linter": ("lint-imports", "--no-cache"),
}


@pytest.mark.parametrize("linter", LINTERS)
def test_linter(linter):
    program, *arguments = LINTERS[linter]
    run(str(Path(sys.executable).with_name(program)), *arguments)


def test_pre_commit_has_the_same_ones():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    hooks = {hook["id"]: hook for hook in repository["hooks"]}
    shellcheck = hooks.pop("shellcheck")
    ours = {name: " ".join((f".venv/bin/{tool}", *rest)) for name, (tool, *rest) in LINTERS.items()}
    assert {name: hook["entry"] for name, hook in hooks.items()} == ours
    assert not any(hook["pass_filenames"] for hook in hooks.values())
    scripts = [str(path.relative_to(ROOT)) for path in SCRIPTS]
    assert shellcheck["entry"] == "shellcheck"
    assert all(re.match(shellcheck["files"], script) for script in scripts)


def test_types_are_those_of_the_schema():
    run(sys.executable, "scripts/generate-types", "--check")


# What is marked is refused, and nothing else.
TYPED = """
from netlab.client.informer import Informers
from netlab.objects import meta
from netlab.objects.types import Node, Pod, Service


def find(informers: Informers) -> Node | None:
    for pod in informers["Pod"].items():
        pod["status"]["podIp"]  # refused: has no key "podIp"
    informers["Node"].add_index("pod", lambda pod: pod["spec"]["nodeName"])  # refused: no key
    for event in informers["Event"].items():
        event["reasn"]  # refused: "reasn" is not a valid TypedDict key
    informers["Pods"].items()  # refused: has no kind "Pods"
    return informers["Pod"].get("web")  # refused: Incompatible return value


def read(pod: Pod, node: Node, service: Service, obj: meta.Object) -> object:
    pod["spec"]["nodName"]  # refused: has no key "nodName"
    pod["spec"].get("nodName")  # refused: has no key "nodName"
    meta.spec(service).get("clusterIPS")  # refused: has no key "clusterIPS"
    if ready := meta.condition(node, "Ready"):
        ready["since"]  # refused: has no key "since"
    print(pod["status"]["phase"] == "Runing")  # refused: Non-overlapping equality check
    for container in meta.spec(pod)["containers"]:
        for port in container.get("ports") or []:
            port["containerport"]  # refused: has no key "containerport"
    return pod["spec"]["nodeName"], meta.name(pod), meta.spec(obj)["anything"], obj.get("else")


def write() -> Pod:
    return {
        "apiVersion": "v1",
        "metadata": {"nam": "web"},  # refused: Extra key "nam"
        "kind": "Pods",  # refused: Incompatible types
        "spec": {"containers": [{"image": "web"}]},  # refused: Missing key "name"
    }
"""


def test_mypy_refuses_a_field_that_is_not_there(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(TYPED)
    mypy = str(Path(sys.executable).with_name("mypy"))
    cache = f"--cache-dir={tmp_path / 'cache'}"
    found = subprocess.run([mypy, cache, str(snippet)], cwd=ROOT, capture_output=True, text=True)
    refused = [line.partition(" error: ") for line in found.stdout.splitlines()]
    said = {int(at.split(":")[-2]): what for at, error, what in refused if error}
    marked = {
        number: mark
        for number, line in enumerate(TYPED.splitlines(), 1)
        if (mark := line.partition("# refused: ")[2])
    }
    assert said.keys() == marked.keys(), found.stdout
    assert all(mark in said[number] for number, mark in marked.items()), found.stdout


def names_in(path: Path) -> set[str]:
    """What a module imports, or starts by its name."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names.add(node.value)
    return names


def test_the_package_holds_nothing_that_only_tests_use():
    files = [*(ROOT / "netlab").rglob("*.py")]
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in files
        if path.stem != "__init__"
    }
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    used = {"netlab.__main__"}.union(
        *map(names_in, files), *(each.values() for each in points.values())
    )
    verbs = [HIDDEN, *VERBS.values()]
    used |= {each.module for verb in verbs for each in (verb, *verb.parts)}
    rooms = ("netlab.objects.strategies", "netlab.api.printing", "netlab.view.describing")
    used |= {f"{room}.{family}" for room in rooms for family in FAMILIES.values()}
    assert modules - used == set()


_OTHERS_NAMES = re.compile(
    r'"/proc/[^"]*/(mountinfo|mounts|status|stat|comm|cmdline|environ)"\)\.read_text\(\)'
)


def test_what_tells_names_that_others_gave_is_read_whatever_bytes_they_have():
    """A process calls itself what it likes, and who mounts something calls it what he likes."""
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in (ROOT / "netlab").rglob("*.py")
        for match in _OTHERS_NAMES.finditer(path.read_text())
    ]
    assert found == []


def test_there_are_shell_scripts():
    assert {path.name for path in SCRIPTS} >= {"setup", "demo", "test", "run"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck(script):
    run("shellcheck", str(script))
