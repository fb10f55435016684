"""A lab that is up, as a test has it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netlab import inventory, waiting
from netlab import manifest as manifests
from netlab.cli import diagnosing
from netlab.client.apply import apply
from netlab.client.sync import Client
from netlab.diagnosis.facts import Facts
from netlab.errors import NetlabError
from netlab.kernel import paths
from netlab.network import names
from netlab.objects.lab import Lab as LabSpec
from netlab.objects.pathcheck import Protocol
from netlab.pathcheck.world import World, world_of
from netlab.testing.place import Place
from netlab.testing.trace import Trace

_SETTLED_SECONDS = 30.0


class Lab:
    """`files` are those it was brought up from, `seconds` how long that took; `kept` gives the
    directory for what is to be read when a test has failed."""

    def __init__(
        self, name: str, files: Sequence[Path], seconds: float, kept: Callable[[], Path]
    ) -> None:
        self.name = name
        self.files = tuple(files)
        self.seconds = seconds
        self.directory = paths.lab_dir(name)
        self.spec: LabSpec = inventory.read_lab(self.directory)
        self.api = Client(inventory.endpoint(self.directory))
        """What asks its API: `lab.api.get("Service", "default", "web")`."""
        self.kept = kept

    def __repr__(self) -> str:
        return f"<lab {self.name}>"

    # -- who sends ------------------------------------------------------------------------

    def pod(self, name: str, namespace: str = "default") -> Place:
        """A pod by its name."""
        return Place(self, f"pod/{name}", namespace)

    def deployment(self, name: str, namespace: str = "default") -> Place:
        """Any ready pod of a Deployment."""
        return Place(self, f"deployment/{name}", namespace)

    def node(self, name: str) -> Place:
        """A node itself."""
        return Place(self, f"node/{name}")

    def client(self, name: str = "client") -> Place:
        """A machine outside the cluster."""
        return Place(self, f"client/{name}")

    def trace(self, sender: str, target: str, *, protocol: Protocol = "TCP") -> Trace:
        """One packet, as `netlab trace SENDER TARGET` has it."""
        return Place(self, sender).trace(target, protocol=protocol)

    # -- its objects ----------------------------------------------------------------------

    def apply(self, *sources: str | Path | Mapping[str, Any], wait: bool = True) -> None:
        """Apply files, manifests' texts, or objects, and wait until that is settled."""
        for source in sources:
            for obj in _objects(source):
                apply(self.api, obj)
        if wait:
            self.settle()

    def settle(self, timeout: float = _SETTLED_SECONDS) -> None:
        """Wait until pods are ready, and rules and names follow them; `NetlabError` names what does
        not."""
        state = waiting.settle(self.api, timeout, lambda _: None)
        troubles = waiting.troubles(self.api, state)
        if troubles:
            raise NetlabError(f"lab {self.name} is not settled: {'; '.join(troubles)}")

    def netlab(self, *argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Any command of netlab's about this lab: `lab.netlab("node", "stop", "worker001")`."""
        done = subprocess.run(
            [sys.executable, "-P", "-m", "netlab", *argv],
            env={**os.environ, "NETLAB_LAB": self.name},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            raise NetlabError(f"netlab {' '.join(argv)}: {(done.stderr or done.stdout).strip()}")
        return done

    # -- as checks and traces see it ------------------------------------------------------

    def world(self) -> World:
        """Its objects and namespaces, as they are now."""
        return world_of(
            self.spec,
            services=self.api.list("Service"),
            slices=self.api.list("EndpointSlice"),
            pods=self.api.list("Pod"),
            nodes=self.api.list("Node"),
            netns=lambda place: paths.namespace(
                self.directory, names.namespace(self.spec.name, *place.split(".", 1))
            ),
        )

    def facts(self) -> Facts:
        """What causes are found from."""
        return diagnosing.facts(self.api, self.spec, self.directory, node_ports=True)

    def properties(self) -> Iterator[tuple[str, str]]:
        """What JUnit's report says of it."""
        yield "netlab.lab", self.name
        yield "netlab.files", " ".join(str(path) for path in self.files)
        yield "netlab.proxyMode", self.spec.proxy_mode
        yield "netlab.up", f"{self.seconds:.2f} s"

    def close(self) -> None:
        """Leave its API alone."""
        self.api.close()


def _objects(source: str | Path | Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    if isinstance(source, Mapping):
        return [dict(source)]
    is_text = isinstance(source, str) and "\n" in source
    loaded = manifests.loads(str(source)) if is_text else manifests.load([source])
    return loaded.objects
