"""Packets through rulesets on paper: where they may end, how likely, by which rules."""

import itertools
import json
import re
from pathlib import Path

import pytest
from flow import golden as cases
from flow import rows
from flow.golden import NODE_IP, ROWS
from msgspec.structs import replace

from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.node_view import node_view
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate
from netlab.simulation.packet import Packet

ORACLE = Path(__file__).parents[1] / "oracle"


class Golden:
    """What a mode's compiled rules do with a packet, in a golden case. Its addresses are told in
    IPv4, for either family."""

    def __init__(self, mode, family):
        self.mode, self.family = mode, family

    def __call__(self, name, sent, **more):
        world = cases.read(name, self.family)
        node = node_view(world.node, replace(world.config, mode=self.mode), self.family)
        ends = {end: self.ip(getattr(sent, end)) for end in ("source", "destination")}
        sent = replace(sent, **ends, local=frozenset(map(self.ip, sent.local)))
        if self.mode == "nftables":
            table = nft_compile(world.services, world.slices, node)
            return nft_simulate([table], sent, **more)
        return simulate(compile(world.services, world.slices, node), sent, **more)

    def ip(self, text):
        return cases.in_family(text, self.family)


@pytest.fixture(params=itertools.product(("iptables", "nftables"), ("ipv4", "ipv6")), ids="-".join)
def golden(request):
    return Golden(*request.param)


def packet(source, destination, dport, **more):
    return Packet(source, destination, dport=dport, local=frozenset({NODE_IP}), **more)


def ends(outcomes):
    return {outcome.endpoint: outcome.probability for outcome in outcomes}


@pytest.mark.parametrize(
    "row", ROWS, ids=lambda row: f"{row.source}-{row.destination}:{row.port}-{row.verdict}"
)
def test_what_becomes_of_a_packet(golden, row):
    sent = packet(row.source, row.destination, row.port, protocol=row.protocol)
    outcomes = golden(row.case, sent, entry=row.entry)
    matched = "\n".join(str(hit) for outcome in outcomes for hit in outcome.rules)
    itself = (golden.ip(row.source), 8080)
    others = [outcome for outcome in outcomes if outcome.endpoint != itself]
    assert {outcome.verdict for outcome in outcomes} == {row.verdict}, matched
    assert {outcome.masqueraded for outcome in others} == {row.masqueraded}, matched


def test_node_ports_on_loopback_are_iptables_mode_s_alone_and_ipv4_s(golden):
    outcomes = golden("node-port", packet("127.0.0.1", "127.0.0.1", 30080), entry="OUTPUT")
    served = (golden.mode, golden.family) == ("iptables", "ipv4")
    assert {outcome.masqueraded for outcome in outcomes} == {served}
    assert {outcome.endpoint is not None for outcome in outcomes} == {served}


def test_endpoints_are_equally_likely(golden):
    outcomes = golden("cluster-ip", packet("10.244.5.5", "10.96.7.1", 80))
    assert ends(outcomes) == {
        (golden.ip("10.244.0.9"), 8080): pytest.approx(1 / 3, abs=1e-9),
        (golden.ip("10.244.1.9"), 8080): pytest.approx(1 / 3, abs=1e-9),
        (golden.ip("10.244.1.10"), 8080): pytest.approx(1 / 3, abs=1e-9),
    }


def test_a_pod_that_reaches_itself_is_masqueraded(golden):
    outcomes = golden("cluster-ip", packet("10.244.0.9", "10.96.7.1", 80))
    masqueraded = {outcome.endpoint[0]: outcome.masqueraded for outcome in outcomes}
    told = {"10.244.0.9": True, "10.244.1.9": False, "10.244.1.10": False}
    assert masqueraded == {golden.ip(end): itself for end, itself in told.items()}


def test_policy_local_keeps_the_source_and_the_node(golden):
    outcomes = golden("node-port", packet("192.0.2.1", NODE_IP, 30081))
    assert [(o.endpoint, o.masqueraded) for o in outcomes] == [
        ((golden.ip("10.244.0.12"), 8080), False)
    ]


def test_affinity_leads_a_known_client_back(golden):
    strangers = golden("affinity-dual-stack", packet("10.244.5.5", "10.96.10.1", 80))
    assert len(strangers) == 2
    remembers = re.compile(r"(?:--set --name |update @)(\S+)")
    rules = " ".join(hit.rule for hit in strangers[0].rules)
    recent = frozenset(remembers.findall(rules))
    known = golden("affinity-dual-stack", packet("10.244.5.5", "10.96.10.1", 80, recent=recent))
    assert len(recent) == 1
    assert [outcome.endpoint for outcome in known] == [strangers[0].endpoint]


def test_later_packets_do_not_meet_the_nat_table(golden):
    later = packet("10.244.5.5", "10.96.7.1", 80, ctstate="ESTABLISHED")
    (outcome,) = golden("cluster-ip", later)
    assert outcome.verdict == "ACCEPT" and outcome.endpoint is None


def test_the_outcome_names_the_rules_that_matched(golden):
    sent = packet("10.244.5.5", "10.96.7.1", 443, protocol="udp")
    outcome = golden("cluster-ip", sent)[0]
    if golden.mode == "iptables":
        assert [hit.chain.rsplit("-", 1)[0] for hit in outcome.rules if hit.table == "nat"] == [
            "PREROUTING", "KUBE", "KUBE-SVC", "KUBE-SEP", "POSTROUTING", "KUBE",
        ]  # fmt: skip
        return
    assert [(hit.chain, hit.verdict, hit.to) for hit in outcome.rules] == [
        ("filter-prerouting-pre-dnat", "jump", "firewall-check"),
        ("nat-prerouting", "jump", "services"),
        ("services", "goto", outcome.rules[3].chain),
        (outcome.rules[3].chain, "accept", ""),
        ("filter-forward", "jump", "service-endpoints-check"),
        ("filter-forward", "jump", "cluster-ips-check"),
        ("nat-postrouting", "jump", "masquerading"),
    ]


def test_unknown_matches_and_targets_are_reported():
    text = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m bpf --bytecode 1 -j DROP\n"
    text += "-A INPUT -j SECRET\n-A INPUT -p udp -m bpf --bytecode 2 -j DROP\nCOMMIT\n"
    (outcome,) = simulate(parse(text), packet("192.0.2.1", NODE_IP, 80))
    assert (outcome.verdict, outcome.unknown) == ("ACCEPT", ("--bytecode 1", "-j SECRET"))


def test_a_policy_decides_what_no_rule_does():
    text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
    (outcome,) = simulate(parse(text), packet("192.0.2.1", NODE_IP, 80))
    assert (outcome.verdict, outcome.hook) == ("DROP", "INPUT")


@pytest.mark.parametrize(("rule", "verdict"), rows.IPTABLES)
def test_matches(rule, verdict):
    ruleset = parse(f"*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {rule}\nCOMMIT\n")
    (outcome,) = simulate(ruleset, packet("192.0.2.1", NODE_IP, 80, in_interface="eth0"))
    assert outcome.verdict == verdict and not outcome.unknown


def test_what_the_node_sends_itself_comes_in_by_lo_and_is_not_translated_again():
    text = "*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n"
    text += "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j REDIRECT --to-ports 1\nCOMMIT\n"
    text += "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j DROP\nCOMMIT\n"
    (own,) = simulate(parse(text), packet(NODE_IP, NODE_IP, 80), entry="OUTPUT")
    assert (own.verdict, own.delivered, own.endpoint) == ("ACCEPT", True, None)
    (theirs,) = simulate(parse(text), packet("192.0.2.1", NODE_IP, 80, in_interface="eth0"))
    assert (theirs.verdict, theirs.endpoint) == ("DROP", ("127.0.0.1", 1))
    (lost,) = simulate(parse(text), packet(NODE_IP, NODE_IP, 80, protocol="udp"), entry="OUTPUT")
    assert (lost.verdict, lost.hook) == ("DROP", "PREROUTING")


def test_jumps_into_nothing_and_in_circles_are_errors():
    text = "*filter\n:INPUT ACCEPT [0:0]\n:A-A - [0:0]\n-A INPUT -j A-A\n-A A-A -j {}\nCOMMIT\n"
    for missing in ("NOT-THERE", "A-A"):
        with pytest.raises(DanglingJump):
            simulate(parse(text.format(missing)), packet("192.0.2.1", NODE_IP, 80))


def test_recorded_connections():
    """The 355 connections somebody made through a real kube-proxy's rules."""
    case = ORACLE / "iptables" / "21-everything-together"
    ruleset = parse((case / "expected.v4").read_text())
    flows = [json.loads(line) for line in (ORACLE / "flows.jsonl").read_text().splitlines()]
    wrong = [flow for flow in flows if not _agrees(ruleset, flow)]
    assert len(flows) == 355 and wrong == []


def _agrees(ruleset, flow):
    ip, _, port = flow["dst"].rpartition(":")
    local = frozenset({"192.168.77.10", "10.99.0.10"})
    sent = Packet(flow["from_ip"], ip, dport=int(port), local=local)
    entry = "OUTPUT" if flow["from"] == "node" else "PREROUTING"
    outcomes = simulate(ruleset, sent, entry=entry)
    total = sum(outcome.probability for outcome in outcomes)
    if {_word(o) for o in outcomes} != {flow["outcome"]} or abs(total - 1) > 1e-6:
        return False
    endpoints = {"{}:{}".format(*o.endpoint) for o in outcomes if o.endpoint}
    seen = {"192.168.77.10" if o.masqueraded else flow["from_ip"] for o in outcomes}
    return flow["outcome"] != "ok" or (
        set(flow["reached"]) <= endpoints and seen == set(flow["source_seen"])
    )


def _word(outcome):
    """What a client calls it: nobody listens on the node, nobody answers elsewhere."""
    if outcome.verdict != "ACCEPT":
        return {"DROP": "timeout", "REJECT": "refused"}[outcome.verdict]
    if outcome.endpoint:
        return "ok"
    return "refused" if outcome.delivered else "timeout"


@pytest.mark.parametrize(
    "policy, verdict", [("ACCEPT", "ACCEPT"), ("DROP", "DROP"), ("-", "ACCEPT")]
)
def test_a_policy_that_is_left_as_it_is_accepts(policy, verdict):
    text = f"*filter\n:INPUT {policy} [0:0]\n:OTHERS - [0:0]\n-A INPUT -j OTHERS\nCOMMIT\n"
    (outcome,) = simulate(parse(text), packet("192.0.2.1", NODE_IP, 80))
    assert (outcome.verdict, outcome.hook) == (verdict, "INPUT")


def test_what_is_not_tracked_is_not_translated():
    text = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p udp -j CT --notrack\n"
    text += "-A PREROUTING -j CT --zone 5\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n"
    text += "-A PREROUTING -j DNAT --to-destination 10.0.0.1:53\nCOMMIT\n"
    for protocol, end in (("udp", None), ("tcp", ("10.0.0.1", 53))):
        (outcome,) = simulate(parse(text), packet("192.0.2.1", NODE_IP, 53, protocol=protocol))
        assert outcome.endpoint == end
