"""Examples:

    sudo netlab watch                        each new connection to any Service
    sudo netlab watch svc/web                to that one (svc/web:http: to that port)
    sudo netlab watch pod/web-0              all that the pod opens, and all that end in it
    sudo netlab watch node/worker001         to Services, by that node's rules
    sudo netlab watch client -n shop         what a machine outside opens
    sudo netlab watch svc/web --count 100 -o json
    sudo netlab watch --for 30s

A line for each: when, the node whose rules send it, protocol, client → virtual address → endpoint,
and as whom it comes there if it was masqueraded. netlab help watching tells what is one, and why.

It ends with Ctrl-C, after --count connections, or --for TIME, with a summary. What the kernel told
faster than it was read is lost, and it is said how many. Exit code: 0 so; 1 if the lab was taken
down meanwhile.

-o json: a line each, {time, node, protocol, client, to, endpoint, masqueraded, source}
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options
from netlab.cli.packets import signals
from netlab.errors import NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.lab_now import LabNow
    from netlab.traffic.chosen import Chosen
    from netlab.traffic.listening import Listening
    from netlab.traffic.opening import Opening
    from netlab.traffic.reading import Told

_ROUND_SECONDS = 0.1
_SAYING_SECONDS = 1.0
"""Between two lines about what was lost."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose, and how long."""
    parser.add_argument(
        "target", nargs="?", default="", metavar="WHAT",
        help="svc/NAME, pod/NAME, node/NAME, client/NAME (all Services)",
    )  # fmt: skip
    options.add_namespace(parser)
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many")
    add_duration(parser)
    options.add_output(parser, "json")


def add_duration(parser: argparse.ArgumentParser) -> None:
    """`--for TIME`; read it with `duration`."""
    parser.add_argument("--for", dest="duration", metavar="TIME", help="end after 30s, 5m")


def duration(arguments: argparse.Namespace) -> float | None:
    """Seconds, or None for ever."""
    if arguments.duration is None:
        return None
    seconds = options.duration(arguments.duration)
    if seconds <= 0:
        raise UsageError(f"{arguments.duration} is no time to watch", hint="--for 30s")
    return seconds


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of connections")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """A line for each connection, until it is to end."""
    from netlab import inventory, lab

    seconds = duration(arguments)
    lab.need_root("watch")
    with inventory.in_use(arguments.lab) as directory:
        return _watch(arguments, directory, seconds)


def _watch(arguments: argparse.Namespace, directory: Path, seconds: float | None) -> int:
    from netlab.cli.packets.lab_now import LabNow
    from netlab.traffic.chosen import chosen
    from netlab.traffic.listening import Listening

    now = LabNow(arguments, directory)
    wanted = chosen(arguments.target, now.world, arguments.namespace or "default")
    ended = threading.Event()
    with signals.heard(ended), Listening(translated=wanted.translated) as listening:
        watching = _Watching(arguments, now, wanted, listening)
        watching.begin()
        is_there = watching.until(ended, seconds)
        watching.finish()
    if not is_there:
        raise NetlabError(f"lab {directory.name} was taken down meanwhile")
    return 0


class _Watching:
    """What is told, and what of it has been shown."""

    def __init__(
        self, arguments: argparse.Namespace, now: LabNow, wanted: Chosen, listening: Listening
    ) -> None:
        from netlab.traffic.directory import Directory
        from netlab.view.openings import Summary, json_line, line

        self._count: int | None = arguments.count
        self._as_line = json_line if arguments.output == "json" else line
        self._now, self._wanted, self._listening = now, wanted, listening
        self._directory = Directory(now.world)
        self._waiting: list[Told] = []
        self._said, self._said_at = Counter[str](), 0.0
        self._summary = Summary()
        self._began = time.monotonic()

    def begin(self) -> None:
        """Open all ears, and say so."""
        self._follow()
        self._now.begin()
        nodes = len(self._listening.nodes)
        where = f"on {nodes} node{'s' if nodes != 1 else ''}"
        _say(f"watching new connections of {self._wanted.words} {where}; Ctrl-C ends it")
        self._began = time.monotonic()

    def until(self, ended: threading.Event, seconds: float | None) -> bool:
        """Whether the lab was still there."""
        end = self._began + seconds if seconds is not None else None
        while not ended.is_set() and self._left() != 0:
            left = end - time.monotonic() if end is not None else _ROUND_SECONDS
            if left <= 0:
                break
            self._waiting += self._listening.round(min(left, _ROUND_SECONDS))
            if not self._now.is_there:
                return False
            self._look()
            self._show_ready()
            self._tell_lost()
        return True

    def finish(self) -> None:
        """Show what was told and not yet understood, and what all of it comes to."""
        self._waiting += self._listening.round(0)
        self._look(at_once=True)
        self._show(self._waiting)
        for line in self._summary.lines(time.monotonic() - self._began, self._listening.lost):
            _say(line)

    def _left(self) -> int | None:
        return None if self._count is None else max(0, self._count - self._summary.total)

    def _look(self, *, at_once: bool = False) -> None:
        """See who has come and gone."""
        from netlab.traffic.directory import Directory
        from netlab.traffic.reading import is_known

        wanted = not all(is_known(told, self._directory) for told in self._waiting)
        if self._now.refresh(wanted=wanted, at_once=at_once):
            self._directory = Directory(self._now.world)
        self._follow()

    def _follow(self) -> None:
        only = self._wanted.node
        nodes = self._now.nodes
        self._listening.follow({name: nodes[name] for name in nodes if only in ("", name)})

    def _show_ready(self) -> None:
        from netlab.traffic.reading import understood

        ready, self._waiting = understood(self._waiting, self._directory, self._now.asked)
        self._show(ready)

    def _show(self, told: Iterable[Told]) -> None:
        from netlab.traffic.reading import connections

        found = (one for one in connections(told, self._directory) if self._wanted.has(one))
        lines = [self._shown(one) for one in _at_most(found, self._left())]
        if lines:
            sys.stdout.write("".join(lines))
            sys.stdout.flush()

    def _shown(self, one: Opening) -> str:
        self._summary.add(one)
        return f"{self._as_line(one)}\n"

    def _tell_lost(self) -> None:
        """Each once, and soon."""
        from netlab.view.openings import lost_words

        new = Counter(self._listening.lost) - self._said
        if new and time.monotonic() >= self._said_at + _SAYING_SECONDS:
            self._said, self._said_at = Counter(self._listening.lost), time.monotonic()
            _say(f"note: {lost_words(new)}: more came than could be read")


def _at_most(found: Iterator[Opening], number: int | None) -> Iterator[Opening]:
    if number is None:
        return found
    from itertools import islice

    return islice(found, number)


def _say(text: str) -> None:
    """For people: what is told may go through a pipe."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
