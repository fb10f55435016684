"""From objects to traffic: 1,000 Services given to a node's proxy at once, and a TCP connection
through the last of them.

    sudo python tests/bench/proxy/bench_traffic.py [--services 1000] [VARIANT...]

Target: 0.5 s, which is what kube-proxy 1.36 took. Variants: nft, legacy, nftables (the mode).
The node is one namespace; the endpoints are addresses of its own loopback, and the client is the
node. Each variant has a fresh namespace and is measured three times; the median counts.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.objects import meta
from netlab.proxy.appliers import AnyApplier
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.nftables.apply import NftApplier
from netlab.proxy.syncer import Proxier

sys.path.insert(0, str(Path(__file__).parent))
from bench_sync import config, endpoint_slice, namespace, service

TARGET = 0.5

APPLIERS: dict[str, Callable[[int], AnyApplier]] = {
    "nft": lambda fd: RestoreApplier("nft", "ipv4", fd),
    "legacy": lambda fd: RestoreApplier("legacy", "ipv4", fd),
    "nftables": lambda fd: NftApplier("ipv4", fd),
}


def wire(descriptor: int, address: str) -> None:
    """A node with a route to the Services, and the last Service's endpoint on loopback."""
    lines = ["link set lo up", f"addr add {address}/32 dev lo", "route add default dev lo"]
    run(["ip", "-batch", "-"], input="\n".join(lines) + "\n", netns=descriptor)


def to_traffic(count: int, variant: str) -> tuple[float, float]:
    """Seconds until the rules are in force, and until a connection through the last Service."""
    last = service(count - 1)
    (endpoint,) = endpoint_slice(count - 1, 1)["endpoints"][0]["addresses"]
    with namespace() as descriptor, contextlib.ExitStack() as stack:
        wire(descriptor, endpoint)
        with netns.entered(descriptor):
            server = stack.enter_context(socket.create_server((endpoint, 8080)))
            client = stack.enter_context(socket.socket())
        proxier = Proxier(config(variant), [APPLIERS[variant](descriptor)], netns=descriptor)
        services = [service(i) for i in range(count)]
        slices = [endpoint_slice(i) for i in range(count - 1)] + [endpoint_slice(count - 1, 1)]
        began = time.perf_counter()
        for obj in services:
            proxier.set_service(meta.key(obj), obj)
        for obj in slices:
            proxier.set_slice(meta.key(obj), obj)
        proxier.sync()
        synced = time.perf_counter() - began
        client.settimeout(5)
        client.connect((last["spec"]["clusterIP"], 80))
        server.accept()[0].close()
        return synced, time.perf_counter() - began


def main() -> None:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=1_000)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", help=", ".join(APPLIERS))
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root")
    for variant in arguments.variants or APPLIERS:
        runs = [to_traffic(arguments.services, variant) for _ in range(3)]
        synced, traffic = (statistics.median(column) for column in zip(*runs, strict=True))
        verdict = "met" if traffic <= TARGET else "missed"
        print(
            f"{variant}: {arguments.services} services, from apply to traffic {traffic:6.3f} s"
            f"  (sync {synced:.3f} s; target {TARGET} s: {verdict})",
            flush=True,
        )


if __name__ == "__main__":
    main()
