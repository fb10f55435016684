"""What can be wrong with a PathCheck, and whom it names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args

from msgspec.structs import replace

from netlab.objects import fields, schema
from netlab.objects.examination import Examination, examine
from netlab.objects.meta import Object
from netlab.objects.pathcheck import AT_ANNOUNCER, AT_SENDER, NOWHERE, WITHOUT_PORTS, SenderKind
from netlab.objects.problems import FieldProblem, Path, duplicate, forbidden, invalid, required


def check_problems(obj: Object) -> list[FieldProblem]:
    """Every mistake in a `kind: PathCheck` object; none means `check_from_object` accepts it."""
    found = examine(obj, schema.of("netlab/v1", "PathCheck"))
    return [*map(with_hint, found.problems), *check_rules(found)]


def with_hint(problem: FieldProblem) -> FieldProblem:
    """Which outcome is meant by another word for nobody's answering; what belongs to `to`."""
    if problem.reason == "UnknownField" and problem.path[:-1] == ("spec",):
        whole = schema.of("netlab/v1", "PathCheck")
        known = whole and whole.at(("spec", "to", *problem.path[1:]))
        return replace(problem, hint="it belongs to spec.to") if known else problem
    if problem.path != ("spec", "expect", "outcome") or problem.hint:
        return problem
    hint = "for nobody to answer: refused (it says no) or timeout (silence)"
    return replace(problem, hint=hint)


def check_rules(found: Examination) -> list[FieldProblem]:
    """What is wrong with an examined PathCheck beyond its structure."""
    missing = {one.path for one in found.problems}
    return [
        one
        for one in _rules(found.sound)
        if one.path not in missing and not found.concerns_lost(one.path)
    ]


def _rules(obj: Object) -> Iterator[FieldProblem]:
    name, spec = (obj.get("metadata") or {}).get("name"), obj.get("spec") or {}
    if name is not None:
        yield from fields.dns_subdomain(("metadata", "name"), name)
    if "from" in spec:
        yield from _from_rules(spec["from"])
    if "to" in spec:
        yield from _to_rules(spec["to"])
        if "from" in spec:
            yield from _by_rules(spec["from"], spec["to"])
    yield from _expect_rules(spec.get("expect") or {}, spec.get("to") or {})


def _from_rules(written: Mapping[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("spec", "from")
    given = [kind for kind in get_args(SenderKind) if written.get(kind)]
    if not given:
        yield required(path, "name a pod, a deployment, a node or a client")
    for kind in given[1:]:
        yield forbidden((*path, kind), f"there is a {given[0]} already: a path has one sender")
    for kind in given:
        rule = fields.dns_subdomain if kind in ("pod", "deployment") else fields.dns_label
        yield from rule((*path, kind), written[kind])


# Fields that together say what is addressed.
_SHAPES = (
    {"service"},
    {"service", "node"},
    {"node", "nodePort"},
    {"node", "hostPort"},
    {"pod"},
    {"address"},
)


def _to_rules(written: Mapping[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("spec", "to")
    given = {name for shape in _SHAPES for name in shape if written.get(name)}
    if written.get("protocol") in WITHOUT_PORTS:
        yield from _portless(path, written, given)
        yield from _target_names(path, written)
        return
    if not given:
        yield required(path, "name a service, a node and nodePort or hostPort, a pod or an address")
    elif given == {"node"}:
        yield required(
            (*path, "nodePort"), "a node is addressed at a nodePort, at a hostPort or for a service"
        )
    elif given not in _SHAPES:
        yield invalid(
            path,
            sorted(given),
            "do not go together",
            "write service; service and node; node and nodePort or hostPort; pod; or address",
        )
    yield from _target_names(path, written)
    yield from _target_port(path, written, given)


def _portless(path: Path, written: Mapping[str, Any], given: set[str]) -> Iterator[FieldProblem]:
    protocol = written["protocol"]
    for name in ("port", "nodePort", "hostPort"):
        if written.get(name) is not None:
            yield forbidden((*path, name), f"{protocol} has no ports")
    targets = sorted(given - {"nodePort", "hostPort"})
    if not targets:
        yield required(path, "name a service, a node, a pod or an address")
    elif len(targets) > 1:
        yield invalid(path, targets, f"do not go together with {protocol}", "write one of them")


def _target_names(path: Path, written: Mapping[str, Any]) -> Iterator[FieldProblem]:
    if written.get("service"):
        service, _, namespace = written["service"].partition(".")
        yield from fields.dns_1035_label((*path, "service"), service)
        if namespace:
            yield from fields.dns_label((*path, "service"), namespace)
    if written.get("node"):
        yield from fields.dns_label((*path, "node"), written["node"])
    if written.get("address") and fields.parse_address(written["address"]) is None:
        yield from fields.dns_subdomain((*path, "address"), written["address"].rstrip("."))


def _target_port(path: Path, written: Mapping[str, Any], given: set[str]) -> Iterator[FieldProblem]:
    port = written.get("port")
    if isinstance(port, int):
        yield from fields.port_number((*path, "port"), port)
    if isinstance(port, str) and "service" not in given:
        yield invalid((*path, "port"), port, "only a Service has ports with names")
    if port is None and given & {"pod", "address"}:
        yield required((*path, "port"))
    for name in ("nodePort", "hostPort"):
        if written.get(name):
            yield from fields.port_number((*path, name), written[name])
            if port is not None:
                yield forbidden((*path, "port"), f"a {name} is a port already")


def _by_rules(sender: Mapping[str, Any], to: Mapping[str, Any]) -> Iterator[FieldProblem]:
    if to.get("by") == "name" and (sender.get("node") or sender.get("client")):
        yield invalid(
            ("spec", "to", "by"), "name", "only pods ask the cluster's DNS", "write by: address"
        )
    if to.get("by") == "loadBalancer" and (to.get("node") or not to.get("service")):
        yield invalid(
            ("spec", "to", "by"),
            "loadBalancer",
            "only a Service has a load balancer",
            "name the service alone, without a node",
        )
    if to.get("nodeAddress") and not to.get("node"):
        yield forbidden(("spec", "to", "nodeAddress"), "there is no node in this target")


def _expect_rules(written: Mapping[str, Any], to: Mapping[str, Any]) -> Iterator[FieldProblem]:
    path: Path = ("spec", "expect")
    outcome = written.get("outcome") or "reachable"
    if outcome != "reachable":
        for name in ("endpoints", "spread", "sourceSeen"):
            if written.get(name) is not None:
                yield forbidden((*path, name), f"nobody answers when the outcome is {outcome}")
    yield from _endpoint_rules(path, written.get("endpoints"), to)
    yield from _spread_rules((*path, "spread"), written.get("spread") or {}, written)
    yield from _place_rules(path, written, balanced=to.get("by") == "loadBalancer")


def _endpoint_rules(path: Path, endpoints: Any, to: Mapping[str, Any]) -> Iterator[FieldProblem]:
    where: Path = (*path, "endpoints")
    if isinstance(endpoints, str) and endpoints != "all":
        yield invalid(where, endpoints, "must be all, a number or a list", f"write [{endpoints}]")
    elif endpoints == "all" and not any(map(to.get, ("service", "nodePort", "hostPort"))):
        yield invalid(where, endpoints, "only a Service has endpoints")
    elif isinstance(endpoints, int) and endpoints < 1:
        yield invalid(where, endpoints, "must be at least 1")
    elif endpoints == []:
        yield invalid(where, endpoints, "must name somebody", "for nobody, write outcome: refused")
    elif isinstance(endpoints, list):
        for index, name in enumerate(endpoints):
            if name in endpoints[:index]:
                yield duplicate((*where, index), name)


def _spread_rules(
    path: Path, spread: Mapping[str, Any], expect: Mapping[str, Any]
) -> Iterator[FieldProblem]:
    tries, at_least, endpoints = (
        spread.get("tries"),
        spread.get("atLeast", 1),
        expect.get("endpoints"),
    )
    if tries is None:
        return
    if not 1 <= tries <= 10000:
        yield invalid((*path, "tries"), tries, "must be between 1 and 10000, inclusive")
    if at_least < 1:
        yield invalid((*path, "atLeast"), at_least, "must be at least 1")
    count = len(endpoints) if isinstance(endpoints, list) else endpoints
    needed = at_least * (count if isinstance(count, int) else 1)
    if needed > tries:
        yield invalid((*path, "atLeast"), at_least, f"asks for {needed} of {tries} tries")


def _place_rules(
    path: Path, written: Mapping[str, Any], *, balanced: bool
) -> Iterator[FieldProblem]:
    for name in ("dnat", "masquerade"):
        at = (written.get(name) or {}).get("at")
        if at == AT_ANNOUNCER and not balanced:
            yield invalid(
                (*path, name, "at"),
                at,
                "only a load balancer's address is announced",
                "write to.by: loadBalancer, or the node's name here",
            )
        elif at is not None:
            yield from fields.dns_label((*path, name, "at"), at)
    seen = written.get("sourceSeen")
    if seen is None or seen == AT_SENDER:
        return
    if seen.startswith("node:"):
        yield from fields.dns_label((*path, "sourceSeen"), seen.removeprefix("node:"))
    elif fields.parse_address(seen) is None:
        hint = "sender means that nobody changed it"
        yield invalid((*path, "sourceSeen"), seen, "must be sender, node:NAME or an address", hint)


def places(obj: Object) -> Iterator[tuple[Path, str, Literal["node", "client"]]]:
    """Every node and client that a PathCheck object names: where, which, what it is."""
    spec = obj.get("spec") or {}
    sender, to, expect = (spec.get(name) or {} for name in ("from", "to", "expect"))
    for kind in ("node", "client"):
        if sender.get(kind):
            yield ("spec", "from", kind), sender[kind], "node" if kind == "node" else "client"
    if to.get("node"):
        yield ("spec", "to", "node"), to["node"], "node"
    for name in ("dnat", "masquerade"):
        at = (expect.get(name) or {}).get("at")
        if at and at not in (NOWHERE, AT_SENDER, AT_ANNOUNCER):
            yield ("spec", "expect", name, "at"), at, "node"
    seen = expect.get("sourceSeen") or ""
    if seen.startswith("node:"):
        yield ("spec", "expect", "sourceSeen"), seen.removeprefix("node:"), "node"
