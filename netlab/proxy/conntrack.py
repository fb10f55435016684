"""Which UDP conntrack entries lead nowhere after a change, and their removal.

UDP has no end of a connection: a client that keeps its port keeps the entry alive, and with it
the translation to an endpoint that is gone. TCP clients notice by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from netlab.kernel.run import run
from netlab.proxy.model import Family
from netlab.proxy.udp import UdpPort

_NOTHING = UdpPort((), frozenset())

Entry = tuple[str, ...]
"""Arguments of `conntrack -D` that select the entries to forget."""


class WithUdp(Protocol):
    """The rules of a Service, in whichever mode."""

    udp: dict[str, UdpPort]


def stale_entries(old: WithUdp | None, new: WithUdp | None) -> list[Entry]:
    """What to forget when a Service's rules change from `old` to `new`."""
    had: Mapping[str, UdpPort] = old.udp if old else {}
    has: Mapping[str, UdpPort] = new.udp if new else {}
    found: list[Entry] = []
    for port in sorted(had.keys() | has.keys()):
        found += _stale(had.get(port, _NOTHING), has.get(port, _NOTHING))
    return found


def _stale(old: UdpPort, new: UdpPort) -> Iterable[Entry]:
    fronts = sorted({*old.frontends, *new.frontends})
    for front in fronts:
        lost = front in old.frontends and front not in new.frontends
        gone = old.endpoints if lost else old.endpoints - new.endpoints
        for ip, port in sorted(gone):
            yield (*_original(front), "--reply-src", ip, "--reply-port-src", str(port))
        if new.endpoints and not (old.endpoints and front in old.frontends):
            # Packets that came before there was an endpoint were tracked untranslated.
            yield (*_original(front), *_untranslated(front))


def _original(front: tuple[str, int]) -> Entry:
    ip, port = front
    address = ("--orig-dst", ip) if ip else ()
    return (*address, "--orig-port-dst", str(port))


def _untranslated(front: tuple[str, int]) -> Entry:
    ip, port = front
    address = ("--reply-src", ip) if ip else ()
    return (*address, "--reply-port-src", str(port))


def forget(netns: int | Path | None, family: Family, entries: Iterable[Entry]) -> None:
    """Delete those entries; it is no error when there are none."""
    for entry in entries:
        argv = ["conntrack", "-D", "-f", family, "-p", "udp", *entry]
        run(argv, netns=netns, check=False)
