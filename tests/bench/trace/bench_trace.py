"""How long does a trace take, from typing to output? And opening its instruments?

In a lab of three nodes with so many Services, each with the same endpoints: `netlab trace` of one
TCP connection to the last of them, over and over, the interpreter's start included; its CPU time,
and what it takes of the controller's; and beside it a bare `python -c pass`. What tracing costs
others: requests a second to the same Service, each on a connection of its own, while nothing is
traced, and while another one's connections or datagrams are followed. Then capture points: opened,
proved and closed in so many namespaces.

    sudo .venv/bin/python tests/bench/trace/bench_trace.py [--services 0 1000] [--mode nftables]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from netlab.kernel import netns, paths
from netlab.kernel.run import run as run_program
from netlab.pathcheck.capture import Capture

LAB = """\
apiVersion: netlab/v1
kind: Lab
metadata: {name: bench}
spec: {nodes: 3, proxyMode: %s}
---
apiVersion: v1
kind: Pod
metadata: {name: box}
spec: {nodeName: worker001, containers: [{name: box, image: netshoot, command: [sleep, "9999"]}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: nginx}]}
"""
SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: web%d}
spec: {selector: {app: web}, ports: [{port: 80}]}
"""
WITHIN = 100
"""Milliseconds in the controller, which is asked for the lab's objects alone."""

GOALS = {0: 0.3, 1000: 0.5, 10000: 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, nargs="+", default=[0, 1000])
    parser.add_argument("--mode", default="iptables", choices=["iptables", "nftables"])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--captures", type=int, default=1000)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # as an installation has it
    print(f"python -c pass: {timed(['-c', 'pass'], options.rounds)}")
    for services in options.services:
        with lab(options.mode, services):
            target = f"svc/web{services}:80"
            words = ["-m", "netlab", "trace", "box", target, "--minimal"]
            goal = GOALS.get(services)
            busy, told = controller(), timed(words, options.rounds)
            inside = 1000 * (controller() - busy) / (options.rounds + 1)
            print(f"{services} Services: {told}, goal {goal or '-'} s; ", end="")
            print(f"of the controller's CPU {inside:.0f} ms, goal {WITHIN}")
            if not services:
                words = [*words[:4], "web0:80", "--http", "/"]
                print(f"  by its name, with --http: {timed(words, options.rounds)}")
                others(target, options.rounds)
    captures(options.captures)


@contextlib.contextmanager
def lab(mode: str, services: int) -> Iterator[None]:
    """Its Services are called web0 and so on."""
    with tempfile.TemporaryDirectory() as base:
        os.environ["PYTHONPYCACHEPREFIX"] = f"{base}/compiled"
        os.environ[paths.RUN_VARIABLE] = f"{base}/run"
        os.environ[paths.NETNS_DIR_VARIABLE] = f"{base}/netns"
        file = Path(base) / "lab.yaml"
        file.write_text(LAB % mode + "".join(SERVICE % n for n in range(services + 1)))
        python(["-m", "netlab", "up", str(file), "-q"])
        try:
            yield
        finally:
            python(["-m", "netlab", "down"])


def python(argv: Sequence[str]) -> None:
    subprocess.run([sys.executable, *argv], check=True, stdout=subprocess.DEVNULL)


def timed(argv: Sequence[str], rounds: int) -> str:
    """The median in seconds, and the CPU's."""
    python(argv)
    walls, spent = [], []
    for _ in range(rounds):
        before, since = used(), time.perf_counter()
        python(argv)
        walls.append(time.perf_counter() - since)
        spent.append(used() - before)
    return f"{statistics.median(walls):.3f} s, of the CPU {statistics.median(spent):.3f} s"


def controller() -> float:
    """Seconds of the CPU that it has had."""
    number = (paths.lab_dir("bench") / "controller.pid").read_text().strip()
    told = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def captures(number: int) -> None:
    """Opened, proved, closed."""
    with tempfile.TemporaryDirectory() as base, contextlib.ExitStack() as stack:
        places: dict[str, Path | int] = {}
        for n in range(number):
            path = Path(base) / f"n{n}"
            descriptor = netns.create(path)
            stack.callback(netns.remove, path)
            stack.callback(os.close, descriptor)
            with netns.entered(descriptor):
                run_program(["ip", "link", "set", "lo", "up"])
            places[str(n)] = descriptor
        since = time.perf_counter()
        with Capture(places) as capture:
            opened = time.perf_counter()
            capture.prove()
            proved = time.perf_counter()
        closed = time.perf_counter()
    parts = (opened - since, proved - opened, closed - proved)
    words = "opened in {:.0f} ms, proved in {:.0f} ms, closed in {:.0f} ms"
    print(f"{number} captures: {words.format(*(1000 * each for each in parts))}")


def others(target: str, rounds: int) -> None:
    """Requests a second of one who goes on while another one's connections, and datagrams, are
    waited for: of each round the share of what it is before and behind; and what a request takes of
    the CPU, which others on this machine do not change."""
    command = ["-m", "netlab", "get", "svc", "web0", "-o", "jsonpath={.spec.clusterIP}"]
    found = subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)
    for protocol in ("tcp", "udp"):
        quiet, busy = [requests(found.stdout)], []
        for _ in range(rounds):
            with following(target, protocol):
                busy.append(requests(found.stdout))
            quiet.append(requests(found.stdout))
        shares = [
            one.rate / statistics.mean((before.rate, after.rate))
            for one, (before, after) in zip(busy, pairwise(quiet), strict=True)
        ]
        rate, spent, more = (
            statistics.median(each)
            for each in ([o.rate for o in quiet], [o.cpu for o in quiet], [o.cpu for o in busy])
        )
        print(
            f"  requests a second: {rate:.0f}, while another's {protocol.upper()} is followed "
            f"{100 * statistics.median(shares):.0f} % of that; "
            f"of the CPU {1e6 * spent:.0f} µs each, then {1e6 * more:.0f}"
        )


@contextlib.contextmanager
def following(target: str, protocol: str) -> Iterator[None]:
    words = ["netlab", "trace", "worker002", target, "--follow", f"--{protocol}"]
    with subprocess.Popen([sys.executable, "-m", *words], stderr=subprocess.PIPE) as command:
        assert command.stderr is not None
        command.stderr.readline()
        time.sleep(0.7)
        try:
            yield
            if command.poll() is not None:
                raise SystemExit("it has not waited")
        finally:
            command.kill()


class Requests(NamedTuple):
    """So many a second, and seconds of the asking process's CPU for each."""

    rate: float
    cpu: float


def requests(address: str, seconds: float = 1.0) -> Requests:
    """From a pod to the Service, each on a connection of its own, by a process of its own."""
    place = paths.namespace(paths.lab_dir("bench"), "bench.default.box")
    script = (
        "import socket, time\n"
        f"end, count = time.monotonic() + {seconds}, 0\n"
        f"while time.monotonic() < end:\n"
        f"    with socket.create_connection(({address!r}, 80)) as asking:\n"
        "        asking.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
        "        while asking.recv(65536): pass\n"
        "        count += 1\n"
        "print(count, time.process_time())"
    )
    with netns.entered(place):
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
    count, spent = map(float, done.stdout.split())
    return Requests(count / seconds, spent / max(count, 1))


if __name__ == "__main__":
    main()
