"""A Service's rules on a node as a picture: its chains, by which share and how often gone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct, field

from netlab.diagnosis.facts import count
from netlab.graph.model import Arrow, Box, BoxKind, Group, Picture
from netlab.view.rules import Branch


class Tree(Struct, frozen=True):
    """The rules of one node in one family (`view.rules.tree`), and what is written above them."""

    title: str
    branches: Sequence[Branch]


class _Chain(Struct):
    """One box: a chain's name, and those of its rules that lead to no other box."""

    kind: BoxKind
    lines: list[str]


class _Drawing(Struct):
    """Boxes by their keys. A chain that several rules lead to is there once."""

    prefix: str
    chains: dict[str, _Chain] = field(default_factory=dict)
    arrows: dict[Arrow, None] = field(default_factory=dict)

    def enter(self, branch: Branch) -> None:
        """A way in: of the chain that it stands in, the box has this Service's rules alone."""
        here = f"{self.prefix}{branch.table} {branch.chain}"
        self.chains.setdefault(here, _Chain("network", [f"{branch.table} {branch.chain}"]))
        self.draw(here, branch)

    def draw(self, here: str, branch: Branch) -> None:
        """A rule of a chain whose box is there, and what lies behind it."""
        if not branch.target and branch.branches:  # nft's draw: its ends are this chain's
            self._draw_all(here, branch.branches)
        elif branch.branches or branch.share is not None:
            self._lead(here, branch)
        else:
            said = filter(None, (_counted(branch), branch.words))
            self.chains[here].lines.append(": ".join(said))

    def _draw_all(self, here: str, branches: Iterable[Branch]) -> None:
        for each in branches:
            self.draw(here, each)

    def _lead(self, here: str, branch: Branch) -> None:
        condition, _, goal = branch.words.rpartition("→ ")
        there = f"{self.prefix}{branch.table} {branch.target or f'{branch.chain} {goal}'}"
        share = "" if branch.share is None else _per_cent(branch.share)
        label = ", ".join(filter(None, (share or condition.strip(), _counted(branch))))
        self.arrows[Arrow(here, there, label, "jump")] = None
        if there not in self.chains:
            is_end = branch.share is not None
            self.chains[there] = _Chain("end" if is_end else "chain", [goal.partition(" (")[0]])
            self._draw_all(there, branch.branches)

    def boxes(self) -> tuple[Box, ...]:
        """What was drawn, or that there is nothing."""
        if not self.chains:
            return (Box(f"{self.prefix}none", ("no rules",), "bad"),)
        found = self.chains.items()
        return tuple(Box(key, tuple(chain.lines), chain.kind) for key, chain in found)


def rules(title: str, trees: Sequence[Tree]) -> Picture:
    """The picture of a Service's rules."""
    groups: list[Group] = []
    arrows: list[Arrow] = []
    for number, tree in enumerate(trees):
        drawing = _Drawing(f"{number} ")
        for branch in tree.branches:
            drawing.enter(branch)
        groups.append(Group(str(number), tree.title, "node", drawing.boxes()))
        arrows += drawing.arrows
    return Picture(title, tuple(groups), arrows=tuple(arrows))


def _counted(branch: Branch) -> str:
    """How many packets took it, where somebody counts."""
    return "" if branch.packets is None else count(branch.packets, "packet")


def _per_cent(share: float) -> str:
    return f"{share:.0%}" if share >= 0.095 else f"{share:.1%}"
