"""What is in force on the nodes of a packet's way, and what should be. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from netlab.diagnosis.facts import Cause
from netlab.diagnosis.remedies import on_node
from netlab.objects import meta
from netlab.objects.nodes import HANDS_OFF
from netlab.objects.types import Service


class RuleGap(Struct, frozen=True):
    """A rule that is not as the objects have it: `wanted` should be there, `found` is. Both are ""
    of a whole chain."""

    kind: Literal["missing", "stale", "altered", "order"]
    table: str
    chain: str
    wanted: str = ""
    found: str = ""

    def __str__(self) -> str:
        rule = _without_comment(self.wanted or self.found)
        where = f"{self.table} {self.chain}"
        return f"{where}: {rule}" if rule else f"the whole chain {where}"


class Setting(Struct, frozen=True):
    """A sysctl that is not as it has to be."""

    name: str
    found: str
    wanted: str


class InForce(Struct, frozen=True):
    """One node, as far as it differs from how it is to be for a Service.

    `gaps` are in the Service's rules and in those that all share, `has_rules` says whether any of
    the Service's is there; `links` is what is amiss of its links and routes, in words. What
    is `left` of rules and network nobody puts back.
    """

    node: str
    has_rules: bool = True
    gaps: tuple[RuleGap, ...] = ()
    settings: tuple[Setting, ...] = ()
    links: str = ""
    rules_left: bool = False
    network_left: bool = False


def rules(service: Service, there: Iterable[InForce]) -> Iterator[Cause]:
    """Rules that somebody deleted, changed or added; those of a kube-proxy that stands still."""
    for one in there:
        if one.gaps:
            reason, text = _of_rules(service, one)
            yield Cause(
                reason,
                f"{text}{_others(one)} ({_who_mends(one)})",
                nodes=(one.node,),
                remedy=_taken_up_again(one.node) if one.rules_left else "",
            )


def _others(there: InForce) -> str:
    """How much else there is beside the first gap, which is told."""
    number = len(there.gaps) - 1 if there.has_rules else 0
    if not number:
        return ""
    what = "other rule or chain differs" if number == 1 else "other rules or chains differ"
    return f"; {number} {what} there"


def _of_rules(service: Service, there: InForce) -> tuple[str, str]:
    first = next((gap for gap in there.gaps if gap.kind != "stale"), there.gaps[0])
    kinds = {gap.kind for gap in there.gaps}
    if not there.has_rules:
        return "RulesBehind", f"node {there.node} has no rule for svc/{meta.name(service)}"
    if there.rules_left and "stale" in kinds:
        stale = next(gap for gap in there.gaps if gap.kind == "stale")
        return "RulesBehind", f"the rules on node {there.node} are those of before: {stale}"
    if kinds == {"missing"}:
        was = "was deleted by hand" if there.rules_left else "is missing"
        return "RuleDeleted", f"a rule {was} on node {there.node}: {first}"
    if kinds == {"stale"}:
        return "RuleAdded", f"a rule should not be there on node {there.node}: {first}"
    became = f", which is {_without_comment(first.found)} there" if first.found else ""
    return "RuleChanged", f"a rule is another on node {there.node}: {first}{became}"


def _who_mends(there: InForce) -> str:
    if there.rules_left:
        return f"kube-proxy there stands still: the Node is annotated {HANDS_OFF}"
    return "changed by hand, or not written yet: kube-proxy puts it right within seconds"


def _taken_up_again(node: str) -> str:
    return f"netlab annotate node {node} {HANDS_OFF}-    # netlab puts all back"


def network(there: Iterable[InForce], *, filtered: bool = True) -> Iterator[Cause]:
    """Sysctls that are off, links that are down, routes that are gone. `filtered`: the packet may
    have been dropped for where it came from, which is done in silence."""
    for one in there:
        for setting in one.settings:
            if setting.name.endswith(".rp_filter") and not filtered:
                continue
            text = f"sysctl {setting.name} is {setting.found} on node {one.node}"
            effect = _effect(setting.name)
            yield Cause(
                "SysctlOff",
                f"{text}, and has to be {setting.wanted}{': ' if effect else ''}{effect}",
                nodes=(one.node,),
                remedy=on_node(one.node, f"sysctl -w {setting.name}={setting.wanted}"),
            )
        if one.links:
            yield Cause(
                "NetworkChanged",
                f"the network of node {one.node} was changed by hand: {one.links}",
                nodes=(one.node,),
                remedy=_taken_up_again(one.node) if one.network_left else "",
            )


def pod_link(pod: str, node: str, words: str, *, left: bool) -> Cause:
    """A pod's link, or its port on the node, that takes nothing; `left`: nobody puts it back."""
    return Cause(
        "NetworkChanged",
        f"the network of pod {pod} was changed by hand: {words}",
        nodes=(node,),
        pods=(pod.partition("/")[2],),
        remedy=_taken_up_again(node) if left else "",
    )


_PER_LINK = re.compile(r"net\.ipv4\.conf\.(.+)\.(forwarding|rp_filter)")
_PAST_RULES = "packets between pods of the node skip its{} rules"
_EFFECTS = {
    "net.ipv4.ip_forward": "the node forwards no packet",
    "net.ipv6.conf.all.forwarding": "the node forwards no IPv6 packet",
    "net.bridge.bridge-nf-call-iptables": _PAST_RULES.format(""),
    "net.bridge.bridge-nf-call-ip6tables": _PAST_RULES.format(" IPv6"),
    "net.ipv4.conf.all.route_localnet": "nodePorts do not answer at 127.0.0.1",
}
"""What becomes of packets without it. Other sysctls keep none away."""


def matters(name: str) -> bool:
    """Whether packets may be lost for a sysctl's sake."""
    return bool(_effect(name))


def _effect(name: str) -> str:
    if name in _EFFECTS:
        return _EFFECTS[name]
    per_link = _PER_LINK.fullmatch(name)
    if per_link is None:
        return ""
    if per_link[2] == "forwarding":
        return f"the node forwards nothing that comes in by {per_link[1]}"
    return "the node drops what comes in by another link than it would answer by"


def _without_comment(rule: str) -> str:
    """What a rule does to packets: its comment says the Service's name again."""
    text = re.sub(r'-m comment --comment ("[^"]*"|\S+) ?|\s*\bcomment "[^"]*"', "", rule)
    return " ".join(text.split())
