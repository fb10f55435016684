"""The lab of the manifests that a command names, as it would be, without one and without root."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.onpaper import Given, PaperLab
    from netlab.pathcheck.world import World


def settled(files: Sequence[str], given: Given | None = None) -> PaperLab:
    """What the files come to; `UsageError` where they have no lab."""
    from netlab import manifest, onpaper

    read = manifest.load(files)
    if read.lab is None:
        raise UsageError("these files have no Lab", hint="kind: Lab says which nodes there are")
    return onpaper.settled(read, given)


def world(paper: PaperLab) -> World:
    """Who is who in it; nothing of it is anywhere."""
    from netlab.pathcheck.world import world_of

    return world_of(
        paper.lab,
        services=paper.services,
        slices=paper.slices,
        pods=paper.pods,
        nodes=paper.nodes,
        netns=lambda _: Path(),
    )
