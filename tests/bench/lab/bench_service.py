"""How soon a new Service works: its name, and its rules on every node.

    sudo .venv/bin/python tests/bench/lab/bench_service.py [--services 20]

From the moment the API has answered the request that made it: until a pod's lookup finds the name
(to stay below 50 ms), and until a connection to the ClusterIP is answered, from each node.
"""

from __future__ import annotations

import argparse
import time

from scene import ROOT, answers, netlab, private_place, resolved, row, until

from netlab.client.sync import Client
from netlab.kernel import paths

ASKING = "quickstart.default.client-pod"
NODES = ("quickstart.master001", "quickstart.worker001", "quickstart.worker002")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=20)
    count = parser.parse_args().services
    names, rules = [], []
    with private_place():
        netlab("up", "-q", str(ROOT / "topologies" / "quickstart.yaml"))
        with Client(paths.api_socket(paths.lab_dir("quickstart"))) as api:
            for number in range(count):
                name, reached = one_service(api, f"new-{number}")
                names.append(name)
                rules.append(reached)
    print(f"a new Service, {count} of them: time since the API's answer")
    row("a pod's lookup finds its name", names)
    row("its ClusterIP answers from every node", rules)


def one_service(api: Client, name: str) -> tuple[float, float]:
    made = api.create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"selector": {"app": "webserver"}, "ports": [{"port": 80}]},
        }
    )
    began = time.monotonic()
    until(lambda: resolved(ASKING, f"{name}.default.svc.cluster.local"))
    known = time.monotonic() - began
    until(lambda: all(answers(node, made["spec"]["clusterIP"]) for node in NODES))
    return known, time.monotonic() - began


if __name__ == "__main__":
    main()
