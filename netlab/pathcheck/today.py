"""Today's paths as PathChecks: which there are to try, and what each is seen to do. Pure.

    candidates → a run that asks all for all endpoints → recorded as seen → run again: what does not
    pass at once says less, or is left out

Who sends has a name that stays: a pod of a Deployment is called by that, one of a DaemonSet or a
Job is left to the others on its node. The Services that every cluster has are not recorded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, get_args

from msgspec import Struct
from msgspec.structs import replace

from netlab.objects import meta
from netlab.objects.loadbalancing import ingress_ips
from netlab.objects.nodes import is_off
from netlab.objects.pathcheck import (
    AT_ANNOUNCER,
    AT_SENDER,
    NOWHERE,
    Expectation,
    Outcome,
    PathCheck,
    Protocol,
    Sender,
    Target,
)
from netlab.objects.types import Pod, Service
from netlab.pathcheck.path import Journey, Rewrite
from netlab.pathcheck.result import CheckResult
from netlab.pathcheck.world import World

Run = Callable[[Sequence[PathCheck]], Sequence[CheckResult]]

_OWN = "kube-system"
_OWN_SERVICE = "default/kubernetes"
_UNFIT = re.compile(r"[^a-z0-9.]+")
_LONGEST = 253


class Recorded(Struct, frozen=True):
    """The checks, in an order that does not depend on anything but their names; and a line for each
    path that no check can tell."""

    checks: tuple[PathCheck, ...]
    left_out: tuple[str, ...]


_ROUNDS = 2
"""On a machine that is busy a check may fail by that alone: not twice."""


def record(world: World, run: Run) -> Recorded:
    """What is there now, as checks that pass."""
    tried = tuple(candidates(world))
    passed: dict[str, PathCheck] = {}
    seen: dict[str, PathCheck] = {}
    why: dict[str, str] = {}
    for _ in range(_ROUNDS):
        left = [check for check in tried if check.name not in passed]
        for check, result in zip(left, _run(run, left), strict=True):
            found = recorded(check, result, world)
            why[check.name] = "; ".join(result.reasons) or result.outcome
            if found is not None:
                seen[check.name] = found
        passed |= _passing(seen, passed, run)
    for weaken in (_without_source, _outcome_alone):
        seen = {name: weaken(check) for name, check in seen.items() if name not in passed}
        passed |= _passing(seen, passed, run)
    checks = [passed[check.name] for check in tried if check.name in passed]
    return Recorded(tuple(checks), tuple(_left_out(tried, passed, seen, why)))


def _run(run: Run, checks: Sequence[PathCheck]) -> Sequence[CheckResult]:
    return run(checks) if checks else ()


def _passing(
    seen: Mapping[str, PathCheck], passed: Mapping[str, PathCheck], run: Run
) -> dict[str, PathCheck]:
    """Those that pass, of those that have not yet."""
    checks = [check for name, check in seen.items() if name not in passed]
    return {each.name: seen[each.name] for each in _run(run, checks) if each.passed}


def _left_out(
    tried: Iterable[PathCheck],
    passed: Mapping[str, PathCheck],
    seen: Mapping[str, PathCheck],
    why: Mapping[str, str],
) -> Iterator[str]:
    for name in (check.name for check in tried if check.name not in passed):
        yield f"{name}: {'it is not the same twice' if name in seen else why[name]}"


def _without_source(check: PathCheck) -> PathCheck:
    expect = replace(check.expect, masquerade_at=None, source_seen=None)
    return replace(check, expect=expect)


def _outcome_alone(check: PathCheck) -> PathCheck:
    return replace(check, expect=Expectation(check.expect.outcome))


# -- which there are ------------------------------------------------------------------------


def candidates(world: World) -> Iterator[PathCheck]:
    """A check of each way to each Service's port, that asks for all endpoints."""
    names = set[str]()
    for key in sorted(world.services):
        if key == _OWN_SERVICE or key.startswith(f"{_OWN}/"):
            continue
        for target in _targets(key, world.services[key], world):
            for sender in _senders(target, world):
                name = _name(sender, target, names)
                yield PathCheck(name, sender, _asked(target, sender), _ALL)


_ALL = Expectation(endpoints="all")


def _targets(key: str, service: Service, world: World) -> Iterator[Target]:
    """By its ClusterIP, at its nodePort on each node, by its load balancer, port by port."""
    space, _, name = key.partition("/")
    for port in meta.spec(service).get("ports") or ():
        protocol: Protocol = port.get("protocol") or "TCP"
        target = Target(service=name, namespace=space, port=port["port"], protocol=protocol)
        yield target
        if port.get("nodePort"):
            for node in _nodes(world):
                yield replace(target, node=node)
        if ingress_ips(service):
            yield replace(target, by="loadBalancer")


def _senders(target: Target, world: World) -> Iterable[Sender]:
    """Who asks for a ClusterIP is inside, for the others outside."""
    if target.node or target.by == "loadBalancer":
        clients = (place.name for place in world.places.values() if place.role == "client")
        return [Sender("client", name) for name in sorted(clients)]
    nodes = [Sender("node", name) for name in _nodes(world)]
    local = meta.spec(world.services[f"{target.namespace}/{target.service}"])
    pods = set(_pods(world))
    if local.get("internalTrafficPolicy") == "Local":  # then it depends on where a pod is
        pods = {sender for sender in pods if sender.kind != "deployment"}
    headless = local.get("clusterIP") in (None, "", "None")
    return [*sorted(pods, key=_order), *(() if headless else nodes)]


def _pods(world: World) -> Iterator[Sender]:
    """Pods whose name stays, and those that a Deployment's name stands for."""
    for key, pod in world.pods.items():
        place = world.places.get(key)
        if place is None or meta.namespace(pod) == _OWN or not meta.is_ready(pod):
            continue
        sender = _named(pod)
        if sender is not None:
            yield sender


def _named(pod: Pod) -> Sender | None:
    owner, space = meta.controller_of(pod), meta.namespace(pod)
    if owner is None or owner["kind"] == "StatefulSet":
        return Sender("pod", meta.name(pod), space)
    suffix = f"-{meta.labels(pod).get('pod-template-hash', '')}"
    if owner["kind"] == "ReplicaSet" and owner["name"].endswith(suffix) and len(suffix) > 1:
        return Sender("deployment", owner["name"].removesuffix(suffix), space)
    return None


def _nodes(world: World) -> list[str]:
    off = {meta.name(node) for node in world.nodes if is_off(node)}
    return sorted(p.name for p in world.places.values() if p.role == "node" and p.name not in off)


def _order(sender: Sender) -> tuple[str, str, str]:
    return sender.namespace, sender.kind, sender.name


def _asked(target: Target, sender: Sender) -> Target:
    """As that sender asks for it: a pod by its name, a client for what is outside."""
    if sender.kind == "client":
        return replace(target, node_address="external")
    return replace(target, by="name") if sender.is_pod else target


def _name(sender: Sender, target: Target, taken: set[str]) -> str:
    whose = sender.name if sender.namespace == "default" else f"{sender.namespace}-{sender.name}"
    what = target.service
    if target.namespace != "default":
        what = f"{target.namespace}-{what}"
    way = f"-at-{target.node}" if target.node else ""
    way = "-by-load-balancer" if target.by == "loadBalancer" else way
    protocol = "" if target.protocol == "TCP" else f"-{target.protocol}"
    name = f"{whose}-to-{what}-{target.port}{protocol}{way}".lower()
    name = _UNFIT.sub("-", name).strip("-.")[:_LONGEST]
    while name in taken:
        name = f"{name}.again"
    taken.add(name)
    return name


# -- what is seen ---------------------------------------------------------------------------


def recorded(check: PathCheck, result: CheckResult, world: World) -> PathCheck | None:
    """The check with what was seen in place of what was asked; None for what none can say."""
    if result.outcome not in get_args(Outcome) or result.journey is None:
        return None
    outcome: Outcome = result.outcome  # type: ignore[assignment]
    if outcome != "reachable":
        return replace(check, expect=Expectation(outcome))
    dnat = _at(result.journey.dnats, check, world)
    expect = Expectation(outcome, endpoints=_endpoints(result), dnat_at=dnat)
    if check.sender.name not in _ends(result):  # to itself it goes masqueraded, by chance
        expect = replace(
            expect,
            masquerade_at=_at(_masquerades(result.journey, check), check, world),
            source_seen=_source(result.journey, world),
        )
    return replace(check, expect=expect)


def _ends(result: CheckResult) -> set[str]:
    """The pods and machines that answered, by their bare names, and their Deployments'."""
    names = {place.rpartition("/")[2] for place in result.places.values()}
    return names | {name.rsplit("-", 2)[0] for name in names}


def _endpoints(result: CheckResult) -> Literal["all"] | int | None:
    return "all" if result.passed else len(result.counts) or None


def _at(changes: Sequence[Rewrite], check: PathCheck, world: World) -> str | None:
    """Where NAT happened, in words that hold on another day."""
    if not changes:
        return NOWHERE
    if len(changes) > 1:
        return None
    (place,) = (change.place for change in changes)
    key = f"{check.target.namespace}/{check.target.service}"
    if check.target.by == "loadBalancer" and place == world.announcer(key):
        return AT_ANNOUNCER
    return AT_SENDER if check.sender.is_pod else place


def _masquerades(journey: Journey, check: PathCheck) -> Sequence[Rewrite]:
    """Of who has not the node's address already, only what gave him another one."""
    of_node = not check.sender.is_pod
    return [change for change in journey.snats if of_node or not change.is_of_port]


def _source(journey: Journey, world: World) -> str | None:
    if journey.seen_source == journey.probe.src:
        return "sender"
    owner = world.owner(journey.seen_source or "")
    place = world.places.get(owner or "")
    return f"node:{place.name}" if place is not None and place.role == "node" else None
