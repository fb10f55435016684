"""Where many packets went, as a table. Pure; who prints it sees to escapes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netlab.trace.counting import End


def lines(ends: Sequence[End]) -> Iterator[str]:
    """An end a line: how many, their share, the share that the rules foresee, which end."""
    total = sum(end.packets for end in ends)
    packets = [str(end.packets) for end in ends]
    width = max(len("packets"), *map(len, packets))
    yield f"{total} packets, each a flow of its own"
    yield f"  {'packets':>{width}}    seen  foreseen"
    for end, number in zip(ends, packets, strict=True):
        foreseen = f"{end.foreseen:.1%}" if end.foreseen is not None else "never"
        where = f" {end.at} ({end.destination})" if end.destination else ""
        where += "  ← no chance alone" if end.far else ""
        seen = f"{end.packets / total:.1%}"
        yield f"  {number:>{width}}  {seen:>6}  {foreseen:>8}  {end.verdict}{where}"
