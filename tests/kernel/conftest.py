"""Every kernel test has labs of its own in its own directory, and proves the machine untouched."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import needs
import pytest
import snapshot
from kernel import sandboxes
from msgspec.structs import replace

from netlab.errors import TeardownFailed
from netlab.kernel import netns, paths, teardown
from netlab.network import apply, plan
from netlab.network.model import Network, PodLink
from netlab.objects.lab import Lab, lab_from_object


@pytest.fixture(autouse=True)
def machine_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Labs go to a private directory; the machine's network is the same afterwards."""
    needs.root()
    monkeypatch.setenv(paths.RUN_VARIABLE, str(tmp_path / "run"))
    monkeypatch.setenv(paths.NETNS_DIR_VARIABLE, str(tmp_path / "netns"))
    owners = _noted_owners(monkeypatch)
    before = _own(snapshot.take(but=["processes"]), tmp_path, owners)
    yield
    left = []
    # By the path, not by the variable: whatever a test did to its environment, no other lab is hit.
    for directory in sorted(entry for entry in (tmp_path / "run").glob("*") if entry.is_dir()):
        left.append(directory)
        with contextlib.suppress(TeardownFailed):
            teardown.teardown(directory)
    assert before.difference(_own(snapshot.take(but=["processes"]), tmp_path, owners)) == []
    assert left == [], "the test left a lab behind"


def _noted_owners(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The marks of the labs that the test will have had."""
    owners: set[str] = set()
    ensure = netns.LabMount.ensure

    def noted(mount: netns.LabMount) -> str:
        owners.add(owner := ensure(mount))
        return owner

    monkeypatch.setattr(netns.LabMount, "ensure", noted)
    return owners


def _own(taken: snapshot.Snapshot, tmp_path: Path, owners: set[str]) -> snapshot.Snapshot:
    """Of what other tests and other people's labs change meanwhile, only what is ours."""
    sections = dict(taken.sections)
    mounts, groups = sections["mounts"].items(), sections["control groups"].items()
    sections["mounts"] = {k: v for k, v in mounts if k.startswith(str(tmp_path))}
    sections["control groups"] = {k: v for k, v in groups if v in owners}
    return snapshot.Snapshot(sections)


@dataclass
class RunningLab:
    """A lab's network that stands, and ways to send packets through it."""

    lab: Lab
    network: Network
    directory: Path

    def pod(self, node: str, name: str, number: int, namespace: str = "default") -> PodLink:
        """The link of a pod with the address at that place in each podCIDR of its node."""
        entry = self.lab.node(node)
        assert entry is not None
        ips = [plan.address_at(cidr, number) for cidr in entry.pod_cidrs]
        return plan.pod_link(self.lab, entry, namespace, name, f"uid-{namespace}-{name}", ips)

    def attach(self, *pods: PodLink) -> None:
        assert apply.attach_pods(pods, self.directory) == {}

    def path(self, name: str) -> Path:
        """The mount of a namespace named in short: `worker001`, `default.web`."""
        return paths.namespace(self.directory, f"{self.lab.name}.{name}")

    def listen(self, name: str, address: str, port: int) -> Server:
        return Server(self.path(name), address, port)

    def connect(
        self, name: str, address: str, port: int, *, source: str = "", timeout: float = 5.0
    ) -> tuple[str, str]:
        """(who the server saw, the server's name) of one TCP connection."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(self.path(name)), socket.socket(family) as client:
            client.settimeout(timeout)
            if source:
                client.bind((source, 0))
            client.connect((address, port))
            seen, _, server = client.makefile().readline().strip().partition(" ")
            return seen, server


class Server:
    """A TCP server in a namespace, which tells each client its address and the server's name."""

    def __init__(self, path: Path, address: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with netns.entered(path):
            self._socket = socket.socket(family)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((address, port))
        self._socket.listen()
        self._name = path.name
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, peer = self._socket.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.sendall(f"{peer[0]} {self._name}\n".encode())

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(2)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_lab(name: str = "t", **spec: object) -> Lab:
    return lab_from_object({"metadata": {"name": name}, "spec": {"nodes": 3, **spec}})


@contextlib.contextmanager
def standing(lab: Lab) -> Iterator[RunningLab]:
    directory = paths.lab_dir(lab.name)
    netns.LabMount(directory).ensure()
    try:
        network = plan.cluster(lab)
        apply.ensure_cluster(network, directory)
        yield RunningLab(lab, network, directory)
    finally:
        teardown.teardown(directory)


@pytest.fixture
def running() -> Iterator[RunningLab]:
    """A lab of a control plane and two workers, its network up, without pods."""
    with standing(make_lab()) as lab:
        yield lab


@pytest.fixture
def lab_dir() -> Iterator[Path]:
    """The mounted, empty directory of a lab called `t`."""
    directory = paths.lab_dir("t")
    netns.LabMount(directory).ensure()
    yield directory
    teardown.teardown(directory)


@pytest.fixture
async def lab(lab_dir: Path) -> AsyncIterator[sandboxes.Lab]:
    """A lab called `t` in which pods can have processes."""
    async with sandboxes.standing(lab_dir) as lab:
        yield lab


@pytest.fixture
def labs() -> type[LabFactory]:
    """Labs other than the usual one: `with labs.standing(labs.make(...)) as lab`."""
    return LabFactory


class LabFactory:
    make = staticmethod(make_lab)
    standing = staticmethod(standing)
    replace = staticmethod(replace)
