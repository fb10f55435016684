"""`netlab proxy sync` as typed, against the bare restore of the same rules, in seconds of the CPU.

    sudo .venv/bin/python tests/bench/proxy/bench_command.py [--services 1000] [--rounds 5]

Objects are read as JSON and as YAML; each round has a fresh namespace. CPU, because what else the
machine does counts less in it. The modules' bytecode is kept, as where netlab is installed, and the
first run, which makes it, does not count.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from bench_sync import NODE, compile, render_restore, world

from netlab.kernel import netns, paths
from netlab.kernel.run import run
from netlab.proxy.iptables.read import program

SETTINGS = {"nodeName": "alpha", "nodeIPs": ["10.10.11.20"], "clusterCIDR": "10.244.0.0/16"}
FORMS: dict[str, Callable[[Any], str]] = {"json": json.dumps, "yaml": yaml.safe_dump}


class Measured(NamedTuple):
    """Medians, in seconds of the CPU of all programs that were run."""

    ours: float
    bare: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        os.environ[paths.NETNS_DIR_VARIABLE] = base
        os.environ["PYTHONPYCACHEPREFIX"] = f"{base}/bytecode"
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        for form, write in FORMS.items():
            found = measured(Path(base), options.services, write, form, options.rounds)
            print(f"{form:<5} bare {found.bare:.2f} s   command {found.ours:.2f} s", end="   ")
            print(f"ratio {found.ours / found.bare:.2f}")


def measured(
    base: Path, count: int, write: Callable[[Any], str], form: str, rounds: int
) -> Measured:
    """Both by turns. The namespace is called `node`, in the directory that `ip netns` has now."""
    services, slices = world(count)
    kinds = (("v1", "Service", services), ("discovery.k8s.io/v1", "EndpointSlice", slices))
    items = [
        {"apiVersion": version, "kind": kind, **obj}
        for version, kind, objects in kinds
        for obj in objects
    ]
    file, settings = base / f"objects.{form}", base / "proxy.yaml"
    file.write_text(write({"apiVersion": "v1", "kind": "List", "items": items}))
    settings.write_text(json.dumps(SETTINGS))
    typed = ["proxy", "sync", "-f", str(file), "--config", str(settings), "--netns", "node"]
    command = [sys.executable, "-m", "netlab", *typed, "--family", "ipv4"]
    restore, text = (
        [program("ipv4", "nft", "restore")],
        render_restore(compile(services, slices, NODE)),
    )

    def bare(node: int) -> None:
        run(restore, input=text, netns=node, timeout=600)

    in_fresh(base / "node", lambda _: run(command, timeout=600))
    taken = [
        (
            in_fresh(base / "node", lambda _: run(command, timeout=600)),
            in_fresh(base / "node", bare),
        )
        for _ in range(rounds)
    ]
    return Measured(*map(statistics.median, zip(*taken, strict=True)))


def in_fresh(path: Path, work: Callable[[int], object]) -> float:
    """Seconds of the CPU of the programs that are run in a new namespace."""
    descriptor = netns.create(path)
    try:
        before = os.times()
        work(descriptor)
        after = os.times()
        return sum(after[2:4]) - sum(before[2:4])
    finally:
        os.close(descriptor)
        netns.remove(path)


if __name__ == "__main__":
    main()
