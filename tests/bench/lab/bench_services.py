"""How a running lab takes many Services: created through its API, until their rules are in force.

    sudo .venv/bin/python tests/bench/lab/bench_services.py [--services 10000] [--mode iptables]

Each Service has an EndpointSlice of its own, with a pod of the quickstart's behind it; the lab has
three nodes. Until the last is in force: a connection to its ClusterIP is answered from each node.
Then, beside so many: one more. Memory is the controller's, resident.
"""

from __future__ import annotations

import argparse
import itertools
import threading
import time
from typing import Any

from scene import ROOT, answers, memory, netlab, private_place, row, until

from netlab.client.sync import Client
from netlab.kernel import paths

NODES = ("quickstart.master001", "quickstart.worker001", "quickstart.worker002")
CLIENTS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--mode", choices=("iptables", "nftables"), default="iptables")
    args = parser.parse_args()
    with private_place() as base:
        file = base / "lab.yaml"
        file.write_text(with_mode((ROOT / "topologies" / "quickstart.yaml").read_text(), args.mode))
        netlab("up", "-q", str(file))
        with Client(paths.api_socket(paths.lab_dir("quickstart"))) as api:
            measure(api, args.services, args.mode)


def with_mode(text: str, mode: str) -> str:
    return text.replace("proxyMode: iptables", f"proxyMode: {mode}", 1)


def measure(api: Client, count: int, mode: str) -> None:
    before = memory("quickstart")["controller"]
    backend = next(iter(api.list("Pod", "default", query={"labelSelector": "app=webserver"})))[
        "status"
    ]["podIP"]
    began = time.monotonic()
    created_in = create_all(count, backend)
    last = api.get("Service", "default", f"many-{count - 1}")["spec"]["clusterIP"]
    until(lambda: all(answers(node, last) for node in NODES))
    in_force = time.monotonic() - began - created_in
    after = memory("quickstart")["controller"]
    print(f"{count:,} Services with a slice each, three nodes, {mode} mode")
    print(f"  created: {created_in:.1f} s, {2 * count / created_in:,.0f} objects/s")
    print(f"  rules in force on all nodes after the last: {in_force:.2f} s")
    print(f"  controller: {before:.0f} → {after:.0f} MiB")
    row("one more, in force", [one_more(api, n, backend) for n in range(5)])


def create_all(count: int, backend: str) -> float:
    numbers, began = itertools.count(), time.monotonic()
    workers = [
        threading.Thread(target=create_some, args=(numbers, count, backend)) for _ in range(CLIENTS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return time.monotonic() - began


def create_some(numbers: itertools.count[int], count: int, backend: str) -> None:
    with Client(paths.api_socket(paths.lab_dir("quickstart"))) as api:
        for number in numbers:
            if number >= count:
                return
            create(api, f"many-{number}", backend)


def one_more(api: Client, number: int, backend: str) -> float:
    began = time.monotonic()
    address = create(api, f"more-{number}", backend)
    until(lambda: all(answers(node, address) for node in NODES))
    return time.monotonic() - began


def create(api: Client, name: str, backend: str) -> Any:
    """A Service and its slice; the ClusterIP."""
    meta = {"name": name, "namespace": "default"}
    spec = {"ports": [{"port": 80, "targetPort": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    made = api.create(service)
    api.create(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"port": 80}],
            "endpoints": [{"addresses": [backend], "conditions": {"ready": True}}],
        }
    )
    return made["spec"]["clusterIP"]


if __name__ == "__main__":
    main()
