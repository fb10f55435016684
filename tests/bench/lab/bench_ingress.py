"""Ingress: how soon its lab is up, and requests while endpoints and Ingresses come and go.

    sudo .venv/bin/python tests/bench/lab/bench_ingress.py [--requests 10000]

Each request has a connection of its own, made by a client outside. None may be lost: each answer
other than 200 is printed.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import re
import threading
import time
from collections import Counter

from scene import ROOT, netlab, private_place, row

from netlab.kernel import netns, paths

TOPOLOGY = str(ROOT / "topologies" / "ingress.yaml")
NODE, PORT = "172.16.110.20", 30100

ROUTE = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: other}}
spec:
  rules:
  - host: turn{turn}.example
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: ip-svc, port: {{number: 80}}}}}}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=10_000)
    wanted = parser.parse_args().requests
    with private_place():
        began = time.perf_counter()
        netlab("up", "-q", TOPOLOGY)
        row("up, with the controller and its Ingress", [time.perf_counter() - began])
        answers, seconds, turns = under_churn(wanted)
        reloads = configured()
        netlab("down", "-q")
    print(
        f"{sum(answers.values())} requests in {seconds:.1f} s, {turns} changes, {reloads} reloads"
    )
    print("answers:", dict(answers))
    if set(answers) != {"200"}:
        raise SystemExit("requests were lost")


def under_churn(wanted: int) -> tuple[Counter[str], float, int]:
    """Ask so often while deployments are scaled and Ingresses changed."""
    answers: Counter[str] = Counter()
    with netns.entered(paths.namespace(paths.lab_dir("ingress"), "ingress.client")):
        outside = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    def ask(share: int) -> None:
        with netns.entered(outside):
            for _ in range(share):
                answers[request()] += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=ask, args=(wanted // 2,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    manifest = paths.lab_dir("ingress").parent / "route.yaml"
    for turn in itertools.count():
        if not any(thread.is_alive() for thread in threads):
            break
        manifest.write_text(ROUTE.format(turn=turn))
        netlab("apply", "-f", str(manifest))
        netlab("scale", "deployment", "in-hname-pod", f"--replicas={2 + turn % 4}")
    for thread in threads:
        thread.join()
    os.close(outside)
    return answers, time.perf_counter() - began, 2 * turn


def request() -> str:
    """The status of one answer, or what went wrong."""
    connection = http.client.HTTPConnection(NODE, PORT, timeout=30)
    try:
        connection.request("GET", "/")
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return repr(error)
    finally:
        connection.close()


def configured() -> int:
    """How often nginx has been configured anew."""
    (log,) = paths.lab_dir("ingress").glob("pods/*/programs/controller/nginx.log")
    return len(re.findall(r"reconfiguring", log.read_text()))


if __name__ == "__main__":
    main()
