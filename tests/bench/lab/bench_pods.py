"""A lab of many pods on two nodes: up, memory, down; and what the network's part of it is.

    sudo .venv/bin/python tests/bench/lab/bench_pods.py [--pods 100] [--rounds 3]

The network's part is measured in the same run as a ratio to bare netlink messages that were
encoded beforehand (see ../network/bench_pods.py), which is to stay below 3 at 100 pods. Down is
to take less than 1 s. There is no process per pod.
"""

from __future__ import annotations

import argparse
import runpy
import statistics
import time
from collections import defaultdict
from pathlib import Path

from scene import memory, netlab, private_place, processes, row

MANIFEST = """
apiVersion: netlab/v1
kind: Lab
metadata: {{name: many}}
spec:
  podCIDR: 10.0.0.0/8
  serviceCIDR: 172.20.0.0/16
  nodeNetwork: 192.168.11.0/24
  nodes:
  - {{name: worker1, podCIDR: 10.1.0.0/16}}
  - {{name: worker2, podCIDR: 10.2.0.0/16}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: {pods}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{containers: [{{name: web, image: nginx, ports: [{{containerPort: 80}}]}}]}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{port: 80}}]
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-network", action="store_true", help="leave the ratio out")
    options = parser.parse_args()
    figures: dict[str, list[float]] = defaultdict(list)
    with private_place() as base:
        file = base / "many.yaml"
        file.write_text(MANIFEST.format(pods=options.pods))
        for _ in range(options.rounds):
            figures["netlab up, until all is settled"].append(netlab("up", "-q", str(file)))
            used, count = memory("many"), processes("many")
            figures["netlab down"].append(netlab("down", "-q"))
            time.sleep(1.0)  # the kernel takes links apart in the background
        print(f"{options.pods} pods on two nodes, {options.rounds} rounds")
        for name, seconds in figures.items():
            row(name, seconds)
        print(f"  {count} processes;", end=" ")
        print(", ".join(f"{name} {size:.0f} MiB" for name, size in used.items()))
        if not options.no_network:
            ratio(options.pods, options.rounds)


def ratio(pods: int, rounds: int) -> None:
    beside = runpy.run_path(str(Path(__file__).parents[1] / "network" / "bench_pods.py"))
    ours, bare, _ = beside["measure"](pods, rounds)
    row("attach all pods, by netlab", ours)
    row("attach all pods, by messages made beforehand", bare)
    print(f"  ratio {statistics.median(ours) / statistics.median(bare):.2f}")


if __name__ == "__main__":
    main()
