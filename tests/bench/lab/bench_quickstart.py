"""From typing `netlab up` to a pod's lookup and curl of the Service answering, with its stages.

    sudo .venv/bin/python tests/bench/lab/bench_quickstart.py [--rounds 5]

The whole is to stay below 1 s. Stages are taken from the controller's log, so they are true to a
millisecond; the network is built while the controller's modules are still being imported.
"""

from __future__ import annotations

import argparse
import datetime
import subprocess
import sys
import time
from collections import defaultdict

from scene import ROOT, netlab, private_place, row

from netlab.kernel import paths

QUICKSTART = str(ROOT / "topologies" / "quickstart.yaml")

STAGES = {
    "the controller starts": "files read, controller begun",
    "the nodes are connected": "nodes connected",
    "the controller's modules are imported": "controller imported",
    "the API answers": "API answers",
    "the nodes' agents are at work": "agents at work",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    figures: dict[str, list[float]] = defaultdict(list)
    with private_place():
        for number in range(rounds + 1):  # the first one fills caches
            for name, seconds in one_round().items():
                figures[name] += [seconds] if number else []
    print(f"quickstart, {rounds} rounds: time since `netlab up` was typed")
    for name, seconds in figures.items():
        row(name, seconds)


def one_round() -> dict[str, float]:
    typed = time.time()
    netlab("up", "-q", QUICKSTART)
    up = time.time()
    page = subprocess.run(
        [sys.executable, "-m", "netlab", "exec", "client-pod", "--",
         "curl", "-sS", "hostname-svc-clusterip:8080"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    answered = time.time()
    assert "Hello," in page
    reached = stages()
    down = netlab("down", "-q")
    return {
        **{name: reached[said] - typed for said, name in STAGES.items()},
        "up returns: pods, rules and names in place": up - typed,
        "netlab exec … curl NAME:8080 has answered": answered - typed,
        "(netlab down takes)": down,
    }


def stages() -> dict[str, float]:
    """When each stage was reached, in Unix time, by what the controller's log says."""
    found = {}
    for line in paths.controller_log(paths.lab_dir("quickstart")).read_text().splitlines():
        when, _, said = line.partition(" INFO netlab: ")
        if said in STAGES:
            found[said] = datetime.datetime.strptime(when, "%Y-%m-%d %H:%M:%S,%f").timestamp()
    return found


if __name__ == "__main__":
    main()
