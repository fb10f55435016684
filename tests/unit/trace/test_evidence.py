"""What a packet's own way says of why nobody answered."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from netlab.diagnosis.facts import Cause
from netlab.objects.pathcheck import Expectation, PathCheck, Sender, Target
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey
from netlab.pathcheck.world import Place, World
from netlab.trace import evidence
from netlab.trace.agreement import Agreement
from netlab.trace.passages import MetRule, Passage
from netlab.trace.predicted import Prediction
from netlab.trace.story import ChainVisit, Story
from netlab.trace.way import Evidence, WayBack
from netlab.view.trace import lines

PROBE = ProbePacket(7, "tcp", "10.244.0.2", 4000, "10.96.1.1", 80, 7)
CHECK = PathCheck("why", Sender("pod", "box", "default"), Target(service="web"), Expectation())
HOPS = (
    Hop("default/box", "eth0", "10.244.0.2:4000", "10.96.1.1:80"),
    Hop("w1", "veth1", "10.244.0.2:4000", "10.96.1.1:80"),
)
LOST = Journey(PROBE, "timeout", HOPS)
WEB: Any = {
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"ports": [{"port": 80}], "sessionAffinity": "ClientIP"},
}
SLICE: Any = {
    "metadata": {"namespace": "default", "labels": {"kubernetes.io/service-name": "web"}},
    "addressType": "IPv4",
    "ports": [{"port": 8080}],
    "endpoints": [{"addresses": ["10.244.0.9"]}, {"addresses": ["10.244.1.9"]}],
}
REMEMBERED = "-m recent --rcheck --seconds 10800 --reap --name KUBE-SEP-X -j KUBE-SEP-X"


def end(at: str = "default/web-0", destination: str = "10.244.0.9:8080") -> Prediction:
    return Prediction("delivered", 1.0, (), at, "10.244.0.2:4000", destination)


def story(*met: MetRule, chain: str = "FORWARD", **fields: Any) -> Story:
    table = met[0].table if met else "filter"
    visit = ChainVisit("w1", table, chain, 3, met, (), matters=True)
    agreement = Agreement(None, 0)
    told = Story(CHECK, PROBE, "default/box", "", LOST, (visit,), (end(),), agreement)
    return replace(told, **fields)


def drop(table: str = "filter", text: str = "-p tcp -j DROP", **fields: Any) -> MetRule:
    return MetRule(table, "FORWARD", 2, text, "drop", **fields)


@pytest.mark.parametrize(
    ("met", "fields", "command"),
    [
        (drop(family="ip", handle=9), {}, "iptables-nft -t filter -D FORWARD -p tcp -j DROP"),
        (drop(), {"told": False}, "iptables-legacy -t filter -D FORWARD -p tcp -j DROP"),
        (
            drop(),
            {"probe": replace(PROBE, dst="fd00::1")},
            "ip6tables-nft -t filter -D FORWARD -p tcp -j DROP",
        ),
        (
            drop("fw", "tcp dport 80 drop", family="inet", handle=9),
            {"mode": "nftables"},
            "nft delete rule inet fw FORWARD handle 9",
        ),
    ],
)
def test_a_rule_of_others_can_be_taken_away(
    met: MetRule, fields: dict[str, Any], command: str
) -> None:
    [cause] = evidence.rules_of_others(story(met, **fields))
    assert (cause.reason, cause.nodes) == ("RulesOfOthers", ("w1",))
    assert cause.remedy == f"sudo netlab shell w1 -- {command}"


def test_kube_proxys_own_rules_are_no_others() -> None:
    met = MetRule("filter", "KUBE-PROXY-FIREWALL", 1, "-j DROP", "drop")
    assert not list(evidence.rules_of_others(story(met, chain="KUBE-PROXY-FIREWALL")))


def test_a_policy() -> None:
    denial = Passage("w1", "fw", "all", "a:1", "b:2", "", "", 0, False, (), "drop", "inet")
    assert denial.is_denied
    [cause] = evidence.policies(story(denials=(denial,), mode="nftables"))
    assert str(cause) == (
        "the policy of fw all on w1 is to drop what no rule there accepts, and none accepts a:1 → "
        "b:2"
    )
    assert cause.remedy == "sudo netlab shell w1 -- nft chain inet fw all '{ policy accept; }'"
    assert not replace(denial, rules=(drop(),)).is_denied


def test_a_pod_that_was_sent_to_itself() -> None:
    own = story(ends=(end("default/box"),))
    assert evidence.hairpin_port(own) == ("w1", "veth1")
    assert evidence.hairpin_port(story()) is None
    cause = evidence.hairpin(own, "w1", "veth1")
    assert cause.remedy == "sudo netlab shell w1 -- bridge link set dev veth1 hairpin on"
    told = list(lines(replace(own, causes=(cause,))))
    assert "lost at the bridge port veth1 of w1: hairpin is off" in told
    assert f"  mend: {cause.remedy}" in told


@pytest.mark.parametrize(("version", "error"), [(4, (3, 2)), (6, (4, 1))])
def test_a_protocol_that_nobody_speaks(version: int, error: tuple[int, int]) -> None:
    hop = Hop("default/web-0", "eth0", "10.244.0.9", "10.244.0.2")
    back = WayBack("an error", "default/web-0", (hop,), hop, hop, (), (), error)
    probe = replace(PROBE, proto="sctp", dst="10.96.1.1" if version == 4 else "fd00::1")
    told = story(probe=probe, evidence=Evidence(back))
    (cause,) = evidence.unknown_protocol(told)
    assert cause.message.startswith("default/web-0 does not know SCTP")
    assert cause.remedy.startswith("sudo modprobe sctp")
    other = replace(back, error=(3, 3))
    assert not list(evidence.unknown_protocol(story(probe=probe, evidence=Evidence(other))))


def test_below_a_cause_stands_what_mends_it() -> None:
    off = Cause("NodeOff", "w1 is off", nodes=("w1",))
    told = list(lines(story(causes=(off,)).with_remedies()))
    assert told[told.index("  why: w1 is off") + 1] == "  mend: sudo netlab node start w1"


def test_affinity_to_one_that_does_not_answer() -> None:
    place = Place("default/web-0", "pod", 0, ("10.244.0.9",))
    world = World({place.name: place}, {"default/web": WEB}, (SLICE,))
    met = MetRule("nat", "KUBE-SVC-X", 2, REMEMBERED, "jump", "KUBE-SEP-X")
    [cause] = evidence.stuck(WEB, story(met, chain="KUBE-SVC-X"), world)
    assert str(cause) == (
        "sessionAffinity: ClientIP keeps default/box at default/web-0 (10.244.0.9:8080), which "
        "does not answer; 1 other endpoint is not asked until it has been silent for 10800 s"
    )
    assert cause.remedy.startswith("netlab delete pod web-0 ")
    alone = replace(world, slices=({**SLICE, "endpoints": SLICE["endpoints"][:1]},))
    assert not list(evidence.stuck(WEB, story(met), alone))
    drawn = MetRule("nat", "KUBE-SVC-X", 3, "-j KUBE-SEP-X", "jump", "KUBE-SEP-X")
    assert not list(evidence.stuck(WEB, story(drawn), world))
