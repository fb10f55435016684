"""How fast a change shows, and how fast dnsmasq answers, with 10,000 Services.

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

from netlab.dns.server import DnsServer
from netlab.kernel import netns, process, sysctl


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


async def measure(namespace: int, directory: Path, owner: str, count: int) -> None:
    server = DnsServer(directory / "dns", owner, "cluster.local")
    for index in range(count):
        server.set_service(f"default/s{index}", service(index, address(index)))
    start = time.perf_counter()
    server.apply()
    applied = time.perf_counter()
    await server.start(namespace)
    started = time.perf_counter()
    with netns.entered(namespace):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with sock:
        sock.settimeout(2)
        sock.connect(("127.0.0.1", 53))
        times = await changes(server, sock, count)
        rate = queries_a_second(sock, count)
    await server.stop()
    print(f"{count} services: files {(applied - start) * 1000:.0f} ms,", end=" ")
    print(f"dnsmasq up {(started - applied) * 1000:.0f} ms,", end=" ")
    print(f"a change {statistics.median(times):.1f} ms (worst {max(times):.1f}),", end=" ")
    print(f"{rate:,.0f} queries/s")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    owner = str(uuid.uuid4())
    with tempfile.TemporaryDirectory() as name:
        namespace = netns.create(Path(name) / "netns")
        sysctl.set(namespace, {"net.ipv4.ip_unprivileged_port_start": "0"})
        try:
            with netns.entered(namespace):
                subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            asyncio.run(measure(namespace, Path(name), owner, count))
        finally:
            process.end(process.owned(owner))
            os.close(namespace)
            netns.remove(Path(name) / "netns")


if __name__ == "__main__":
    main()
