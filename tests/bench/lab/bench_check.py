"""`netlab check`, from typing to output: of a small lab, of many checks, and of one in a large lab.

    sudo .venv/bin/python tests/bench/lab/bench_check.py [--pods 1000] [--services 1000]

One check is to take at most 0.5 s in a lab of any size, 50 checks at most 2 s. Beside the seconds
stand those of the CPU that the command itself took.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from scene import ROOT, netlab, private_place

QUICKSTART = ROOT / "topologies" / "quickstart.yaml"

LAB = """
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
apiVersion: v1
kind: Pod
metadata: {{name: box}}
spec: {{containers: [{{name: box, image: busybox, command: [sleep, 1d]}}]}}
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
apiVersion: apps/v1
kind: Deployment
metadata: {{name: few}}
spec:
  replicas: 3
  selector: {{matchLabels: {{app: few}}}}
  template:
    metadata: {{labels: {{app: few}}}}
    spec: {{containers: [{{name: web, image: nginx, ports: [{{containerPort: 80}}]}}]}}
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {app}}}
  ports: [{{port: 80}}]
"""
CHECK = """
---
apiVersion: netlab/v1
kind: PathCheck
metadata: {{name: to-{name}}}
spec:
  from: {{pod: box}}
  to: {{service: {name}, port: 80}}
  expect: {{outcome: reachable{more}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with private_place() as base:
        small(options.rounds)
        fifty(base, options.rounds)
        for pods, services in ((options.pods, 1), (10, options.services)):
            large(base, pods, services, options.rounds)


def small(rounds: int) -> None:
    """The quickstart's own checks, and one of them."""
    netlab("up", "-q", str(QUICKSTART))
    one = ["--only", "client-to-nodeport-master001"]
    say("quickstart: its 8 checks", check([], rounds))
    say("quickstart: one of them, of 56 tries", check(one, rounds))
    netlab("down", "-q")


def fifty(base: Path, rounds: int) -> None:
    """50 Services of three endpoints, and a check of each."""
    names = [f"few{number}" for number in range(50)]
    up(base, 3, [(name, "few") for name in names])
    file = base / "fifty.yaml"
    file.write_text("".join(CHECK.format(name=name, more="") for name in names))
    say("50 Services: 50 checks", check([str(file)], rounds))
    file.write_text("".join(CHECK.format(name=name, more=", endpoints: all") for name in names))
    say("50 Services: 50 checks of all three endpoints", check([str(file)], rounds))
    netlab("down", "-q")


def large(base: Path, pods: int, services: int, rounds: int) -> None:
    """One check of a Service with three endpoints, and of one with all pods."""
    names = [f"few{number}" for number in range(services)]
    up(base, pods, [("web", "web"), *((name, "few") for name in names)])
    where = f"{pods + 4} pods, {services + 1} Services"
    file = base / "one.yaml"
    file.write_text(CHECK.format(name="few0", more=", endpoints: all"))
    say(f"{where}: one check, three endpoints", check([str(file)], rounds))
    file.write_text(CHECK.format(name="web", more=""))
    say(f"{where}: one check, {pods} endpoints", check([str(file)], rounds))
    netlab("down", "-q")


def up(base: Path, pods: int, services: Sequence[tuple[str, str]]) -> None:
    """A lab of that many pods and the one who asks, and of these Services, by what they select."""
    file = base / "lab.yaml"
    text = "".join(SERVICE.format(name=name, app=app) for name, app in services)
    file.write_text(LAB.format(pods=pods) + text)
    netlab("up", "-q", str(file))


def check(words: Sequence[str], rounds: int) -> list[tuple[float, float]]:
    """Seconds, and seconds of the CPU, of each round."""
    return [once(words) for _ in range(rounds)]


def once(words: Sequence[str]) -> tuple[float, float]:
    """One round, of which all checks must pass."""
    before, began = os.times(), time.monotonic()
    argv = [sys.executable, "-m", "netlab", "check", *words]
    subprocess.run(argv, check=True, cwd=ROOT, capture_output=True)
    took, after = time.monotonic() - began, os.times()
    used = after.children_user + after.children_system
    return took, used - before.children_user - before.children_system


def say(what: str, taken: Sequence[tuple[float, float]]) -> None:
    """One line: the medians, and the slowest."""
    seconds, cpu = zip(*taken, strict=True)
    middle, slowest = statistics.median(seconds), max(seconds)
    print(f"{what:<52}{middle:7.2f} s  (to {slowest:.2f})  CPU {statistics.median(cpu):.2f} s")


if __name__ == "__main__":
    main()
