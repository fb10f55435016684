"""What a trace by a node's save has beside: where it ends, and what a save cannot tell. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.trace.story import Story, Untold

_MOST = 4
"""So many questions are told, the first first."""

_NOT_SAVED = "no routes, no listeners and no links are in it"


def end(story: Story) -> str:
    """How far the rules bring the packet: a save knows no more."""
    journey, likeliest = story.journey, story.ends[0]
    node = likeliest.stays[0].node if likeliest.stays else journey.last.partition(" ")[0]
    start = "open: " if story.verdict == "open" else ""
    if likeliest.verdict == "delivered":
        to = likeliest.destination
        named = f"{likeliest.at} ({to})" if likeliest.at else to
        as_it_came = story.ct == "new" and not story.journey.dnats
        changed = ", as it came: no rule translated it" if as_it_came else ""
        return f"{start}delivered to {named}{changed}"
    words = {"lost": "dropped", "refused": "refused"}.get(likeliest.verdict, "undecided")
    return f"{start}{words} on {node}"


def untold(story: Story, *, explain: bool) -> Iterator[str]:
    """What it depends on, and what was tried both ways and made no difference."""
    deciding = [one for one in story.untold if one.matters or one.is_so]
    shown = deciding if explain else deciding[:_MOST]
    for one in shown:
        what = "it" if one.matters else "its source"
        yield f"{what} depends on {one.question}{_asker(one)}"
        if one.is_so or one.is_not:
            yield f"  if so: {_either(one.is_so, told=one.told_as is True)}"
            yield f"  if not: {_either(one.is_not, told=one.told_as is False)}"
    if len(shown) < len(deciding):
        yield f"and on {len(deciding) - len(shown)} more that --explain tells"
    idle = [one for one in story.untold if not one.matters and not one.is_so]
    if idle and explain:
        for one in idle:
            yield f"no matter {one.question}{_asker(one)}"
    elif idle:
        more = f"; and {len(idle) - _MOST} more" if len(idle) > _MOST else ""
        yield f"no matter whether {'; '.join(one.fact for one in idle[:_MOST])}{more}"


def _asker(one: Untold) -> str:
    return f" ({one.where})" if one.where else ""


def _either(ends: tuple[str, ...], *, told: bool) -> str:
    said = ", or ".join(ends) if ends else "-"
    return f"{said} (told above)" if told else said


def told_by(story: Story) -> str:
    """What the story stands on."""
    rules = story.agreement.steps
    files = ", ".join(story.files)
    unsaved = "".join(f", nor {kind}" for kind in story.unsaved)
    return f"told by {rules} rules of {files} alone: nothing was sent; {_NOT_SAVED}{unsaved}"
