"""The screen of `netlab top`, in 60 and in 200 columns, of recorded counts."""

from __future__ import annotations

import json

import pytest

from netlab.traffic.glance import Glance, NodeGlance
from netlab.traffic.opening import End
from netlab.traffic.shares import interval
from netlab.traffic.tally import EndpointCount, ServiceCount, ServiceKey
from netlab.view.top import lines

POD = "default/hostname-deployment-68c6c477b7-"


def endpoint(name: str, address: str, count: int, *, off: bool = False) -> EndpointCount:
    return EndpointCount(
        End(POD + name, address, 8080), count, count / 2, count / 300, interval(count, 300),
        1 / 3, off,
    )  # fmt: skip


WEB = ServiceCount(
    ServiceKey("default/hostname-svc-nodeport", "web-port", "tcp", 4),
    300,
    150.0,
    (
        endpoint("jr6gm", "10.244.1.2", 99),
        endpoint("chdhq", "10.244.1.3", 101),
        endpoint("5rkd2", "10.244.2.2", 100, off=True),
    ),
)
STICKY = ServiceCount(
    ServiceKey("default/sticky", "", "tcp", 6),
    7,
    3.5,
    (EndpointCount(End("", "fd44::5", 80), 7, 3.5, 1.0),),
)


def glance(**more: object) -> Glance:
    fields = {
        "time": 1_700_000_000.0,
        "seconds": 2.0,
        "interval": 2.0,
        "services": (WEB, STICKY),
        "silent": 2,
        "nodes": (
            NodeGlance("worker001", 150.0, 0.5, 0.0, 319, 262144),
            NodeGlance("worker002", 3.5, None, None, None, None),
        ),
        "retransmissions": {POD + "jr6gm": 0.5},
        "refusals": {"default/empty:http": 12.0, "default/hostname-svc-nodeport:web-port": 1.5},
        "queries": {"kube-system/coredns-1": 8.0, "node-local cache on worker001": 20.5},
        "lost": {},
        **more,
    }
    return Glance(**fields)  # type: ignore[arg-type]


NARROW = """\
lab x, 2 s: 307 connections, 153.5/s; none lost

SERVICE, ENDPOINT         SHARE        95%  EXPECT    CONN/S
default/hostname-svc-nodeport:web-port tcp             150.0
! no endpoints: 1.5 packets/s refused
  …ent-68c6c477b7-jr6gm   33.0%  27.9-38.5   33.3%      49.5
  …ent-68c6c477b7-chdhq   33.7%  28.6-39.2   33.3%      50.5
! …ent-68c6c477b7-5rkd2   33.3%  28.2-38.8   33.3%      50.0
default/sticky tcp IPv6                                  3.5
  [fd44::5]:80           100.0%                          3.5
default/empty:http
! no endpoints: 12.0 packets/s refused
2 other Services without connections

NODE         CONN/S  RETRANS  UNREACH       CONNTRACK
worker001     150.0      0.5      0.0      319/262144
worker002       3.5

DNS SERVER                      QUERY/S
node-local cache on worker001      20.5
kube-system/coredns-1               8.0"""


def test_in_60_columns() -> None:
    assert lines(glance(), 60, title="lab x, ") == NARROW.splitlines()


def test_in_200_columns() -> None:
    found = lines(glance(), 200)
    assert found[2] == (
        f"{'SERVICE, ENDPOINT':62}  RETRANS   SHARE        95%  EXPECT     TOTAL    CONN/S"
    )
    assert found[5] == (
        f"  {POD}jr6gm 10.244.1.2:8080      0.5   33.0%  27.9-38.5   33.3%        99      49.5"
    )
    assert any(
        line.startswith("worker001") and line.endswith("319/262144   0.1%") for line in found
    )


@pytest.mark.parametrize("width", [20, 40, 60, 80, 99, 100, 120, 200])
@pytest.mark.parametrize("height", [10, 24, 60, None])
def test_it_fits(width: int, height: int | None) -> None:
    busy = glance(services=(WEB,) * 20, lost={f"worker{n:03}": n for n in range(30)})
    found = lines(busy, width, height, title="lab " + "x" * 70)
    assert all(len(line) <= width for line in found)
    if height is not None:
        assert len(found) <= max(height, 12)
        assert any(line.startswith("… ") and line.endswith("more rows") for line in found)


def test_loss_is_said_first() -> None:
    first, second = lines(glance(lost={"worker001": 12}), 100)[:2]
    assert first.endswith("; 12 events were lost")
    assert second == "  on worker001: 12"


def test_nothing_yet() -> None:
    found = lines(glance(services=(), refusals={}, silent=1, queries={}), 80)
    assert "1 Service without connections" in found
    assert not any("DNS" in line for line in found)


def test_a_name_steers_nothing() -> None:
    bad = ServiceCount(
        ServiceKey("default/\x1b[2J", "\x07", "tcp", 4), 1, 1.0,
        (EndpointCount(End("a\nb\x9b", "10.0.0.1", 1), 1, 1.0, 1.0),),
    )  # fmt: skip
    shown = glance(
        services=(bad,), refusals={"\x1b]0;x": 1.0}, queries={"\x1b[H": 1.0},
        nodes=(NodeGlance("\r\x1b", 1.0, None, None, None, None),), lost={"\x1b": 1},
    )  # fmt: skip
    for width in (60, 200):
        for line in lines(shown, width, title="\x1b"):
            assert line.isprintable()


def test_as_json() -> None:
    told = json.loads(json.dumps(glance().json()))
    web = told["services"][0]
    assert (web["service"], web["port"], web["family"]) == (
        "default/hostname-svc-nodeport", "web-port", "IPv4"
    )  # fmt: skip
    assert web["endpoints"][0]["expectedShare"] == 0.333333
    assert web["endpoints"][0]["interval95"] == [0.279234, 0.385064]
    assert told["services"][1]["endpoints"][0]["interval95"] is None
    assert told["refusalsPerSecond"]["default/empty:http"] == 12.0
    assert told["nodes"][0]["conntrack"] == 319
    assert told["nodes"][1]["retransmissionsPerSecond"] is None
    assert told["dnsQueriesPerSecond"]["kube-system/coredns-1"] == 8.0
    assert glance(refusals={}).json()["refusalsPerSecond"] == {}
