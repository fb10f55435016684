"""A lab of many pods: up, CPU, memory, down; and what the network's part of it is.

    sudo .venv/bin/python tests/bench/lab/bench_pods.py [--pods 100] [--rounds 3] [--growth]
    … bench_pods.py --pods 10000 --nodes 20 --rounds 1 --no-network

The network's part is measured in the same run as a ratio to bare netlink messages that were
encoded beforehand (see ../network/bench_pods.py), which is to stay below 3 at 100 pods. Down is
to take less than 1 s. There is no process per pod. `--growth` brings up a quarter and a half as
many as well: what a lab without pods takes being left out, twice as many are to take twice as long
(an exponent of 1). Each thousand pods is a Deployment with its Service. CPU is that of the
controller, and of programs that it ran to their end.
"""

from __future__ import annotations

import argparse
import itertools
import math
import runpy
import statistics
import time
from collections import defaultdict
from pathlib import Path

from scene import memory, netlab, private_place, processes, row, spent

MANIFEST = """
apiVersion: netlab/v1
kind: Lab
metadata: {{name: many}}
spec:
  podCIDR: 10.0.0.0/8
  serviceCIDR: 172.20.0.0/16
  nodeNetwork: 192.168.11.0/24
  nodes:
{nodes}
"""

NODE = "  - {{name: worker{number}, podCIDR: 10.{number}.0.0/16}}"

SERVED = """
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: {pods}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: web, image: nginx, ports: [{{containerPort: 80}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{port: 80}}]
"""

EACH = 1000
"""Pods of one Deployment."""

UP = ("up", "-q", "--timeout", "10m")


def manifest(pods: int, nodes: int = 2) -> str:
    """A lab with so many pods, in Deployments `web`, `web1`, … of `EACH`."""
    listed = "\n".join(NODE.format(number=number) for number in range(1, nodes + 1))
    counts = [min(EACH, pods - start) for start in range(0, pods, EACH)] or [0]
    served = [
        SERVED.format(name=f"web{number or ''}", pods=each) for number, each in enumerate(counts)
    ]
    return MANIFEST.format(nodes=listed) + "".join(served)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--nodes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-network", action="store_true", help="leave the ratio out")
    parser.add_argument("--growth", action="store_true", help="fewer pods as well")
    options = parser.parse_args()
    if options.growth:
        growth(options.pods, options.rounds)
        return
    figures: dict[str, list[float]] = defaultdict(list)
    with private_place() as base:
        file = base / "many.yaml"
        file.write_text(manifest(options.pods, options.nodes))
        for _ in range(options.rounds):
            figures["netlab up, until all is settled"].append(netlab(*UP, str(file)))
            own, beside = spent("many")
            figures["… CPU of the controller"].append(own)
            figures["… CPU of programs that it ran"].append(beside)
            used, count = memory("many"), processes("many")
            figures["netlab down"].append(netlab("down", "-q"))
            time.sleep(1.0)  # the kernel takes links apart in the background
        print(f"{options.pods} pods on {options.nodes} nodes, {options.rounds} rounds")
        for name, seconds in figures.items():
            row(name, seconds)
        print(f"  {count} processes;", end=" ")
        print(", ".join(f"{name} {size:.0f} MiB" for name, size in used.items()))
        if not options.no_network:
            ratio(options.pods, options.rounds)


def growth(pods: int, rounds: int) -> None:
    """How `up` grows from a quarter and from a half of so many pods."""
    counts = (0, pods // 4, pods // 2, pods)
    with private_place() as base:
        seconds = {count: [up(base, count) for _ in range(rounds)] for count in counts}
    least = {count: min(each) for count, each in seconds.items()}
    for count, each in seconds.items():
        row(f"up with {count} pods", each)
    for fewer, more in itertools.pairwise(counts[1:]):
        took = [max(least[count] - least[0], 0.001) for count in (fewer, more)]
        exponent = math.log(took[1] / took[0]) / math.log(more / fewer)
        print(f"  {fewer} → {more} pods: exponent {exponent:.2f}")


def up(base: Path, pods: int) -> float:
    """Seconds until so many pods are ready; they are taken down again."""
    file = base / "many.yaml"
    file.write_text(manifest(pods))
    seconds = netlab(*UP, str(file))
    netlab("down", "-q")
    time.sleep(1.0)  # the kernel takes links apart in the background
    return seconds


def ratio(pods: int, rounds: int) -> None:
    beside = runpy.run_path(str(Path(__file__).parents[1] / "network" / "bench_pods.py"))
    ours, bare, _ = beside["measure"](pods, rounds)
    row("attach all pods, by netlab", ours)
    row("attach all pods, by messages made beforehand", bare)
    print(f"  ratio {statistics.median(ours) / statistics.median(bare):.2f}")


if __name__ == "__main__":
    main()
