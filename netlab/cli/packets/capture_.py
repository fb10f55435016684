"""Examples:

    sudo netlab capture -o lab.pcapng             all packets, at every interface of every namespace
    sudo netlab capture --from client-pod --to svc/web:80 -o web.pcapng
    sudo netlab capture --to pod/web-0 --udp --duration 30s -o web.pcapng
    sudo netlab capture -o - | wireshark -k -i -
    sudo netlab capture --to svc/web --count 100 -o - | tcpdump -nr -

FROM and TO are a pod, a node, a client, deploy/NAME, svc/NAME:PORT, an address: packets between
them, whichever sends, under all addresses that NAT gives them. Interfaces are named PLACE:IFNAME;
pods that come while it runs are heard too.

It ends with Ctrl-C, after --count packets, or --duration. Exit code: 0 so; 1 if the lab was taken
down meanwhile, with what was seen until then in the file.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options, terminal
from netlab.cli.packets import signals
from netlab.errors import NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.pathcheck.conversation import Conversation
    from netlab.pathcheck.recording import Recording
    from netlab.pathcheck.world import World

_PROTOCOLS = {"tcp": (6,), "udp": (17,), "icmp": (1, 58)}
_ROUND_SECONDS = 0.1
_LOOK_SECONDS = 1.0
"""How often the lab is asked who is who, while there is reason to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Between whom, where to, how long."""
    parser.add_argument("--from", dest="sender", default="", metavar="FROM", help="of one side")
    parser.add_argument("--to", dest="target", default="", metavar="TO", help="of the other side")
    options.add_namespace(parser)
    kinds = parser.add_mutually_exclusive_group()
    for name in _PROTOCOLS:
        kinds.add_argument(
            f"--{name}", dest="protocol", action="store_const", const=name, help=f"{name} alone"
        )
    parser.add_argument("--count", type=_count, metavar="N", help="end after so many")
    parser.add_argument("--duration", metavar="TIME", help="end after 30s, 5m")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the pcapng file; - is for a pipe"
    )


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or text == "0":
        raise argparse.ArgumentTypeError(f"'{text}' is no number of packets")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Write packets until it is to end."""
    from netlab import inventory, lab

    seconds = options.duration(arguments.duration) if arguments.duration else None
    if seconds is not None and seconds <= 0:
        raise UsageError(f"{arguments.duration} is no time to capture", hint="--duration 30s")
    lab.need_root("capture")
    with _output(arguments.output) as write:
        directory = inventory.running(arguments.lab)
        return _Capturing(arguments, directory, seconds).run(write)


@contextlib.contextmanager
def _output(name: str) -> Iterator[Callable[[bytes], None]]:
    from netlab.kernel.results import PRIVATE, result

    if name != "-":
        with result(Path(name), PRIVATE) as file:
            yield file.write
        return
    descriptor = terminal.raw(sys.stdout).fileno()
    if os.isatty(descriptor):
        hint = "sudo netlab capture -o - | wireshark -k -i -"
        raise UsageError("packets are nothing for a terminal", hint=hint)

    def write(data: bytes) -> None:
        while data:
            data = data[os.write(descriptor, data) :]

    yield write


class _Capturing:
    """A capture of a lab, which may change, and go, while it runs."""

    def __init__(
        self, arguments: argparse.Namespace, directory: Path, seconds: float | None
    ) -> None:
        self._arguments = arguments
        self._directory = directory
        self._seconds = seconds
        self._known = frozenset[str]()
        self._looked = 0.0
        self._unknown_since = 0.0
        self._world = self._ask()

    def run(self, write: Callable[[bytes], None]) -> int:
        """The exit code."""
        from netlab.diagnosis.facts import count
        from netlab.pathcheck.recording import Recording

        ended = threading.Event()
        conversation = self._conversation()  # refused before anything is written
        with signals.heard(ended), Recording(write, conversation) as recording:
            recording.follow(self._paths())
            self._say(f"capturing in {count(recording.places, 'namespace')}; Ctrl-C ends it")
            is_there = self._until_end(recording, ended)
            recording.finish(self._left(recording))
            self._tell(recording)
        if is_there:
            return 0
        self._say(f"error: lab {self._directory.name} was taken down meanwhile")
        return NetlabError.exit_code

    def _until_end(self, recording: Recording, ended: threading.Event) -> bool:
        """Whether the lab was still there."""
        from netlab.kernel import paths

        end = time.monotonic() + self._seconds if self._seconds is not None else None
        while not ended.is_set() and self._left(recording) != 0:
            left = end - time.monotonic() if end is not None else _ROUND_SECONDS
            if left <= 0:
                break
            recording.round(min(left, _ROUND_SECONDS), self._left(recording))
            if not paths.lab_file(self._directory).exists():
                return False
            self._follow(recording)
        return True

    def _left(self, recording: Recording) -> int | None:
        """How many packets are yet to come."""
        count = self._arguments.count
        return None if count is None else max(0, count - recording.packets)

    def _follow(self, recording: Recording) -> None:
        """See who has come and gone; the lab's objects are asked when there is reason to."""
        if self._is_to_look():
            with contextlib.suppress(NetlabError, OSError):  # it is busy, or about to go
                self._world = self._ask()
                recording.ask_for(self._conversation())
        recording.follow(self._paths())

    def _is_to_look(self) -> bool:
        if time.monotonic() < self._looked + _LOOK_SECONDS:
            return False
        chosen = self._arguments.sender or self._arguments.target
        return bool(chosen) or self._names() != self._known or self._is_somebody_unknown()

    def _is_somebody_unknown(self) -> bool:
        """Whether a namespace has come of late whose pod has no address yet."""
        return time.monotonic() < self._unknown_since + 10 * _LOOK_SECONDS

    def _ask(self) -> World:
        from netlab.cli.packets import lab_world

        names = self._names()
        self._looked = time.monotonic()
        world = lab_world.world(self._arguments, self._directory)
        if names != self._known:
            self._unknown_since = self._looked
        self._known = names
        return world

    def _names(self) -> frozenset[str]:
        from netlab.kernel import paths

        try:
            return frozenset(os.listdir(paths.namespaces(self._directory)))  # noqa: PTH208
        except OSError:
            return frozenset()

    def _paths(self) -> dict[str, Path]:
        places = self._world.places.items()
        return {name: place.netns for name, place in places if isinstance(place.netns, Path)}

    def _conversation(self) -> Conversation:
        from netlab.trace.sides import conversation_of

        arguments = self._arguments
        return conversation_of(
            arguments.sender,
            arguments.target,
            self._world,
            namespace=arguments.namespace or "default",
            protocols=frozenset(_PROTOCOLS.get(arguments.protocol, ())),
        )

    def _tell(self, recording: Recording) -> None:
        from netlab.diagnosis.facts import count

        seen = count(recording.packets, "packet")
        points = count(len(recording.points), "interface")
        where = "" if self._arguments.output == "-" else f", in {self._arguments.output}"
        lost = recording.lost
        by_place = ", ".join(f"{place} {number}" for place, number in lost.most_common())
        missed = f"lost {lost.total()}: {by_place}" if lost else "none lost"
        self._say(f"{seen} at {points}{where}; {missed}")

    def _say(self, text: str) -> None:
        """For people: what is written may go through standard output."""
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()
