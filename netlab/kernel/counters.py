"""What the kernel has counted in one network namespace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from netlab.kernel import netns as namespaces

_SNMP = Path("/proc/thread-self/net/snmp")
_SNMP6 = Path("/proc/thread-self/net/snmp6")
_TRACKED = Path("/proc/sys/net/netfilter/nf_conntrack_count")
_MOST_TRACKED = Path("/proc/sys/net/netfilter/nf_conntrack_max")


class Counters(Struct, frozen=True):
    """Segments that its sockets sent again, ICMP messages of a destination that cannot be reached
    that it sent, since it is there; connections tracked now, and how many may be. None is what the
    kernel does not tell."""

    retransmissions: int | None
    unreachable: int | None
    tracked: int | None
    most_tracked: int | None


def counters(netns: Path | int) -> Counters:
    """Those of now. `OSError` or `KernelRefused` where there is no such namespace."""
    with namespaces.entered(netns):
        four, six = snmp(_text(_SNMP)), snmp6(_text(_SNMP6))
        tracked, most = _number(_TRACKED), _number(_MOST_TRACKED)
    sent = [four.get("Icmp.OutDestUnreachs"), six.get("Icmp6OutDestUnreachs")]
    told = [each for each in sent if each is not None]
    return Counters(four.get("Tcp.RetransSegs"), sum(told) if told else None, tracked, most)


def retransmissions(netns: Path | int) -> int | None:
    """The first of them alone: of a pod no more is asked, and there are many."""
    with namespaces.entered(netns):
        return snmp(_text(_SNMP)).get("Tcp.RetransSegs")


def snmp(text: str) -> Mapping[str, int]:
    """`Tcp: A B` above `Tcp: 1 2` as `{"Tcp.A": 1, "Tcp.B": 2}`."""
    return dict(_pairs(text.splitlines()))


def _pairs(lines: list[str]) -> Iterator[tuple[str, int]]:
    for titles, values in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, names = titles.partition(":")
        numbers = values.partition(":")[2].split()
        yield from (
            (f"{protocol}.{name}", int(value))
            for name, value in zip(names.split(), numbers, strict=False)
        )


def snmp6(text: str) -> Mapping[str, int]:
    """A name and a number a line."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _number(path: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError):
        return int(path.read_text())
    return None
