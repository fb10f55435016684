"""An Ingress in front of Services, answered by a real nginx: what a tutorial's reader sees."""

from __future__ import annotations

from collections.abc import Iterator

import needs
import pytest
from e2e.labs import TOPOLOGIES, Machine, machine

pytestmark = pytest.mark.root

NODE = "172.16.110.20"
HTTP, HTTPS = f"{NODE}:30100", f"{NODE}:30101"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    needs.program("nginx")
    with machine(tmp_path_factory.mktemp("ingress")) as here:
        here.netlab("up", TOPOLOGIES / "ingress.yaml")
        yield here


def test_the_topology_answers_by_path_through_every_node(here: Machine) -> None:
    for node in ("172.16.110.10", "172.16.110.20", "172.16.110.21"):
        names = {here.curl("ingress.client", f"{node}:30100/") for _ in range(4)}
        assert len(names) == 2 and all(name.startswith("in-hname-pod-") for name in names)
        assert "ip_dest: 10.244." in here.curl("ingress.client", f"{node}:30100/ip")
    here.netlab("check", TOPOLOGIES / "ingress.yaml")
