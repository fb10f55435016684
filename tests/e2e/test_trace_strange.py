"""`netlab trace` among rules that are none of the lab's: they are named, and nothing is guessed."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.labs import Machine
from e2e.test_trace import opened, trace

from netlab.kernel.run import run

pytestmark = pytest.mark.root

RULES = ["iptables: nft", "iptables: legacy", "proxyMode: nftables"]
STRANGE = """
table inet strange {
  counter hits { }
  ct helper ftp-standard { type "ftp" protocol tcp; }
  set blocked { typeof ip saddr; flags interval; elements = { 192.0.2.0/24 } }
  chain fw {
    type filter hook forward priority 5; policy accept;
    ip ttl 7 counter name hits
    ip saddr @blocked drop
    LAST
  }
}
table inet asleep {
  flags dormant
  chain fw { type filter hook forward priority 6; tcp dport 80 drop; }
}
"""


@pytest.fixture(scope="module", params=RULES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Machine]:
    yield from opened(tmp_path_factory, request.param)


@contextlib.contextmanager
def strange(lab: Machine, last: str = "") -> Iterator[None]:
    nodes = [lab.namespace(f"traced.{node}") for node in ("worker001", "worker002")]
    for node in nodes:
        run(["nft", "-f", "-"], netns=node, input=STRANGE.replace("LAST", last))
    try:
        yield
    finally:
        for node in nodes:
            for table in ("strange", "asleep"):
                run(["nft", "delete", "table", "inet", table], netns=node)


def document(lab: Machine, *words: str) -> dict[str, Any]:
    return dict(json.loads(lab.netlab("trace", *words, "-o", "json").stdout))


def mode(lab: Machine) -> str:
    text = (lab.base / "lab.yaml").read_text()
    return next(rules for rules in RULES if rules in text)


def test_others_tables_do_not_break_a_trace(lab: Machine) -> None:
    with strange(lab):
        told = document(lab, "box", "svc/web:80")
    assert (told["verdict"], told["difference"]) == ("delivered", "")
    in_nftables = mode(lab) == "proxyMode: nftables"
    assert told["agree"] is not in_nftables  # which foresees all tables, and not this rule
    assert any("ip ttl 7" in rule for rule in told["open"]) is in_nftables
    assert told["mattered"]["ignored"] == []  # one asks for the TTL


def test_a_drop_by_others_is_named_and_left_open(lab: Machine) -> None:
    """The kernel tells of nf_tables' rules in every mode; nobody foresees these in iptables'."""
    with strange(lab, "tcp dport 80 drop"):
        told = document(lab, "box", "svc/web:80")
        text = trace(lab, "box", "svc/web:80", "--expect", "delivered", code=1)
    assert (told["verdict"], told["difference"], told["agree"]) == ("lost", "", False)
    if mode(lab) != "proxyMode: nftables":
        (rule,) = told["open"]
        assert rule == "rule 3 of strange fw on worker001: tcp dport 80 drop"
        assert text[-1] == f"the rules leave it open: {rule}"


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
@pytest.mark.parametrize(("target", "verdict"), [("DROP", "lost"), ("REJECT", "refused")])
def test_what_its_input_turns_away_is_not_delivered(
    lab: Machine, protocol: str, target: str, verdict: str
) -> None:
    if mode(lab) == "proxyMode: nftables":
        with strange_input(lab, f"{protocol} dport 9999 {target.lower()}"):
            told = document(lab, "client", "node/worker001:9999", f"--{protocol}")
    else:
        program = "iptables-legacy" if "legacy" in mode(lab) else "iptables-nft"
        rule = ["INPUT", "-p", protocol, "--dport", "9999", "-j", target]
        lab.run_in("traced.worker001", program, "-I", *rule)
        try:
            told = document(lab, "client", "node/worker001:9999", f"--{protocol}")
        finally:
            lab.run_in("traced.worker001", program, "-D", *rule)
    assert (told["verdict"], told["agree"]) == (verdict, True)
    assert told["deliveredTo"] is None
    if verdict == "refused":
        assert (told["reply"]["error"], told["reply"]["sent"]) == ([3, 3], "worker001")


@contextlib.contextmanager
def strange_input(lab: Machine, rule: str) -> Iterator[None]:
    node = lab.namespace("traced.worker001")
    text = f"table inet strange {{\nchain x {{\ntype filter hook input priority 5\n{rule}\n}}\n}}\n"
    run(["nft", "-f", "-"], netns=node, input=text)
    try:
        yield
    finally:
        run(["nft", "delete", "table", "inet", "strange"], netns=node)
