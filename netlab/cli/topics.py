"""The pages that `netlab help TOPIC` shows: those of netlab/docs, and the map."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

_PACKAGE = Path(__file__).parents[1]
_MAP = _PACKAGE / "README.md"


class Topic(Struct, frozen=True):
    """A page, by the word that asks for it."""

    name: str
    path: Path

    @property
    def summary(self) -> str:
        """What it is about: its title behind the colon."""
        from netlab.view.markdown import title

        return title(self.path.read_text("utf-8")).partition(": ")[2]


def topics() -> dict[str, Topic]:
    """All of them, by name."""
    pages = {path.stem: path for path in sorted((_PACKAGE / "docs").glob("*.md"))}
    return {name: Topic(name, path) for name, path in {**pages, "map": _MAP}.items()}


def page(topic: Topic, width: int) -> str:
    """Its text for a terminal of so many columns."""
    from netlab.view.markdown import render

    return render(topic.path.read_text("utf-8"), width, lambda *link: _refer(topic, *link))


def _refer(topic: Topic, text: str, target: str) -> str:
    """A link: to another topic by the command that shows it, else by where it leads."""
    where = (topic.path.parent / target).resolve()
    named = next((one.name for one in topics().values() if one.path == where), None)
    if named:
        return f"{text} (netlab help {named})"
    return text if where.name == text.strip("/") else f"{text} ({target})"
