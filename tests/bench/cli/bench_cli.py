"""How long does a command take that only asks the lab something?

Runs the same verbs over and over against a small lab of its own, the interpreter's start
included, in turns with a bare `python -c pass`. Prints medians, the slowest imports of
`get svc`, and which heavy modules were imported: none may be.

    sudo .venv/bin/python tests/bench/cli/bench_cli.py [--rounds 15]

`get svc` is to stay below 150 ms, a completion below 100 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from netlab.kernel import paths

LIMITS = {"get svc": 150.0, "__complete get pods": 100.0}
COMMANDS = (
    "get svc",
    "get pods -A -o wide",
    "get pods -o json",
    "get svc -o yaml",
    "describe svc kubernetes",
    "exec client -- true",
    "logs client",
    "__complete get pods",
    "--help",
)
HEAVY = ("aiohttp", "asyncio", "dnslib", "iptc", "pyroute2", "scapy", "yaml")

LAB = """\
{apiVersion: netlab/v1, kind: Lab, metadata: {name: bench}, spec: {nodes: 2}}
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec: {containers: [{name: client, image: busybox, command: [sh, -c, "echo hi; sleep 1d"]}]}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as base:
        os.environ[paths.RUN_VARIABLE] = f"{base}/run"
        os.environ[paths.NETNS_DIR_VARIABLE] = f"{base}/netns"
        file = Path(base) / "lab.yaml"
        file.write_text(LAB)
        run(["-m", "netlab", "up", str(file), "-q"])
        try:
            report(measure(options.rounds))
            report_imports(imports("get svc"))
        finally:
            run(["-m", "netlab", "down", "-q"])


def run(argv: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A Python of its own with these arguments."""
    return subprocess.run([sys.executable, *argv], check=True, capture_output=True, text=True)


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds by command; "python" is a bare interpreter."""
    commands = {"python": ["-c", "pass"]}
    commands |= {command: ["-m", "netlab", *command.split()] for command in COMMANDS}
    taken: dict[str, list[float]] = {command: [] for command in commands}
    for _ in range(rounds):
        for command, argv in commands.items():
            began = time.perf_counter()
            run(argv)
            taken[command].append((time.perf_counter() - began) * 1000)
    return taken


def report(taken: dict[str, list[float]]) -> None:
    bare = statistics.median(taken["python"])
    print(f"{'command':<26}{'median ms':>10}{'slowest':>10}{'x python':>10}")
    for command, milliseconds in taken.items():
        median = statistics.median(milliseconds)
        limit = LIMITS.get(command)
        verdict = "" if limit is None else f"   {'ok' if median < limit else 'TOO SLOW'}: {limit:g}"
        print(
            f"{command:<26}{median:>10.1f}{max(milliseconds):>10.1f}{median / bare:>10.1f}{verdict}"
        )


def imports(command: str) -> dict[str, float]:
    """Milliseconds that each imported module cost by itself."""
    lines = run(["-X", "importtime", "-m", "netlab", *command.split()]).stderr.splitlines()
    found = {}
    for line in lines:
        if line.startswith("import time:") and "self [us]" not in line:
            own, _, name = line.removeprefix("import time:").split("|")
            found[name.strip()] = int(own) / 1000
    return found


def report_imports(found: dict[str, float]) -> None:
    print(f"\n`get svc` imports {len(found)} modules in {sum(found.values()):.1f} ms; slowest:")
    for name, milliseconds in sorted(found.items(), key=lambda entry: -entry[1])[:8]:
        print(f"  {name:<32}{milliseconds:>6.1f} ms")
    heavy = sorted({name.split(".")[0] for name in found} & set(HEAVY))
    print("heavy modules: " + (json.dumps(heavy) + " TOO MANY" if heavy else "none"))


if __name__ == "__main__":
    main()
