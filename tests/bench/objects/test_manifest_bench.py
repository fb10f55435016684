"""What reading manifests costs, in a fresh interpreter as the command line has it."""

import subprocess
import sys
from pathlib import Path
from statistics import median

QUICKSTART = Path(__file__).parents[3] / "topologies" / "quickstart.yaml"
TIMED = """
import sys, time
import {before}
started = time.process_time()
{what}
print((time.process_time() - started) * 1000, *sys.modules)
"""


def fresh(what, before="sys"):
    """Median milliseconds of CPU that `what` takes, and the modules loaded then."""
    code = TIMED.format(what=what, before=before)
    argv = [sys.executable, "-c", code]
    outputs = [
        subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(5)
    ]
    return median(float(output[0]) for output in outputs), set(outputs[0][1:])


def test_importing_is_cheap_and_pulls_in_nothing_heavy():
    baseline, _ = fresh("import yaml, dataclasses, json, pathlib, ipaddress")
    mine, modules = fresh("import netlab.manifest")
    assert mine < 4 * baseline
    heavy = {"asyncio", "aiohttp", "pyroute2", "scapy", "dnslib", "subprocess", "difflib"}
    assert not heavy & modules


def test_loading_quickstart_costs_less_than_importing_yaml_twice():
    importing, _ = fresh("import yaml")
    loading, _ = fresh(f"netlab.manifest.load([{str(QUICKSTART)!r}])", before="netlab.manifest")
    assert loading < 2 * importing + 5
