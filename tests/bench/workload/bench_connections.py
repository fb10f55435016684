"""New connections a second to a built-in web server, and what a busy neighbour costs others.

    sudo .venv/bin/python tests/bench/workload/bench_connections.py [--seconds 3] [--rounds 3]

A pod asks one on another node, by turns at its own address, through a ClusterIP of which it is the
only endpoint, and at an address that a single DNAT rule of the node sends there: the same server
over the same links, so what is missing to a ratio of 1 is what kube-proxy's rules cost, and what
the kernel takes for any change of an address. Each round and way has a client of its own: of one
who asks a pod by two addresses, half of the second one's ports are still TIME_WAIT's in the pod
(`netlab help performance`). Then one asks a second pod now and then, without and with somebody who
asks the first one as fast as he can. The client is `asking.py`; its CPU stands beside the server's,
to show which of the two is the bound.
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
WAYS = {"busy": "the pod's address", "service": "a ClusterIP", "bare": "a bare DNAT rule"}
BARE = "192.0.2.80"
BARE_RULE = """
table ip bench {{
  chain prerouting {{
    type nat hook prerouting priority dstnat - 10;
    ip daddr {address} tcp dport 80 dnat to {pod}:80
  }}
}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with private_place() as base:
        file = base / "busy.yaml"
        file.write_text(LAB + pods(options.rounds) + SERVICE)
        netlab("up", "-q", str(file))
        addresses = found()
        translate(BARE, addresses["busy"])
        throughput(addresses, options.seconds, options.rounds)
        neighbours(addresses, options.seconds)


def pods(rounds: int) -> str:
    """Two who answer, on one node, and on the other all who ask: two, and one a round and way."""
    one, other = "worker001", "worker002"
    asking = ["box", "other", *(client(way, number) for way in WAYS for number in range(rounds))]
    places = {"busy": one, "quiet": one, **dict.fromkeys(asking, other)}
    return "".join(POD.format(name=name, node=node, image="nginx") for name, node in places.items())


def client(way: str, number: int) -> str:
    return f"{way}-{number}"


def found() -> dict[str, str]:
    """Where each answers."""
    with Client(paths.api_socket(paths.lab_dir("busy"))) as api:
        ips = {pod["metadata"]["name"]: pod["status"]["podIP"] for pod in api.list("Pod")}
        service = api.get("Service", "default", "busy")["spec"]["clusterIP"]
        return {**ips, "service": service, "bare": BARE}


def translate(address: str, pod: str) -> None:
    """Have the clients' node send what is for an address to a pod, by one rule before others."""
    with netns.entered(paths.namespace(paths.lab_dir("busy"), "busy.worker002")):
        rule = BARE_RULE.format(address=address, pod=pod)
        subprocess.run(["nft", "-f", "-"], input=rule, text=True, check=True)


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
    """All ways by turns, each time in another order."""
    seen: dict[str, list[tuple[float, float, float]]] = {way: [] for way in WAYS}
    for number in range(rounds):
        for way in list(WAYS)[:: -1 if number % 2 else 1]:
            before = responder()
            asked = asking(client(way, number), addresses[way], "80", str(seconds), str(AT_ONCE))
            rate, own = answer(asked)
            seen[way].append((rate, own, (responder() - before) / (rate * seconds) * 1e6))
    print(f"{AT_ONCE} at once, a connection each, {rounds} rounds of {seconds:g} s")
    middle = {way: medians(found) for way, found in seen.items()}
    for way, (rate, own, other) in middle.items():
        print(f"  by {WAYS[way]:<18}{rate:8,.0f} a second;  CPU of", end=" ")
        print(f"the client {own:.0f} us, of the server {other:.0f} us")
    for way in ("service", "bare"):
        by_clock = middle[way][0] / middle["busy"][0]
        by_cpu = sum(middle["busy"][1:]) / sum(middle[way][1:])
        print(f"  ratio by {WAYS[way]} {by_clock:.2f}, by the CPU of both {by_cpu:.2f}")


def medians(found: list[tuple[float, float, float]]) -> list[float]:
    """Of each column."""
    return [statistics.median(column) for column in zip(*found, strict=True)]


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
