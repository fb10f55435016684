"""What the benches of whole labs share: a private place for labs, and looks at processes."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from dnslib import DNSRecord

from netlab.kernel import netns, paths, process

ROOT = Path(__file__).parents[3]


@contextlib.contextmanager
def private_place() -> Iterator[Path]:
    """A directory for labs of our own; what is left in it at the end is taken down."""
    with _ended_in_order(), tempfile.TemporaryDirectory(prefix="netlab-bench-") as base:
        os.environ[paths.RUN_VARIABLE] = f"{base}/run"
        os.environ[paths.NETNS_DIR_VARIABLE] = f"{base}/netns"
        try:
            yield Path(base)
        finally:
            netlab("down", "--all", "-q")


@contextlib.contextmanager
def _ended_in_order() -> Iterator[None]:
    """SIGTERM, as `timeout` sends it, ends by an exception, so that what was begun is taken down.
    Once: timeout sends it to the bench, and then to its whole group."""

    def end(number: int, _: object) -> None:
        signal.signal(number, lambda *_: None)
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def netlab(*argv: str) -> float:
    """Run one command line, as typed; the seconds it took."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "netlab", *argv], check=True, cwd=ROOT)
    return time.monotonic() - began


def memory(lab: str) -> dict[str, float]:
    """Resident MiB of a lab's controller, its responder and the rest of its processes."""
    found = {"controller": 0.0, "responder": 0.0, "others": 0.0}
    for pid in process.owned(netns.owner(paths.lab_dir(lab)) or ""):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a restore that has ended
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            names = {b"netlab.boot": "controller", b"netlab responder": "responder"}
            name = next((names[word] for word in command if word in names), "others")
            found[name] += int(_status(pid).get("VmRSS", "0").split()[0]) / 1024
    return found


def spent(lab: str) -> tuple[float, float]:
    """CPU seconds of a lab's controller: its own, and those of programs that it ran to their end,
    as restores."""
    for pid in process.owned(netns.owner(paths.lab_dir(lab)) or ""):
        if b"netlab.boot" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
            user, system, of_children, in_kernel = (
                int(one) / os.sysconf("SC_CLK_TCK") for one in ticks
            )
            return user + system, of_children + in_kernel
    return 0.0, 0.0


def processes(lab: str) -> int:
    """How many processes a lab has."""
    return len(process.owned(netns.owner(paths.lab_dir(lab)) or ""))


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def row(what: str, seconds: Sequence[float]) -> None:
    """One line of a table: the median and the extremes, in milliseconds."""
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    print(f"  {what:<44}{middle * 1000:8.0f} ms   ({low * 1000:.0f} to {high * 1000:.0f})")


def until(holds: Callable[[], object]) -> None:
    """Wait, looking twice a millisecond."""
    while not holds():
        time.sleep(0.0005)


def resolved(place: str, name: str, server: str = "10.96.0.10") -> str:
    """What the cluster's DNS answers first, asked from a namespace (`LAB.NAMESPACE.POD`)."""
    with _inside(place, socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect((server, 53))
        asking.send(DNSRecord.question(name).pack())
        found = DNSRecord.parse(asking.recv(512)).rr
        return str(found[0].rdata) if found else ""


def answers(place: str, address: str) -> bool:
    """Whether port 80 of an address takes a connection from a namespace."""
    with _inside(place, socket.SOCK_STREAM) as client, contextlib.suppress(OSError):
        client.settimeout(0.02)
        client.connect((address, 80))
        return True
    return False


def _inside(place: str, kind: socket.SocketKind) -> socket.socket:
    with netns.entered(paths.namespace(paths.lab_dir(place.split(".")[0]), place)):
        return socket.socket(socket.AF_INET, kind)
