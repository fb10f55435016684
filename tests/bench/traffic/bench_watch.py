"""How many new connections a second do `netlab watch` and `netlab top` keep up with?

A namespace with a rule that translates; so many UDP flows through it, opened by one sender as fast
as it can, while nobody reads, so that all of them wait; then what it costs to read them, by step:
messages read, their connections found among so many Services, lines written (text, JSON), counted.
CPU time, and by it how many a second one core handles. Last, what the events cost whoever opens
connections: how many a second the sender opens with nobody listening, and with a listener.

    sudo .venv/bin/python tests/bench/traffic/bench_watch.py [--events 30000] [--services 1000]
"""

from __future__ import annotations

import argparse
import os
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from netlab.conntrack import NewConnection
from netlab.kernel import netns
from netlab.kernel.new_connections import NewConnections
from netlab.kernel.run import run
from netlab.objects.types import EndpointSlice, Service
from netlab.pathcheck.world import Place, World
from netlab.traffic.directory import Directory
from netlab.traffic.draws import Draws
from netlab.traffic.opening import Opening
from netlab.traffic.reading import Told, connections, understood
from netlab.traffic.tally import Tally
from netlab.view.openings import Summary, json_line, line

LINKS = "link set lo up\naddr add 10.9.1.1/24 dev lo\nroute add 10.96.0.0/16 dev lo\n"
NAT = (
    "*nat\n-A OUTPUT -d 10.96.0.9 -p udp --dport 99 -j DNAT --to-destination 10.9.1.1:98\nCOMMIT\n"
)
FIRST_PORT = 10000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=30000)
    parser.add_argument("--services", type=int, default=1000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory) / "node"
        os.close(netns.create(place))
        try:
            run(["ip", "-batch", "-"], netns=place, input=LINKS)
            run(["iptables-nft-restore"], netns=place, input=NAT)
            measure(place, arguments.events, arguments.services)
        finally:
            netns.remove(place)


def measure(place: Path, number: int, services: int) -> None:
    alone = opened(place, number)
    forget(place)
    new = NewConnections(place, translated=True)
    heard = opened(place, number)
    told: list[NewConnection] = []
    reading = cpu(lambda: told.extend(new.collect(2 * number)))
    print(f"{len(told)} of {number} connections read, {new.lost} lost")
    directory = Directory(world(services))
    events: list[Told] = [("node", each) for each in told]
    found: list[Opening] = []

    def find() -> None:
        ready, _ = understood(events, directory, 0.0)
        found.extend(connections(ready, directory))

    finding = cpu(find)
    summary, tally, draws = Summary(), Tally(), Draws(directory)
    steps = {
        "messages read": reading,
        f"found among {services} Services": finding,
        "written as text": cpu(lambda: write(found, line, summary)),
        "written as JSON": cpu(lambda: write(found, json_line, summary)),
        "counted": cpu(lambda: [tally.add(one, draws.of(one)) for one in found]),
    }
    for name, seconds in steps.items():
        print(f"{name:28} {seconds / len(found) * 1e6:6.1f} µs each, {rate(len(found), seconds)}")
    both = reading + finding
    print(f"netlab watch {rate(len(found), both + steps['written as text'])} on one core")
    print(f"netlab top   {rate(len(found), both + steps['counted'])} on one core")
    print(f"opened by one sender: {alone:.0f} a second alone, {heard:.0f} while somebody listens")
    new.close()


def rate(number: int, seconds: float) -> str:
    return f"{number / seconds:8.0f} a second"


def write(found: Sequence[Opening], shown: Callable[[Opening], str], summary: Summary) -> None:
    with Path(os.devnull).open("w") as out:
        for start in range(0, len(found), 100):
            lines = []
            for one in found[start : start + 100]:
                summary.add(one)
                lines.append(f"{shown(one)}\n")
            out.write("".join(lines))
            out.flush()


def cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before


def opened(place: Path, number: int) -> float:
    """How many a second."""
    with netns.entered(place):
        began = time.monotonic()
        for port in range(FIRST_PORT, FIRST_PORT + number):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.bind(("10.9.1.1", port))
                sender.sendto(b"x", ("10.96.0.9", 99))
        return number / (time.monotonic() - began)


def forget(place: Path) -> None:
    run(["conntrack", "-F"], netns=place)


def world(services: int) -> World:
    places = [
        Place("node", "node", 0, ("10.9.1.254",)),
        Place("default/box", "pod", 0, ("10.9.1.1",), node="node"),
    ]
    objects = {}
    slices = []
    for number in range(services):
        key = f"default/web{number}"
        address = "10.96.0.9" if number == 0 else f"10.96.{number // 250 + 1}.{number % 250}"
        spec = {"clusterIP": address, "clusterIPs": [address]}
        ports = [{"port": 99, "protocol": "UDP"}]
        metadata = {"name": f"web{number}", "namespace": "default"}
        objects[key] = cast(Service, {"metadata": metadata, "spec": {**spec, "ports": ports}})
        labels = {"kubernetes.io/service-name": f"web{number}"}
        slices.append(
            cast(
                EndpointSlice,
                {
                    "metadata": {**metadata, "labels": labels},
                    "addressType": "IPv4",
                    "ports": [{"port": 98, "protocol": "UDP"}],
                    "endpoints": [{"addresses": ["10.9.1.1"], "nodeName": "node"}],
                },
            )
        )
    return World({each.name: each for each in places}, objects, tuple(slices))


if __name__ == "__main__":
    main()
