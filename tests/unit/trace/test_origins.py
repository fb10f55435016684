"""Which object and field a rule comes from, and where in a file that stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netlab.pathcheck.world import World
from netlab.trace import written
from netlab.trace.origins import origin
from netlab.trace.passages import MetRule

SERVICE: Any = {
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7", "fd00::7"],
        "externalIPs": ["192.0.2.1", "192.0.2.2"],
        "loadBalancerSourceRanges": ["198.51.100.0/24", "203.0.113.0/24"],
        "ports": [{"name": "a", "port": 80, "nodePort": 30080}, {"name": "b", "port": 81}],
    },
    "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}},
}
SLICE: Any = {
    "kind": "EndpointSlice",
    "metadata": {
        "name": "web-x", "namespace": "default", "labels": {"kubernetes.io/service-name": "web"},
    },
    "endpoints": [{"addresses": ["10.244.0.3"]}, {"addresses": ["10.244.1.3"]}],
}  # fmt: skip
POD: Any = {
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default"},
    "spec": {
        "containers": [
            {"name": "c", "ports": [{"containerPort": 1}, {"containerPort": 80, "hostPort": 88}]}
        ]
    },
    "status": {"podIPs": [{"ip": "10.244.1.4"}]},
}
WORLD = World({}, {"default/web": SERVICE}, (SLICE,), {"default/p": POD})


def told(
    chain: str, text: str, came: str, became: str = "", owner: str | None = "default/web:a",
    to: str = "",
) -> str:  # fmt: skip
    return str(origin(MetRule("nat", chain, 1, text, "", to), owner, came, became, WORLD))


SEP = "EndpointSlice default/web-x endpoints[1].addresses[0]"


@pytest.mark.parametrize(
    ("chain", "text", "came", "field"),
    [
        ("KUBE-SERVICES", "-d 10.96.0.7/32 -j KUBE-SVC-1", "10.96.0.7:80", "spec.ports[0].port"),
        ("KUBE-SERVICES", "-d fd00::7/128 -j KUBE-SVC-1", "[fd00::7]:80", "spec.ports[0].port"),
        ("KUBE-SERVICES", "-d 192.0.2.2/32 -j X", "192.0.2.2:80", "spec.externalIPs[1]"),
        ("KUBE-SERVICES", "-d 192.0.2.9", "192.0.2.9:80", "status.loadBalancer.ingress[0].ip"),
        ("KUBE-NODEPORTS", "--dport 30080 -j X", "10.0.0.1:30080", "spec.ports[0].nodePort"),
        ("KUBE-EXT-1", "-j KUBE-MARK-MASQ", "10.0.0.1:30080", "spec.externalTrafficPolicy"),
        ("KUBE-FW-1", "-s 203.0.113.0/24", "192.0.2.9:80", "spec.loadBalancerSourceRanges[1]"),
        ("KUBE-SERVICES", "web has no endpoints", "10.96.0.7:80", "spec.internalTrafficPolicy"),
        ("KUBE-EXT", "has no local endpoints", "10.0.0.1:30080", "spec.externalTrafficPolicy"),
        ("KUBE-SVC-1", '-> 10.244.1.3:80" --rcheck', "10.96.0.7:80", "spec.sessionAffinity"),
    ],
)  # fmt: skip
def test_of_a_service(chain: str, text: str, came: str, field: str) -> None:
    assert told(chain, text, came) == f"Service default/web {field}"


@pytest.mark.parametrize(
    ("chain", "text", "became", "to"),
    [
        ("KUBE-SEP-1", "-p tcp -j DNAT --to-destination 10.244.1.3:80", "", ""),
        ("KUBE-SVC-1", '--comment "default/web:a -> 10.244.1.3:80"', "", "KUBE-SEP-1"),
        ("KUBE-SEP-1", "-s 10.244.1.3/32 -m comment --comment \"x\" -j KUBE-MARK-MASQ", "", ""),
        ("service-1", "dnat ip to numgen random mod 2 map { }", "10.244.1.3:80", ""),
        ("service-1", "numgen random mod 1 vmap { }", "", "endpoint-1-web/a__10.244.1.3/80"),
        ("endpoint-1", "meta l4proto tcp dnat to 10.244.1.3:80", "", ""),
    ],
)  # fmt: skip
def test_of_an_endpoint(chain: str, text: str, became: str, to: str) -> None:
    assert told(chain, text, "10.96.0.7:80", became, to=to) == SEP


def test_of_a_host_port() -> None:
    found = told("CNI-DN-1", "-j DNAT", "10.0.0.1:88", "10.244.1.4:80", owner=None)
    assert found == "Pod default/p spec.containers[0].ports[1].hostPort"


def test_what_is_nobodys() -> None:
    assert told("FORWARD", "-j DROP", "10.0.0.1:88", owner=None) == "None"
    assert told("KUBE-SVC-1", "-j X", "10.0.0.1:88", owner="gone/x") == "Service gone/x"


FILE = """\
# a comment
---
kind: Service
metadata: {name: other}
---
kind: List
items:
- kind: Service
  metadata: {name: web}
  spec:
    externalIPs: [192.0.2.1, 192.0.2.2]
    ports:
    - port: 8
    - port: 81
"""


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("spec.ports[1].port", 14),
        ("spec.externalIPs[1]", 11),
        ("spec.externalTrafficPolicy", 10),  # a default: where it would stand
        ("spec.ports[0].port", 0),  # the file says something else by now
    ],
)
def test_where_a_field_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, field: str, line: int
) -> None:
    (tmp_path / "lab.yaml").write_text(FILE)
    monkeypatch.chdir(tmp_path)
    files = [str(tmp_path / "gone.yaml"), str(tmp_path / "lab.yaml")]
    where = written.finder(files, lambda _, key: {"default/web": SERVICE}.get(key))
    assert where("Service", "default/web", field) == (f"lab.yaml:{line}" if line else "")
    assert where("Service", "kube-system/web", field) == ""
    assert where("EndpointSlice", "default/web", field) == ""


def test_steps_of_a_field() -> None:
    assert written.steps("spec.ports[0].port") == ("spec", "ports", 0, "port")
    assert written.steps("") == ()
