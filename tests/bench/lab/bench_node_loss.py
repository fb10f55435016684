"""How soon a node that is switched off is NotReady, and nobody is sent to its endpoints any more.

    sudo .venv/bin/python tests/bench/lab/bench_node_loss.py [--rounds 5]

From the moment `netlab node stop` is typed, at the default grace period of 2 s: until the Node is
NotReady, until no EndpointSlice has a ready endpoint there, until the rules of another node have
none (all to stay below 3 s). Then from `netlab node start` until it is Ready, all pods being back.
"""

from __future__ import annotations

import argparse
import time

from scene import ROOT, netlab, private_place, row, until

from netlab.client.sync import Client
from netlab.kernel import netns, paths, run
from netlab.objects import meta

LAB, GOES, STAYS = "node-loss", "worker002", "worker001"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    count = parser.parse_args().rounds
    with private_place():
        netlab("up", "-q", str(ROOT / "topologies" / f"{LAB}.yaml"))
        with Client(paths.api_socket(paths.lab_dir(LAB))) as api:
            rounds = [one_round(api) for _ in range(count)]
    print(f"a node that is switched off, {count} times")
    lost, unused, unruled, back = zip(*rounds, strict=True)
    row("NotReady", lost)
    row("no ready endpoint in EndpointSlices", unused)
    row("no endpoint in another node's rules", unruled)
    row("Ready again, from `node start`", back)


def one_round(api: Client) -> tuple[float, float, float, float]:
    cidr = api.get("Node", "", GOES)["spec"]["podCIDR"].rpartition(".")[0] + "."
    until(lambda: has_endpoints(api) and cidr in rules())
    began = time.monotonic()
    netlab("node", "stop", GOES)
    until(lambda: not meta.is_ready(api.get("Node", "", GOES)))
    lost = time.monotonic() - began
    until(lambda: not has_endpoints(api))
    unused = time.monotonic() - began
    until(lambda: f"--to-destination {cidr}" not in rules())
    unruled = time.monotonic() - began
    began = time.monotonic()
    netlab("node", "start", GOES)
    until(lambda: meta.is_ready(api.get("Node", "", GOES)))
    return lost, unused, unruled, time.monotonic() - began


def has_endpoints(api: Client) -> bool:
    return any(
        endpoint.get("nodeName") == GOES and endpoint["conditions"]["ready"]
        for one in api.list("EndpointSlice", "default")
        for endpoint in one.get("endpoints") or []
    )


def rules() -> str:
    with netns.entered(paths.namespace(paths.lab_dir(LAB), f"{LAB}.{STAYS}")):
        return run.run(["iptables-save", "-t", "nat"]).stdout


if __name__ == "__main__":
    main()
