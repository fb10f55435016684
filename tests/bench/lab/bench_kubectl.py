"""kubectl against a lab that is full: 1,000 pods behind 1,000 Services.

    sudo .venv/bin/python tests/bench/lab/bench_kubectl.py [--services 1000] [--kubectl PATH]

The controller is to stay below 120 MB; the server's part of `kubectl get svc` below 5 ms; and a
Service that kubectl has created is to be known by name, and to be reached from every node, 100 ms
after kubectl has returned.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from scene import answers, memory, netlab, private_place, resolved, row, until

from netlab.api.identity import Identity
from netlab.kernel import paths

LAB = "full"
ASKING = f"{LAB}.default.asking"
DNS = "172.20.0.10"
NODES = tuple(f"{LAB}.{name}" for name in ("master001", "worker001", "worker002"))
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PODS_EACH = 10

HEAD = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: full}
spec: {nodes: 3, podCIDR: 10.0.0.0/8, serviceCIDR: 172.20.0.0/16, nodeNetwork: 192.168.11.0/24}
---
apiVersion: v1
kind: Pod
metadata: {name: asking}
spec: {containers: [{name: c, image: busybox, command: [sleep, infinity]}]}
"""
WEB = """---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web-{n}}}
spec:
  replicas: {pods}
  selector: {{matchLabels: {{app: web-{n}}}}}
  template:
    metadata: {{labels: {{app: web-{n}}}}}
    spec: {{containers: [{{name: c, image: nginx, ports: [{{containerPort: 80}}]}}]}}
"""
SERVICE = """---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: web-{app}}}, ports: [{{port: 80}}]}}
"""


def manifest(services: int) -> str:
    """As many pods as Services, in Deployments of ten, each of which ten Services choose."""
    groups = max(1, services // PODS_EACH)
    webs = [WEB.format(n=n, pods=PODS_EACH) for n in range(groups)]
    return HEAD + "".join(
        [*webs, *(SERVICE.format(name=f"svc-{n}", app=n % groups) for n in range(services))]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--kubectl", default=Path(sys.prefix) / "kubectls" / "bin" / "kubectl")
    options = parser.parse_args()
    with private_place() as base:
        file = base / "full.yaml"
        file.write_text(manifest(options.services))
        row("netlab up, until all is settled", [netlab("up", "-q", str(file))])
        used = memory(LAB)
        print("  " + ", ".join(f"{name} {size:.0f} MiB" for name, size in used.items()))
        os.environ["KUBECONFIG"] = str(paths.kubeconfig(paths.lab_dir(LAB)))
        rounds = range(options.rounds)
        with served() as ask:
            for what in ("services", "pods"):
                path = f"/api/v1/namespaces/default/{what}?limit=500"
                row(
                    f"a page of 500 {what} as a Table",
                    [timed(lambda p=path: ask(p)) for _ in rounds],
                )
        for what in ("svc", "svc/svc-1"):
            argv = [options.kubectl, "get", what]
            row(f"kubectl get {what}, in all", [timed(lambda a=argv: run(a)) for _ in rounds])
        created = [new_service(options.kubectl, f"new-{number}") for number in rounds]
        print("  a Service is created; after kubectl has returned:")
        row("a pod's lookup finds its name", [resolved for resolved, _ in created])
        row("its ClusterIP answers from every node", [reached for _, reached in created])
        print(f"  controller afterwards: {memory(LAB)['controller']:.0f} MiB")


def new_service(kubectl: Path, name: str) -> tuple[float, float]:
    run([kubectl, "create", "-f", "-"], SERVICE.format(name=name, app=0))
    began = time.monotonic()
    full = f"{name}.default.svc.cluster.local"
    until(lambda: resolved(ASKING, full, DNS))
    known = time.monotonic() - began
    address = resolved(ASKING, full, DNS)
    until(lambda: all(answers(node, address) for node in NODES))
    return known, time.monotonic() - began


def run(argv: list[str | Path], given: str = "") -> None:
    subprocess.run(argv, input=given, text=True, check=True, stdout=subprocess.DEVNULL)


def timed(action: Callable[[], object]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


@contextlib.contextmanager
def served() -> Iterator[Callable[[str], bytes]]:
    """Asks over one kept connection, as kubectl is let in."""
    directory = paths.lab_dir(LAB)
    identity = Identity(paths.tls(directory))
    context = ssl.create_default_context(cafile=str(identity.authority))
    context.load_cert_chain(identity.certificate("client"), identity.key("client"))
    port = int(paths.api_port(directory).read_text())
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)

    def ask(path: str) -> bytes:
        connection.request("GET", path, headers={"Accept": TABLE})
        return connection.getresponse().read()

    ask("/version")
    with contextlib.closing(connection):
        yield ask


if __name__ == "__main__":
    main()
