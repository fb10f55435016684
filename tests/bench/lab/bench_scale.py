"""A Deployment scaled up to many pods and back to none: until all is settled, growth and memory.

    sudo .venv/bin/python tests/bench/lab/bench_scale.py [--pods 1000] [--rounds 3]

By `netlab scale`, as kubectl does it, in a lab of two nodes that runs. Memory is the controller's,
resident, after each round: what comes and goes is not to stay there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from bench_pods import manifest
from scene import memory, netlab, private_place, row

from netlab.client.settled import look
from netlab.client.sync import Client
from netlab.kernel import paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ups, downs, sizes = [], [], []
    with private_place() as base:
        file = Path(base) / "many.yaml"
        file.write_text(manifest(0))
        netlab("up", "-q", str(file))
        sizes.append(memory("many")["controller"])
        with Client(paths.api_socket(paths.lab_dir("many"))) as api:
            for _ in range(options.rounds):
                ups.append(scaled(api, options.pods))
                downs.append(scaled(api, 0))
                sizes.append(memory("many")["controller"])
    print(f"a Deployment of {options.pods} pods on two nodes, {options.rounds} rounds")
    row("0 → all pods ready, until all is settled", ups)
    row("all → 0 pods, until all is settled", downs)
    print("  controller:", " → ".join(f"{size:.0f}" for size in sizes), "MiB")


def scaled(api: Client, pods: int) -> float:
    """Seconds from the command until there are so many, and nothing is being done any more."""
    began = time.monotonic()
    netlab("scale", "--lab", "many", "deployment/web", f"--replicas={pods}")
    while not look(api, 5.0).settled or len(api.list("Pod", "default")) != pods:
        time.sleep(0.01)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
