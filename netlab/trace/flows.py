"""A flow begun for the sake of its later packets: the first has passed, the next is ready to go.

TCP's is a real connection of the sender's kernel, or that would turn the answer away; its next
packet carries data. Of datagrams and echoes the first is a probe, and the next another.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from netlab.errors import NetlabError
from netlab.kernel import netns as namespaces
from netlab.kernel.nftrace import Pattern
from netlab.pathcheck.capture import Capture
from netlab.pathcheck.decode import endpoint
from netlab.pathcheck.packets import ProbeNumbers, ProbePacket
from netlab.pathcheck.path import Sightings
from netlab.pathcheck.send import Senders
from netlab.pathcheck.trial import Trial

_LENGTH = len("netlab-00000000\n")
_NO_OPTIONS, _TIMESTAMPS = 20, 32
"""Where TCP's data begins: without options, and with the one that Linux has with all data."""

# linux/tcp.h
_TCP_REPAIR, _TCP_REPAIR_QUEUE, _TCP_QUEUE_SEQ = 19, 20, 21
_SEND_QUEUE, _OFF_WITHOUT_PROBE = 2, -1

_FIRST_SECONDS = 0.3


class NoFlow(NetlabError):
    """The first packet got no answer that a later one could follow: there is nothing to see."""

    exit_code = 2


class Later(Struct, frozen=True):
    """A packet that is ready to go; `replied`: its flow has been answered. Its `ip_id` is the
    kernel's to choose where that is 0. `data`: it is what a TCP connection carries."""

    probe: ProbePacket
    send: Callable[[], str]
    replied: bool
    data: bool = False


@contextlib.contextmanager
def begun(trial: Trial, first: ProbePacket) -> Iterator[Later]:
    """A flow that has the first packet's addresses and ports, until the body ends."""
    if first.proto == "tcp":
        with contextlib.ExitStack() as stack:
            yield _connected(trial, first, stack)
        return
    with Capture({trial.place.name: trial.place.netns}) as capture, Senders() as senders:
        capture.prove()
        yield _asked(trial, first, capture, senders)


def _connected(trial: Trial, first: ProbePacket, stack: contextlib.ExitStack) -> Later:
    family = socket.AF_INET6 if ":" in first.dst else socket.AF_INET
    with namespaces.entered(trial.place.netns):
        sock = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
    sock.settimeout(trial.protocol.seconds)
    try:
        sock.bind((first.src, first.sport))
        sock.connect((first.dst, first.dport))
    except OSError as error:
        why = "nobody answers" if not error.errno else os.strerror(error.errno).lower()
        raise NoFlow(
            f"no connection from {trial.place.name} to {first.destination} comes about: {why}",
            hint="trace its first packet: leave --ct away",
        ) from error
    # By this key its acknowledgement is known, as that of a SYN is.
    probe = replace(first, key=(_next_number(sock) + _LENGTH - 1) % 2**32, ip_id=0)

    def send() -> str:
        sock.sendall(f"{_token(probe)}\n".encode())
        return ""

    return Later(probe, send, replied=True, data=True)


def _next_number(sock: socket.socket) -> int:
    """The sequence number that its next byte will have, which the kernel tells for a moment in
    which the connection stands still."""
    sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR_QUEUE, _SEND_QUEUE)
        return sock.getsockopt(socket.IPPROTO_TCP, _TCP_QUEUE_SEQ) % 2**32
    finally:
        sock.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, _OFF_WITHOUT_PROBE)


def _asked(trial: Trial, first: ProbePacket, capture: Capture, senders: Senders) -> Later:
    place = trial.place
    refusal = senders.send(place.netns, first)
    if refusal:
        raise NoFlow(f"{place.name} cannot send to {first.dst}: {refusal}")
    sightings = Sightings()
    deadline = time.monotonic() + max(trial.protocol.seconds, _FIRST_SECONDS)
    while (left := deadline - time.monotonic()) > 0 and sightings.answer(first, place.name) is None:
        sightings.add(capture.collect(left))
    answer = sightings.answer(first, place.name)
    if answer is not None and answer.icmp_error is not None:
        raise NoFlow(
            f"the first packet from {place.name} to {endpoint(first.dst, first.dport)} was refused",
            hint="trace it: leave --ct away",
        )
    probe = replace(
        first, key=ProbeNumbers().probe(first.proto, "", "", 0).key, ip_id=first.ip_id + 1
    )
    return Later(probe, lambda: senders.send(place.netns, probe), replied=answer is not None)


def _token(probe: ProbePacket) -> str:
    return f"netlab-{probe.key:08x}"


def patterns(probe: ProbePacket) -> Iterator[Pattern]:
    """By what TCP's data, and its acknowledgement, are known."""
    for begins in (_NO_OPTIONS, _TIMESTAMPS):
        yield Pattern(begins, _token(probe).encode())
    yield Pattern(8, struct.pack(">I", (probe.key + 1) % 2**32))
