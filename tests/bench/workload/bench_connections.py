"""New connections a second to a built-in web server, and what a busy neighbour costs others.

    sudo .venv/bin/python tests/bench/workload/bench_connections.py [--seconds 3] [--rounds 3]

A pod asks one on another node, by turns at its own address and through a ClusterIP of which it is
the only endpoint: the same server over the same links, so what is missing to a ratio of 1 is what
kube-proxy's rules cost. Then one asks a second pod now and then, without and with somebody who
asks the first one as fast as he can. The client is `asking.py`; its CPU stands beside the
server's, to show which of the two is the bound.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "lab"))

from scene import netlab, private_place

from netlab.client.sync import Client
from netlab.kernel import netns, paths, process

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: busy}
spec: {nodes: 3}
"""
POD = """
---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  nodeSelector: {{kubernetes.io/hostname: {node}}}
  containers: [{{name: main, image: {image}}}]
"""
SERVICE = """
---
apiVersion: v1
kind: Service
metadata: {name: busy}
spec:
  selector: {app: busy}
  ports: [{port: 80}]
"""
AT_ONCE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with private_place() as base:
        file = base / "busy.yaml"
        file.write_text(LAB + pods() + SERVICE)
        netlab("up", "-q", str(file))
        addresses = found()
        throughput(addresses, options.seconds, options.rounds)
        neighbours(addresses, options.seconds)


def pods() -> str:
    """Two who answer, on one node, and two who ask, on the other."""
    one, other = "worker001", "worker002"
    answering = [POD.format(name=name, node=one, image="nginx") for name in ("busy", "quiet")]
    asking = [POD.format(name=name, node=other, image="nginx") for name in ("box", "other")]
    return "".join(answering + asking)


def found() -> dict[str, str]:
    """Where each answers."""
    with Client(paths.api_socket(paths.lab_dir("busy"))) as client:
        ips = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in client.list("Pod")}
        return {**ips, "service": client.get("Service", "default", "busy")["spec"]["clusterIP"]}


def asking(pod: str, *words: str) -> subprocess.Popen[str]:
    """The client, in a pod's network namespace."""
    argv = [sys.executable, str(Path(__file__).with_name("asking.py")), *words]
    with netns.entered(paths.namespace(paths.lab_dir("busy"), f"busy.default.{pod}")):
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def answer(asked: subprocess.Popen[str]) -> list[float]:
    """What it prints."""
    told, _ = asked.communicate()
    assert asked.returncode == 0
    return list(json.loads(told))


def throughput(addresses: dict[str, str], seconds: float, rounds: int) -> None:
    """Both ways by turns."""
    seen: dict[str, list[tuple[float, float, float]]] = {"busy": [], "service": []}
    for _ in range(rounds):
        for way, found in seen.items():
            before = responder()
            rate, own = answer(asking("box", addresses[way], "80", str(seconds), str(AT_ONCE)))
            found.append((rate, own, (responder() - before) / (rate * seconds) * 1e6))
    print(f"{AT_ONCE} at once, a connection each, {rounds} rounds of {seconds:g} s")
    columns = (zip(*found, strict=True) for found in seen.values())
    direct, through = ([statistics.median(each) for each in found] for found in columns)
    for name, (rate, own, other) in (("the pod's address", direct), ("a ClusterIP", through)):
        print(f"  by {name:<18}{rate:8,.0f} a second;  CPU of the client {own:.0f} us,", end=" ")
        print(f"of the server {other:.0f} us")
    by_cpu = sum(direct[1:]) / sum(through[1:])
    print(f"  ratio {through[0] / direct[0]:.2f}, by the CPU of both {by_cpu:.2f}")


def responder() -> float:
    """Seconds of the CPU that the process which answers for pods has used."""
    tick = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in process.owned(netns.owner(paths.lab_dir("busy")) or ""):
        if b"netlab responder" in Path(f"/proc/{pid}/cmdline").read_bytes():
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / tick
    return total


def neighbours(addresses: dict[str, str], seconds: float) -> None:
    """How long one who asks now and then waits."""
    every = ("--every", "4")
    alone = answer(asking("other", addresses["quiet"], "80", str(seconds), *every))
    busy = asking("box", addresses["busy"], "80", str(seconds + 1), str(AT_ONCE))
    beside = answer(asking("other", addresses["quiet"], "80", str(seconds), *every))
    rate, _ = answer(busy)
    print(f"one now and then, beside one who asks {rate:,.0f} times a second")
    for name, value in (("median", 0.5), ("p99", 0.99)):
        without, with_ = (quantile(each, value) for each in (alone, beside))
        ratio = f"x {with_ / without:.1f}"
        print(f"  {name:<8} alone {without:7.0f} us   beside it {with_:7.0f} us   {ratio}")


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share are not above."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


if __name__ == "__main__":
    main()
