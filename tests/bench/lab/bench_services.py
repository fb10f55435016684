"""How a running lab takes many Services: created through its API, until their rules are in force.

    sudo .venv/bin/python tests/bench/lab/bench_services.py [--services 10000] [--mode iptables]
        [--nodes 3]

Each Service has an EndpointSlice of its own, with a pod of the quickstart's behind it; the lab has
the quickstart's three nodes, and as many more as asked for. Until the last is in force: a
connection to its ClusterIP is answered from each node. Then, beside so many: one more; and in
turns with it, the restore of one such Service's rules by itself, side by side in as many namespaces
with the same rules, up to six. CPU seconds are told beside, since other work counts in no ratio of
those. Memory is the controller's, resident.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import os
import resource
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from scene import ROOT, answers, memory, netlab, private_place, row, spent, until

from netlab.client.sync import Client
from netlab.kernel import netns, paths
from netlab.kernel.run import run
from netlab.proxy import modes
from netlab.proxy.config import ModeName, ProxyConfig
from netlab.proxy.node_view import node_view

QUICKSTARTS = ("master001", "worker001", "worker002")
CLIENTS = 4
SIDE_BY_SIDE = 6
"""Namespaces at most in which restores are tried by themselves."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=10_000)
    parser.add_argument("--mode", choices=("iptables", "nftables"), default="iptables")
    parser.add_argument("--nodes", type=int, default=len(QUICKSTARTS))
    args = parser.parse_args()
    names = [*QUICKSTARTS, *(f"more{n:03}" for n in range(args.nodes - len(QUICKSTARTS)))]
    with private_place() as base:
        file = base / "lab.yaml"
        text = with_mode((ROOT / "topologies" / "quickstart.yaml").read_text(), args.mode)
        file.write_text(with_nodes(text, names[len(QUICKSTARTS) :]))
        netlab("up", "-q", str(file))
        with Client(paths.api_socket(paths.lab_dir("quickstart"))) as api:
            measure(api, args.services, args.mode, [f"quickstart.{name}" for name in names], base)


def with_mode(text: str, mode: str) -> str:
    return text.replace("proxyMode: iptables", f"proxyMode: {mode}", 1)


def with_nodes(text: str, names: list[str]) -> str:
    more = "".join(f"  - {{name: {name}}}\n" for name in names)
    return text.replace("  podCIDR:", f"{more}  podCIDR:", 1)


def measure(api: Client, count: int, mode: ModeName, nodes: list[str], base: Path) -> None:
    before, own = memory("quickstart")["controller"], spent("quickstart")
    backend = next(iter(api.list("Pod", "default", query={"labelSelector": "app=webserver"})))[
        "status"
    ]["podIP"]
    began = time.monotonic()
    created_in = create_all(count, backend)
    last = api.get("Service", "default", f"many-{count - 1}")["spec"]["clusterIP"]
    until(lambda: all(answers(node, last) for node in nodes))
    in_force = time.monotonic() - began - created_in
    after = memory("quickstart")["controller"]
    print(f"{count:,} Services with a slice each, {len(nodes)} nodes, {mode} mode")
    print(f"  created: {created_in:.1f} s, {2 * count / created_in:,.0f} objects/s")
    print(f"  rules in force on all nodes after the last: {in_force:.2f} s")
    controller, programs = (now - then for now, then in zip(spent("quickstart"), own, strict=True))
    print(f"  CPU: {controller:.1f} s of the controller, {programs:.1f} s of its restores")
    print(f"  controller: {before:.0f} → {after:.0f} MiB")
    in_turns(api, backend, mode, nodes, base)


def in_turns(api: Client, backend: str, mode: ModeName, nodes: list[str], base: Path) -> None:
    """One Service more, and the restores of one by themselves."""
    ours, bare = [], []
    with bare_nodes(nodes[:SIDE_BY_SIDE], mode, base) as restore:
        for number in range(7):
            before = sum(spent("quickstart"))
            wall = one_more(api, number, backend, nodes)
            time.sleep(0.3)  # for nodes that look for what else came
            ours.append((wall, (sum(spent("quickstart")) - before) / len(nodes)))
            bare.append(restore(api.get("Service", "default", f"more-{number}"), backend))
    row("one more, in force", [wall for wall, _ in ours])
    row(f"bare restores of one, {min(len(nodes), SIDE_BY_SIDE)} side by side", [w for w, _ in bare])
    row("one more, CPU a node (all that was done meanwhile)", [cpu for _, cpu in ours])
    row("bare restore, CPU of one", [cpu for _, cpu in bare])
    for what, at in (("wall", 0), ("CPU", 1)):
        one, other = (statistics.median(each[at] for each in of) for of in (ours, bare))
        print(f"  {what}: {one / other:.2f} x the bare restores")


Bare = Callable[[Any, str], tuple[float, float]]
"""Restores the rules of a Service; the seconds it took, and those of the CPU for one of them."""


@contextlib.contextmanager
def bare_nodes(nodes: list[str], mode: ModeName, base: Path) -> Iterator[Bare]:
    """Namespaces with the rules that these nodes have."""
    places = [base / f"bare{number}" for number in range(len(nodes))]
    descriptors = [netns.create(place) for place in places]
    lister, restore = PROGRAMS[mode]
    try:
        there = run(lister, netns=paths.namespace(paths.lab_dir("quickstart"), nodes[0]))
        for descriptor in descriptors:
            run(restore, input=there.stdout, netns=descriptor, timeout=300)
        with ThreadPoolExecutor(len(nodes)) as threads:

            def bare(service: Any, backend: str) -> tuple[float, float]:
                text = TEXTS[mode](service, backend)
                used, began = _children(), time.monotonic()
                argv = [*restore, *SINGLE[mode]]
                list(threads.map(lambda fd: run(argv, input=text, netns=fd), descriptors))
                took = time.monotonic() - began
                return took, (_children() - used) / len(descriptors)

            yield bare
    finally:
        for descriptor, place in zip(descriptors, places, strict=True):
            os.close(descriptor)
            netns.remove(place)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def iptables_text(service: Any, backend: str) -> str:
    """Its chains, and its rule in the chain that all share, in the middle of it."""
    rules = compiled(service, backend, "iptables")
    lines = ["*nat", *(f":{name} - [0:0]" for name in sorted(rules.chains))]
    lines += [f"-A {name} {rule}" for name, own in rules.chains.items() for rule in own]
    lines += [f"-I KUBE-SERVICES 2 {rule}" for rule in rules.shared["nat", "KUBE-SERVICES"]]
    return "\n".join([*lines, "COMMIT", ""])


def nftables_text(service: Any, backend: str) -> str:
    """Its chain, its rule, its elements."""
    rules = compiled(service, backend, "nftables")
    table = "ip kube-proxy"
    lines = [f"add chain {table} {name}" for name in rules.chains]
    lines += [
        f"add rule {table} {name} {rule}"
        for name, own in rules.chains.items()
        for rule in own.rules
    ]
    lines += [
        f"add element {table} {name} {{ {key} {value} }}"
        for (name, key), value in rules.elements.items()
    ]
    return "\n".join([*lines, ""])


def compiled(service: Any, backend: str, mode: ModeName) -> Any:
    config = ProxyConfig(mode=mode, cluster_cidr=("10.244.0.0/16",))
    its = endpoint_slice(service["metadata"]["name"], backend)
    (rules,) = modes.of(mode).compile_services([service], [its], node_view(None, config, "ipv4"))
    return rules


PROGRAMS = {
    "iptables": (["iptables-save"], ["iptables-restore"]),
    "nftables": (["nft", "list", "ruleset"], ["nft", "-f", "-"]),
}
SINGLE: dict[str, list[str]] = {"iptables": ["--noflush"], "nftables": []}
TEXTS = {"iptables": iptables_text, "nftables": nftables_text}


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


def one_more(api: Client, number: int, backend: str, nodes: list[str]) -> float:
    began = time.monotonic()
    address = create(api, f"more-{number}", backend)
    until(lambda: all(answers(node, address) for node in nodes))
    return time.monotonic() - began


def create(api: Client, name: str, backend: str) -> Any:
    """A Service and its slice; the ClusterIP."""
    meta = {"name": name, "namespace": "default"}
    spec = {"ports": [{"port": 80, "targetPort": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
    made = api.create(service)
    api.create(endpoint_slice(name, backend))
    return made["spec"]["clusterIP"]


def endpoint_slice(service: str, backend: str) -> Any:
    labels = {"kubernetes.io/service-name": service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "ports": [{"port": 80}],
        "endpoints": [{"addresses": [backend], "conditions": {"ready": True}}],
    }


if __name__ == "__main__":
    main()
