"""Examples:

    sudo netlab top                    live, until q or Ctrl-C
    sudo netlab top --interval 5s
    sudo netlab top --once             one table, after an interval
    sudo netlab top -o json            a line for each interval, until Ctrl-C
    sudo netlab top --once -o json

Connections a second by Service and endpoint, and what share of all since the beginning an endpoint
has, between what that lies (95 %), and what kube-proxy's rules are to give it: ! where that is no
chance any more. Then the nodes: segments sent again, ICMP messages of what cannot be reached,
connections tracked of how many may be; and DNS queries by server. netlab help watching tells how
each of these is counted, and what is left out.

Where standard output is no terminal, it is one table, as with --once. Exit code: 0; 1 if the lab
was taken down meanwhile.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options, terminal
from netlab.cli.packets import signals
from netlab.errors import NetlabError, UsageError
from netlab.kernel.readiness import is_ready

if TYPE_CHECKING:
    from netlab.cli.packets.lab_now import LabNow
    from netlab.traffic.glance import Glance
    from netlab.traffic.listening import Listening
    from netlab.traffic.reading import Told
    from netlab.traffic.readings import Meters

_ROUND_SECONDS = 0.1
_LEAST_SECONDS, _MOST_SECONDS = 0.2, 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How often."""
    parser.add_argument("--interval", default="2s", metavar="TIME", help="as 500ms, 5s (2s)")
    parser.add_argument("--once", action="store_true", help="one table after an interval")
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Show, again and again."""
    from netlab import inventory, lab

    seconds = options.duration(arguments.interval)
    if not _LEAST_SECONDS <= seconds <= _MOST_SECONDS:
        raise UsageError(f"--interval {arguments.interval}", hint="200ms to 1h")
    lab.need_root("top")
    with inventory.in_use(arguments.lab) as directory:
        return _top(arguments, directory, seconds)


def _top(arguments: argparse.Namespace, directory: Path, seconds: float) -> int:
    from netlab import inventory
    from netlab.cli.packets.lab_now import LabNow
    from netlab.traffic.listening import Listening
    from netlab.traffic.readings import Meters

    now, ended = LabNow(arguments, directory), threading.Event()
    is_live = not arguments.once and arguments.output is None and sys.stdout.isatty()
    is_once = arguments.once or (arguments.output is None and not is_live)
    with (
        signals.heard(ended),
        Listening(translated=True) as listening,
        Meters(inventory.read_lab(directory)) as meters,
        _screen(is_live, f"lab {directory.name}, ") as screen,
    ):
        counting = _Counting(now, listening, meters)
        counting.begin()
        is_there = True
        while not ended.is_set() and is_there:
            is_there = counting.interval(seconds, ended, screen)
            if is_there and (not ended.is_set() or is_once):
                _show(counting.glance(), arguments, screen)
            if is_once:
                break
    if not is_there:
        raise NetlabError(f"lab {directory.name} was taken down meanwhile")
    return 0


def _show(glance: Glance, arguments: argparse.Namespace, screen: _Screen | None) -> None:
    from netlab.view.escape import escape_json
    from netlab.view.top import lines

    if arguments.output == "json":
        print(escape_json(json.dumps(glance.json(), ensure_ascii=False)), flush=True)
    elif screen is not None:
        screen.show(glance)
    else:
        width = terminal.width() or _COLUMNS
        print("\n".join(lines(glance, width)), flush=True)


_COLUMNS = 160
"""Of a table that is for no terminal."""


class _Counting:
    """What is told, counted, and held beside what all namespaces count themselves."""

    def __init__(self, now: LabNow, listening: Listening, meters: Meters) -> None:
        from netlab.traffic.tally import Tally

        self._now, self._listening, self._meters = now, listening, meters
        self._tally = Tally()
        self._waiting: list[Told] = []
        self._read()

    def _read(self) -> None:
        from netlab.traffic.directory import Directory
        from netlab.traffic.draws import Draws

        self._directory = Directory(self._now.world)
        self._draws = Draws(self._directory)

    def begin(self) -> None:
        """Open all ears; from now on is counted."""
        self._listening.follow(self._now.nodes)
        self._now.begin()
        self._meters.read(self._now.world)
        self._began = self._since = time.monotonic()

    def interval(self, seconds: float, ended: threading.Event, screen: _Screen | None) -> bool:
        """Count for that long, or until it is to end. Whether the lab was still there."""
        end = time.monotonic() + seconds
        while not ended.is_set() and (left := end - time.monotonic()) > 0:
            self._waiting += self._listening.round(min(left, _ROUND_SECONDS))
            if not self._now.is_there:
                return False
            self._look()
            self._count()
            if screen is not None and screen.is_to_end():
                ended.set()
        return True

    def glance(self) -> Glance:
        """What there is to show of the time since the last one."""
        from netlab.traffic.glance import glance

        if self._waiting:  # of this interval, too
            self._look(at_once=True)
            self._count()
        readings = self._meters.read(self._now.world)
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        return glance(
            time=time.time(),
            seconds=now - self._began,
            interval=seconds,
            counted=self._tally.taken(seconds),
            readings=readings,
            world=self._now.world,
            lost=self._listening.lost,
        )

    def _look(self, *, at_once: bool = False) -> None:
        from netlab.traffic.reading import is_known

        wanted = not all(is_known(told, self._directory) for told in self._waiting)
        if self._now.refresh(wanted=wanted, at_once=at_once):
            self._read()
        self._listening.follow(self._now.nodes)

    def _count(self) -> None:
        from netlab.traffic.reading import connections, understood

        ready, self._waiting = understood(self._waiting, self._directory, self._now.asked)
        for one in connections(ready, self._directory):
            self._tally.add(one, self._draws.of(one))


class _Screen:
    """A terminal of our own for a while: what stood there before comes back."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._last: Glance | None = None
        self._size = (0, 0)

    def show(self, glance: Glance) -> None:
        """Draw it anew, over what was there."""
        self._last, self._size = glance, self._measured()
        from netlab.view.top import lines

        width, height = self._size
        rows = lines(glance, width, height, self._title)[:height]
        # Each row is emptied first: behind a full one its last character would go as well.
        shown = "\n".join(f"\x1b[K{row}" for row in rows)
        rest = "\n\x1b[J" if len(rows) < height else ""
        out = terminal.raw(sys.stdout)
        out.write(f"\x1b[H{shown}{rest}")
        out.flush()

    def is_to_end(self) -> bool:
        """Whether q was typed; one that has another size now is drawn anew."""
        if self._last is not None and self._measured() != self._size:
            self.show(self._last)
        if not sys.stdin.isatty():
            return False
        stdin = sys.stdin.fileno()
        return is_ready(stdin) and b"q" in os.read(stdin, 64).lower()

    def _measured(self) -> tuple[int, int]:
        size = os.get_terminal_size(terminal.raw(sys.stdout).fileno())
        return (size.columns or 80, size.lines or 24)

    def last_lines(self) -> list[str]:
        """What was shown last, for the terminal that comes back."""
        from netlab.view.top import lines

        if self._last is None:
            return []
        return lines(self._last, self._measured()[0], title=self._title)


@contextlib.contextmanager
def _screen(is_live: bool, title: str) -> Iterator[_Screen | None]:
    if not is_live:
        yield None
        return
    screen, out = _Screen(title), terminal.raw(sys.stdout)
    with _quiet_keyboard():
        out.write("\x1b[?1049h\x1b[?25l\x1b[2J\x1b[Hcounting …")
        out.flush()
        try:
            yield screen
        finally:
            out.write("\x1b[?25h\x1b[?1049l")
            out.flush()
    for line in screen.last_lines():
        print(line)


@contextlib.contextmanager
def _quiet_keyboard() -> Iterator[None]:
    """What is typed is not shown, and comes at once."""
    import termios

    if not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSANOW, before)
