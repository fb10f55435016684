"""What the documents name is there."""

import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from netlab import __version__
from netlab.objects.kinds import KINDS

ROOT = Path(__file__).parents[2]
API = ROOT / "netlab" / "docs" / "kubernetes-api.md"
PAGES = sorted([*(ROOT / "netlab").rglob("*.md"), *ROOT.glob("*.md")])

_LINK = re.compile(r"\[[^\]]*\]\(([^)]+)\)")
_FILE = re.compile(r"`([\w./-]+\.(?:py|md|yaml|json|txt|lock))`")

OF_A_LAB = ("lab.json", "nodes.json", "applied.json", "config.json")
"""Files that a lab makes."""


def of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [target for target in _LINK.findall(page.read_text()) if "://" not in target]
    assert [one for one in targets if not (page.parent / one.partition("#")[0]).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=of)
def test_files_that_are_named_exist(page: Path) -> None:
    """By their path, or by their name where it is said in which room they are."""
    named = [name for name in _FILE.findall(page.read_text()) if name not in OF_A_LAB]
    assert [name for name in named if not any(path.endswith(f"/{name}") for path in files())] == []


@cache
def files() -> list[str]:
    rooms = ("netlab", "scripts", "tests", "topologies")
    found = [path for room in rooms for path in (ROOT / room).rglob("*.*")]
    return [f"/{path.relative_to(ROOT)}" for path in [*found, *ROOT.glob("*.*")]]


def test_the_version_stands_in_one_place() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["hatch"]["version"]["path"] == "netlab/__init__.py"
    sources = [path for path in files() if path.endswith((".py", ".toml", ".md", ".yaml"))]
    said = re.compile(rf"""["'v ]{re.escape(__version__)}["' ]""")
    assert [one for one in sources if said.search((ROOT / one[1:]).read_text())] == [
        "/netlab/__init__.py"
    ]


def test_the_changelog_has_a_place_for_what_comes() -> None:
    headings = re.findall(r"(?m)^## (.*)$", (ROOT / "CHANGELOG.md").read_text())
    assert headings[0] == "[Unreleased]"


def test_the_page_about_the_api_names_every_kind_that_is_served() -> None:
    rows = re.findall(r"(?m)^\| ([a-z0-9.]+) \| ([A-Z][\w, ]+) \|$", API.read_text())
    assert dict(rows) == {
        group or "core": ", ".join(kind.kind for kind in KINDS if kind.group == group)
        for group in dict.fromkeys(kind.group for kind in KINDS)
    }
