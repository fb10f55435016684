"""How times grow with the size of a lab, as a table and as pictures.

    sudo .venv/bin/python tests/bench/growth/bench_growth.py [--into netlab/docs] [PART...]

Parts: pods (a lab of so many, up, checked, down), rules (`netlab proxy sync` of so many Services
beside the bare restore). Beside each line stands the exponent by which it grows: 1 is linear.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

BESIDE = Path(__file__).parents[1]
sys.path += [str(BESIDE / "lab"), str(BESIDE / "proxy")]

import bench_check  # noqa: E402
import bench_command  # noqa: E402
from chart import Point, chart, exponent  # noqa: E402
from scene import ROOT, netlab, private_place  # noqa: E402

from netlab.kernel import paths  # noqa: E402

PODS = (10, 30, 100, 300, 1000)
SERVICES = (100, 300, 1000, 3000, 10_000)
Lines = dict[str, list[Point]]


def pods() -> tuple[str, str, Lines]:
    """Labs of so many pods on two nodes."""
    up, one, down = "netlab up", "one netlab check", "netlab down"
    lines: Lines = {up: [], one: [], down: []}
    with private_place() as base:
        lab, check = base / "lab.yaml", base / "check.yaml"
        check.write_text(bench_check.CHECK.format(name="few", more=", endpoints: all"))
        service = bench_check.SERVICE.format(name="few", app="few")
        for count in PODS:
            lab.write_text(bench_check.LAB.format(pods=count) + service)
            lines[up].append((count, netlab("up", "-q", str(lab))))
            took = sorted(bench_check.once([str(check)])[0] for _ in range(3))
            lines[one].append((count, took[1]))
            lines[down].append((count, netlab("down", "-q")))
    return "A lab of so many pods on two nodes", "pods", lines


def rules() -> tuple[str, str, Lines]:
    """Services of three endpoints, as JSON, into a fresh node; seconds of the CPU."""
    ours, bare = "netlab proxy sync", "bare iptables-restore"
    lines: Lines = {ours: [], bare: []}
    with tempfile.TemporaryDirectory() as base:
        os.environ[paths.NETNS_DIR_VARIABLE] = base
        for count in SERVICES:
            found = bench_command.measured(Path(base), count, json.dumps, "json", 3)
            lines[ours].append((count, found.ours))
            lines[bare].append((count, found.bare))
    return "Rules of so many Services, CPU", "Services", lines


PARTS: dict[str, Callable[[], tuple[str, str, Lines]]] = {"pods": pods, "rules": rules}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=ROOT / "netlab" / "docs")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    options = parser.parse_args()
    for part in options.parts or PARTS:
        title, across, lines = PARTS[part]()
        report(title, lines)
        (options.into / f"growth-{part}.svg").write_text(chart(title, across, lines))


def report(title: str, lines: Lines) -> None:
    """The table: a row for each line."""
    sizes: Sequence[float] = [size for size, _ in next(iter(lines.values()))]
    print(f"{title:<34}" + "".join(f"{size:>9,.0f}" for size in sizes) + "   grows by")
    for name, line in lines.items():
        seconds = "".join(f"{second:>8.2f}s" for _, second in line)
        print(f"  {name:<32}{seconds}   {exponent(line[-3:]):.2f}")


if __name__ == "__main__":
    main()
