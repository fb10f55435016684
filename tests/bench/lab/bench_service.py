"""How soon a new Service works: its name, and its rules on every node.

    sudo .venv/bin/python tests/bench/lab/bench_service.py [--services 20]

From the moment the API has answered the request that made it: until a pod's lookup finds the name
(to stay below 50 ms), and until a connection to the ClusterIP is answered, from each node.
"""

from __future__ import annotations

import argparse
import contextlib
import socket
import time
from collections.abc import Callable

from dnslib import DNSRecord
from scene import ROOT, netlab, private_place, row

from netlab.client.sync import Client
from netlab.kernel import netns, paths

NODES = ("master001", "worker001", "worker002")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=20)
    count = parser.parse_args().services
    names, rules = [], []
    with private_place():
        netlab("up", "-q", str(ROOT / "topologies" / "quickstart.yaml"))
        with Client(paths.api_socket(paths.lab_dir("quickstart"))) as api:
            for number in range(count):
                name, reached = one_service(api, f"new-{number}")
                names.append(name)
                rules.append(reached)
    print(f"a new Service, {count} of them: time since the API's answer")
    row("a pod's lookup finds its name", names)
    row("its ClusterIP answers from every node", rules)


def one_service(api: Client, name: str) -> tuple[float, float]:
    made = api.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"app": "webserver"}, "ports": [{"port": 80}]},
        }
    )
    began = time.monotonic()
    until(lambda: resolves(f"{name}.default.svc.cluster.local"))
    resolved = time.monotonic() - began
    until(lambda: all(answers(node, made["spec"]["clusterIP"]) for node in NODES))
    return resolved, time.monotonic() - began


def until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.0005)


def resolves(name: str) -> bool:
    with inside("default.client-pod", socket.SOCK_DGRAM) as asking:
        asking.settimeout(1)
        asking.connect(("10.96.0.10", 53))
        asking.send(DNSRecord.question(name).pack())
        return bool(DNSRecord.parse(asking.recv(512)).rr)


def answers(node: str, address: str) -> bool:
    with inside(node, socket.SOCK_STREAM) as client, contextlib.suppress(OSError):
        client.settimeout(0.02)
        client.connect((address, 80))
        return True
    return False


def inside(place: str, kind: socket.SocketKind) -> socket.socket:
    path = paths.namespace(paths.lab_dir("quickstart"), f"quickstart.{place}")
    with netns.entered(path):
        return socket.socket(socket.AF_INET, kind)


if __name__ == "__main__":
    main()
