"""How fast a change shows, and how fast names are answered, with 10,000 Services.

Run as root: `python tests/bench/dns/bench_dns.py [services]`. Works in namespaces of its own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

from dnslib import DNSRecord

from netlab.dns.config import DNSMASQ_PORTS
from netlab.dns.server import DnsServer, names_keeper
from netlab.kernel import netns, process


def service(index: int, address: str) -> dict[str, object]:
    return {
        "metadata": {"namespace": "default", "name": f"s{index}"},
        "spec": {"clusterIP": address, "ports": [{"name": "http", "port": 80}]},
    }


def address(index: int) -> str:
    return f"10.{96 + index // 65536}.{index // 256 % 256}.{index % 256}"


def ask(sock: socket.socket, index: int) -> list[str]:
    sock.send(DNSRecord.question(f"s{index}.default.svc.cluster.local").pack())
    return [str(record.rdata) for record in DNSRecord.parse(sock.recv(512)).rr]


async def changes(server: DnsServer, sock: socket.socket, count: int) -> list[float]:
    """Milliseconds from `apply` to the first right answer, for address changes."""
    times = []
    for index in range(0, count, max(1, count // 100)):
        new = f"10.111.{index // 256 % 256}.{index % 256}"
        server.set_service(f"default/s{index}", service(index, new))
        start = time.perf_counter()
        server.apply()
        while ask(sock, index) != [new]:
            pass
        times.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(0)
    return times


def queries_a_second(sock: socket.socket, count: int) -> float:
    packets = [
        DNSRecord.question(f"s{i * 7919 % count}.default.svc.cluster.local").pack()
        for i in range(2000)
    ]
    start, window = time.perf_counter(), 50
    for at in range(0, len(packets), window):
        for packet in packets[at : at + window]:
            sock.send(packet)
        for _ in packets[at : at + window]:
            sock.recv(512)
    return len(packets) / (time.perf_counter() - start)


def latency(sock: socket.socket, count: int) -> float:
    """Microseconds from a query to its answer, of one who asks 1,000 times a second."""
    times = []
    for index in range(1000):
        packet = DNSRecord.question(f"s{index * 7919 % count}.default.svc.cluster.local").pack()
        start = time.perf_counter()
        sock.send(packet)
        sock.recv(512)
        times.append(time.perf_counter() - start)
        time.sleep(max(0.0, start + 0.001 - time.perf_counter()))
    return statistics.median(times) * 1e6


async def measure(namespace: Path, directory: Path, owner: str, count: int) -> None:
    keeper = names_keeper(directory / "c.sock", owner, directory / "log")
    server = DnsServer(directory / "dns", owner, keeper, "cluster.local")
    for index in range(count):
        server.set_service(f"default/s{index}", service(index, address(index)))
    start = time.perf_counter()
    server.apply()
    applied = time.perf_counter()
    await server.start(namespace)
    started = time.perf_counter()
    asked = {port: connected(namespace, port) for port in (53, DNSMASQ_PORTS[0])}
    times = await changes(server, asked[53], count)
    rates = {port: queries_a_second(sock, count) for port, sock in asked.items()}
    delays = {port: latency(sock, count) for port, sock in asked.items()}
    for sock in asked.values():
        sock.close()
    await server.stop()
    print(f"{count} services: files {(applied - start) * 1000:.0f} ms,", end=" ")
    print(f"up {(started - applied) * 1000:.0f} ms,", end=" ")
    print(f"a change {statistics.median(times):.1f} ms (worst {max(times):.1f})")
    for port, who in ((53, "clients"), (DNSMASQ_PORTS[0], "dnsmasq by itself")):
        print(f"{who}: {rates[port]:,.0f} queries/s, {delays[port]:.0f} µs at 1,000 a second")


def connected(namespace: Path, port: int) -> socket.socket:
    with netns.entered(namespace):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(2)
    sock.connect(("127.0.0.1", port))
    return sock


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    owner = str(uuid.uuid4())
    with tempfile.TemporaryDirectory() as name:
        namespace = Path(name) / "netns"
        os.close(netns.create(namespace))
        try:
            with netns.entered(namespace):
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            asyncio.run(measure(namespace, Path(name), owner, count))
        finally:
            process.end(process.owned(owner))
            netns.remove(namespace)


if __name__ == "__main__":
    main()
