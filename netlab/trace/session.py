"""A trace from its first question to its story.

check → plan → name looked up → packet sent and watched → the same predicted → both held together
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from netlab.errors import NetlabError
from netlab.network import plan as networks
from netlab.objects.lab import Lab
from netlab.objects.nodes import now
from netlab.objects.pathcheck import PathCheck
from netlab.pathcheck.resolve import resolve
from netlab.pathcheck.trial import NothingToAddress, Trial, plan
from netlab.pathcheck.world import World
from netlab.proxy import modes
from netlab.proxy.iptables.model import Ruleset
from netlab.proxy.iptables.read import host_variant
from netlab.trace import rule_texts
from netlab.trace.agreement import agree
from netlab.trace.observe import observe
from netlab.trace.passages import FindRule
from netlab.trace.predicted import predict, supposed
from netlab.trace.routing import Router
from netlab.trace.story import Story, packet_of, visits

Rules = Callable[[str, str], Ruleset]
"""The rules in force on a node, for `ip` or `ip6`."""


class NotYet(NetlabError):
    """What a trace cannot do."""

    exit_code = 2


def traced(check: PathCheck, world: World, lab: Lab) -> Story:
    """Send the packet that a check asks for, and tell its story."""
    if lab.proxy_mode == "nftables":
        raise NotYet(
            "netlab trace does not read kube-proxy's nftables mode yet",
            hint="sudo netlab check; or a lab in iptables mode",
        )
    trial = _resolved(plan(check, world), world)
    rules = _rules(world, lab)

    def texts(node: str, family: str, table: str, chain: str) -> Sequence[str]:
        found = rules(node, family).chain(table, chain)
        return found.rules if found is not None else ()

    def find(node: str) -> FindRule:
        netns = world.places[node].netns
        return rule_texts.finder(netns, lambda *where: texts(node, *where))

    seen = observe(trial, world, find)
    family = "ip6" if ":" in seen.probe.dst else "ip"
    packet = packet_of(seen.probe)
    ends = predict(
        packet, trial.place, world, _router(world, lab), lambda node: rules(node, family)
    )
    told = not _is_legacy(lab)
    agreement = agree(seen.passages if told else None, seen.journey, ends)
    passages = seen.passages if told else supposed(agreement.prediction, family)
    return Story(
        check=check,
        probe=seen.probe,
        sender=trial.place.name,
        name=trial.name,
        journey=seen.journey,
        there=tuple(visits(passages, seen.probe, texts)),
        ends=tuple(ends),
        agreement=agreement,
        told=told,
    )


def _is_legacy(lab: Lab) -> bool:
    """Whether the lab's rules are in the tables that tell nobody of a packet."""
    variant = host_variant() if lab.iptables == "auto" else lab.iptables
    return variant != "nft"


def _resolved(trial: Trial, world: World) -> Trial:
    """With the address that the target's name has, where it has one."""
    if not trial.name:
        return trial
    found = resolve(
        trial.place.netns,
        trial.name_servers,
        trial.name,
        namespace=trial.check.sender.namespace,
        domain=world.domain,
        version=trial.version,
    )
    if found.error:
        raise NothingToAddress(found.error)
    return trial.resolved(found.addresses)


def _router(world: World, lab: Lab) -> Router:
    planned = {each.name: each for each in networks.cluster(now(lab, world.nodes)).namespaces}
    machines = [place.name for place in world.places.values() if place.role != "pod"]
    return Router({name: planned[networks.node_name(lab, name)] for name in machines})


def _rules(world: World, lab: Lab) -> Rules:
    mode = modes.of(lab.proxy_mode)

    @cache
    def rules(node: str, family: str) -> Ruleset:
        netns = world.places[node].netns
        namespace = netns if isinstance(netns, int) else Path(netns)
        found = mode.applier(lab.iptables, "ipv4" if family == "ip" else "ipv6", namespace).read()
        assert isinstance(found, Ruleset)
        return found

    return rules
