"""What Kubernetes' own end-to-end tests do over and over, for ours that try the same on a lab.

with cluster(tmp_path) as lab:
    space = lab.space("services")         a namespace of one test
    space.pod("web", "netexec", "--http-port", "80", labels={"app": "web"})
    space.serving("web", {"web": {80}})   waits for Endpoints and EndpointSlices
    space.run("box", "curl -s web")       as `kubectl exec` does
"""

from __future__ import annotations

import contextlib
import itertools
import shlex
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.kubectls import Shell, shell
from e2e.labs import Done, eventually

from netlab.client.sync import Client
from netlab.errors import ApiError

AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.53"

LAB = """
apiVersion: netlab/v1
kind: Lab
metadata: {name: conformance}
spec: {nodes: 3}
"""
WORKERS = ("worker001", "worker002")
INTERNAL = {"worker001": "10.10.11.11", "worker002": "10.10.11.12"}

PROBES = """
tcp() { curl -s -o /dev/null --connect-timeout 1 --max-time 2 "http://$1:$2/hostname"; }
udp() {
  timeout 1 bash -c "exec 3<>/dev/udp/$1/$2; echo hostname >&3; head -c 1 <&3" 2>&1 | grep -q '^.$'
}
not() { ! "$@"; }
until_() {
  for try in $(seq 50); do "$@" && return; sleep 0.2; done
  echo "never: $*"; exit 1
}
"""
"""Shell functions: does anybody answer there?"""

Asked = tuple[str, int] | tuple[str, int, str]
"""Host, port and protocol (TCP)."""

Served = Mapping[str, Collection[int]]
"""Which pods serve on which ports."""


@dataclass
class Cluster:
    """A lab of three nodes, two of which take pods."""

    shell: Shell
    client: Client
    count: Iterator[int] = field(default_factory=itertools.count)

    def space(self, name: str) -> Space:
        """A fresh namespace whose name begins so."""
        full = f"{name}-{next(self.count)}"
        self.client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": full}})
        return Space(self.shell, self.client, full)


@dataclass
class Space:
    """A namespace, for what one test makes."""

    shell: Shell
    client: Client
    name: str

    # -- objects ---------------------------------------------------------------------------

    def create(self, obj: Mapping[str, Any]) -> Any:
        """Create an object here."""
        return self.client.create({**obj, "metadata": {**obj["metadata"], "namespace": self.name}})

    def get(self, kind: str, name: str) -> Any:
        """An object here."""
        return self.client.get(kind, self.name, name)

    def update(self, kind: str, name: str, change: Callable[[Any], object]) -> Any:
        """Read an object, change it, and send it whole, again if somebody came between."""
        while True:
            obj = self.get(kind, name)
            change(obj)
            try:
                return self.client.update(obj)
            except ApiError as error:
                if error.reason != "Conflict":
                    raise

    def delete(self, kind: str, name: str, **options: Any) -> None:
        """Delete an object and wait until it has gone."""
        self.client.delete(kind, self.name, name, **options)
        eventually(lambda: not self.exists(kind, name), 20.0)

    def exists(self, kind: str, name: str) -> bool:
        """Is there such an object?"""
        try:
            self.get(kind, name)
        except ApiError as error:
            assert error.code == 404, error
            return False
        return True

    def change(self, kind: str, name: str, **spec: Any) -> Any:
        """Set these fields of an object's spec."""
        return self.update(kind, name, lambda obj: obj["spec"].update(spec))

    # -- pods ------------------------------------------------------------------------------

    def pod(
        self,
        name: str,
        *args: str,
        node: str = "",
        labels: Mapping[str, str] | None = None,
        wait: bool = True,
        container: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> Any:
        """An agnhost of these arguments (none: it pauses), and wait until it is ready."""
        whole = {
            "nodeSelector": {"kubernetes.io/hostname": node} if node else {},
            "containers": [agnhost(*args, **(container or {}))],
            **spec,
        }
        metadata = {"name": name, "labels": dict(labels or {})}
        self.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole})
        if wait:
            eventually(lambda: self.ready(name), 30.0)
        return self.get("Pod", name)

    def ready(self, pod: str) -> bool:
        """Does the pod have the condition?"""
        conditions = self.get("Pod", pod)["status"].get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

    def deployment(
        self,
        name: str,
        *args: str,
        replicas: int,
        labels: Mapping[str, str],
        container: Mapping[str, Any] | None = None,
        **spec: Any,
    ) -> list[str]:
        """Pods of a Deployment, all ready: their names."""
        template = {
            "metadata": {"labels": dict(labels)},
            "spec": {"containers": [agnhost(*args, **(container or {}))], **spec},
        }
        whole = {
            "replicas": replicas,
            "selector": {"matchLabels": dict(labels)},
            "template": template,
        }
        metadata = {"name": name}
        self.create(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": whole}
        )
        eventually(lambda: len(self.pods(labels)) == replicas, 30.0)
        pods = self.pods(labels)
        eventually(lambda: all(map(self.ready, pods)), 30.0)
        return pods

    def pods(self, labels: Mapping[str, str]) -> list[str]:
        """The names of the pods that have these labels and are to stay."""
        query = {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())}
        found = self.client.request("GET", f"/api/v1/namespaces/{self.name}/pods", query=query)
        return sorted(
            pod["metadata"]["name"]
            for pod in found["items"]
            if "deletionTimestamp" not in pod["metadata"]
        )

    def run(self, pod: str, script: str, container: str = "") -> Done:
        """A shell's commands in a pod, as upstream's tests run them."""
        which = ["-c", container] if container else []
        argv = ["kubectl", "exec", "-n", self.name, pod, *which, "--", "/bin/sh", "-c", script]
        return self.shell.run(shlex.join(argv), timeout=60.0)

    def says(self, pod: str, script: str, container: str = "") -> str:
        """What they print; they must succeed."""
        done = self.run(pod, script, container)
        assert done.returncode == 0, f"{script}\n{done.stdout}"
        return str(done.stdout)

    # -- Services --------------------------------------------------------------------------

    def service(self, name: str, ports: Sequence[Mapping[str, Any]], **spec: Any) -> Any:
        """A Service for pods labelled `app: NAME`."""
        whole = {"selector": {"app": name}, "ports": [dict(port) for port in ports], **spec}
        metadata = {"name": name}
        return self.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": whole}
        )

    def serving(self, service: str, expected: Served) -> None:
        """Wait until Endpoints and EndpointSlices name these pods with these ports."""
        wanted = {pod: set(ports) for pod, ports in expected.items()}

        def holds() -> bool:
            found = self.by_endpoints(service), self.by_slices(service)
            assert found == (wanted, wanted), found
            return True

        eventually(holds, 20.0)

    def by_endpoints(self, service: str) -> dict[str, set[int]]:
        """Which ready pods its Endpoints name, and with which ports."""
        found: dict[str, set[int]] = {}
        for subset in self.get("Endpoints", service).get("subsets") or ():
            for address in subset.get("addresses") or ():
                pod = address.get("targetRef", {}).get("name", address["ip"])
                found.setdefault(pod, set()).update(port["port"] for port in subset["ports"])
        return found

    def slices(self, service: str) -> list[Any]:
        """Its EndpointSlices."""
        query = {"labelSelector": f"kubernetes.io/service-name={service}"}
        return list(self.client.list("EndpointSlice", self.name, query=query))

    def by_slices(self, service: str) -> dict[str, set[int]]:
        """Which ready pods its EndpointSlices name, and with which ports."""
        found: dict[str, set[int]] = {}
        for one in self.slices(service):
            for endpoint in one.get("endpoints") or ():
                if endpoint["conditions"].get("ready") and one.get("ports"):
                    pod = endpoint.get("targetRef", {}).get("name", endpoint["addresses"][0])
                    ports = (port["port"] for port in one["ports"])
                    found.setdefault(pod, set()).update(ports)
        return found

    def reachable(self, service: str, pod: str) -> None:
        """Each port answers by name, by cluster IP and by node port, from inside a pod."""
        eventually(lambda: self.by_slices(service), 20.0)
        spec = self.get("Service", service)["spec"]
        asked = []
        for port in spec["ports"]:
            asked += [
                (host, port["port"], port["protocol"]) for host in (service, spec["clusterIP"])
            ]
            if "nodePort" in port:
                asked += [(host, port["nodePort"], port["protocol"]) for host in INTERNAL.values()]
        self.answer(pod, *asked)

    def answer(self, pod: str, *asked: Asked) -> None:
        """In the end somebody says something at each of these."""
        self.says(pod, PROBES + "".join(f"until_ {_probe(*one)}; " for one in asked))

    def refuse(self, pod: str, *asked: Asked) -> None:
        """In the end nobody answers at any of these."""
        self.says(pod, PROBES + "".join(f"until_ not {_probe(*one)}; " for one in asked))

    def hostnames(self, pod: str, host: str, port: int, times: int = 12) -> set[str]:
        """The names that so many requests, each on a connection of its own, are answered with."""
        url = f"http://{host}:{port}/hostname"
        loop = f"for i in $(seq {times}); do curl -s --connect-timeout 2 {url}; echo; done"
        return set(self.run(pod, loop).stdout.split())


def agnhost(*args: str, **more: Any) -> dict[str, Any]:
    """A container of agnhost."""
    return {"name": "agnhost", "image": AGNHOST, "args": list(args) or ["pause"], **more}


def _probe(host: str, port: int, protocol: str = "TCP") -> str:
    return f"{protocol.lower()} {host} {port}"


@contextlib.contextmanager
def cluster(base: Path) -> Iterator[Cluster]:
    """A lab that is up, and ways to it."""
    with shell(base, LAB, "conformance") as typing, Client(_socket(base)) as client:
        yield Cluster(typing, client)


def _socket(base: Path) -> Path:
    return base / "run" / "conformance" / "api.sock"
