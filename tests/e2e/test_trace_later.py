"""`netlab trace --ct`: the later packets of a flow, and the answer; kernel and rules agree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.labs import TOPOLOGIES, Machine, machine
from e2e.test_trace import opened, trace

pytestmark = pytest.mark.root

RULES = ["iptables: nft", "iptables: legacy", "proxyMode: nftables"]
WAYS = [
    "box svc/web:80",
    "client node/worker001:30080",
    "worker001 svc/web:80",
    "near svc/beside:80",
    "box kubernetes:443",
    "box kube-dns.kube-system:53 --udp",
    "worker002 pod/box --icmp",
    "local node/worker002:8088",
]


@pytest.fixture(scope="module", params=RULES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Machine]:
    yield from opened(tmp_path_factory, request.param)


def document(lab: Machine, *words: str) -> dict[str, Any]:
    return dict(json.loads(lab.netlab("trace", *words, "-o", "json").stdout))


@pytest.mark.parametrize("words", WAYS)
@pytest.mark.parametrize("ct", ["established", "reply"])
def test_they_agree_on_later_packets(lab: Machine, words: str, ct: str) -> None:
    told = document(lab, *words.split(), "--ct", ct)
    assert (told["agree"], told["difference"]) == (True, "")
    assert (told["ct"], told["verdict"]) == (ct, "delivered")
    assert all(chain["table"] != "nat" for chain in told["chains"])  # it is not asked again


def test_a_later_packet_goes_where_its_first_went(lab: Machine) -> None:
    told = document(lab, "box", "svc/web:80", "--ct", "established")
    (known, *_) = (one for one in told["conntrack"] if one["place"] == "worker001")
    assert told["deliveredAs"] == f"{known['reply']['source']}:{known['reply']['sport']}"
    assert known["assured"]
    # A server may not like what it gets, and its FIN may not be answered yet.
    assert known["state"] in ("ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT")
    assert told["reply"]["what"] == "ACK"
    text = trace(lab, "box", "svc/web:80", "--ct", "established")
    assert text[0].endswith("tcp, a later packet of its flow")
    assert any(line.startswith("  by conntrack: ") for line in text)


def test_the_answer_goes_back_to_who_asked(lab: Machine) -> None:
    told = document(lab, "client", "node/worker001:30080", "--ct", "reply")
    assert told["from"].startswith("default/")
    assert told["deliveredTo"] == "client"
    assert told["routes"][0]["place"] == told["from"]
    assert told["routes"][-1]["place"] == "client"
    assert told["masquerade"][0]["place"] == "worker001"  # the source turned back


def test_without_an_answer_nothing_follows(lab: Machine) -> None:
    for ct, said in (("established", "connection refused"), ("reply", "ICMP type 3 code 3")):
        words = ("trace", "box", "svc/empty:80", "--ct", ct)
        assert said in lab.netlab(*words, code=2).stderr
        assert said in lab.netlab(*words, "--expect", "delivered", code=1).stderr


def test_datagrams_that_are_refused_have_no_later_ones(lab: Machine) -> None:
    for ct, said in (("established", "was refused"), ("reply", "there is no reply")):
        done = lab.netlab("trace", "box", "pod/near:9", "--udp", "--ct", ct, code=2)
        assert said in done.stderr


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("ct", ["established", "reply"])
def test_in_ipv6(rules: str, ct: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = (TOPOLOGIES / "dual-stack.yaml").read_text()
    text = text.replace("  nodes: 3", f"  {rules}\n  nodes: 3", 1)
    with machine(tmp_path_factory.mktemp("dual")) as here:
        here.netlab("up", str(here.lab_file(text)))
        told = document(here, "client-pod", "svc/web-v6:80", "--ct", ct)
        assert (told["agree"], told["verdict"]) == (True, "delivered")
        assert told["packet"]["source"].startswith("[fd00:")
