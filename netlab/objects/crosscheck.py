"""Mistakes that no object shows by itself: duplicates, taken ports, addresses out of range."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from netlab.objects import sloppy
from netlab.objects.addresses import is_address
from netlab.objects.intake import Intake
from netlab.objects.kinds import BY_KIND
from netlab.objects.lab import Lab
from netlab.objects.problems import FieldProblem, Path, did_you_mean, duplicate, invalid, quote
from netlab.objects.ranges import family, nth_address
from netlab.objects.yamltext import Document

# Addresses of every serviceCIDR that the lab itself takes: which one, for whom.
_TAKEN = ((1, "default/kubernetes"), (10, "kube-system/kube-dns"))


class InputObject(Struct, frozen=True):
    """One object of the input: what became of it, and where it stands."""

    file: str
    document: Document
    start: Path
    intake: Intake

    def line(self, path: Path) -> int:
        """The line of a field of the (mended) object."""
        examined = self.intake.examined
        return self.document.line(self.start + (examined.origin(path) if examined else path))

    def __str__(self) -> str:
        return f"{self.file}:{self.line(('metadata', 'name'))}"


Found = Iterator[tuple[InputObject, FieldProblem]]


Joined = Callable[[str], Sequence[str]]
"""The nodes that a lab of that name has by now besides those of its file."""


def nobody(_: str) -> Sequence[str]:
    """Of a lab that does not run."""
    return ()


def cross_problems(entries: list[InputObject], joined: Joined = nobody) -> Found:
    """Everything wrong between the objects of an input."""
    labs = [entry for entry in entries if entry.intake.kind == "Lab"]
    if len(labs) > 1:  # whose objects are whose cannot be told: all else would be guessed
        yield from _second_labs(labs)
        return
    yield from _duplicates(entries)
    services = [entry for entry in entries if entry.intake.kind == "Service"]
    yield from _node_ports(services)
    yield from _cluster_ips(services)
    lab = labs[0].intake.lab if labs else None
    if lab is not None:
        ranges = (*lab.service_cidrs, *_more_ranges(entries))
        for entry in entries:
            yield from ((entry, problem) for problem in _in_lab(entry.intake, lab, ranges, joined))


def _more_ranges(entries: list[InputObject]) -> Iterator[str]:
    """Of the ServiceCIDRs in the input."""
    for entry in entries:
        if entry.intake.kind == "ServiceCIDR" and not entry.intake.problems:
            yield from (entry.intake.sound.get("spec") or {}).get("cidrs") or []


def _duplicates(entries: list[InputObject]) -> Found:
    seen: dict[tuple[str, str, str], InputObject] = {}
    for entry in entries:
        identity = _identity(entry.intake)
        if identity is None or entry.intake.kind == "Lab":
            continue
        first = seen.setdefault(identity, entry)
        if first is not entry:
            kind, _, name = identity
            message = f"{kind} {quote(name)} stands in the input twice"
            yield (
                entry,
                FieldProblem(
                    ("metadata", "name"), message, f"the first is at {first}", "FieldValueDuplicate"
                ),
            )


def _identity(taken: Intake) -> tuple[str, str, str] | None:
    metadata = taken.sound.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not name or not isinstance(metadata, dict):
        return None
    known = BY_KIND.get(taken.kind)
    space = metadata.get("namespace") or "default" if known and known.namespaced else ""
    return taken.kind, str(space), str(name)


def _second_labs(labs: list[InputObject]) -> Found:
    for entry in labs[1:]:
        message = "a second Lab: one input describes one lab"
        hint = f"the first is at {labs[0]}: bring each up by itself"
        yield entry, FieldProblem(("kind",), message, hint)


def _node_ports(services: list[InputObject]) -> Found:
    taken: dict[tuple[str, int], InputObject] = {}
    for entry in services:
        for path, protocol, number in _ports_of(entry.intake):
            first = taken.setdefault((protocol, number), entry)
            if first is not entry:
                yield (
                    entry,
                    invalid(path, number, "provided port is already allocated", _taker(first)),
                )


def _ports_of(taken: Intake) -> Iterator[tuple[Path, str, int]]:
    spec = taken.defaulted.get("spec") or {}
    if spec.get("type") not in ("NodePort", "LoadBalancer"):
        return
    for index, port in enumerate(spec.get("ports") or []):
        if port.get("nodePort"):
            yield ("spec", "ports", index, "nodePort"), port["protocol"], port["nodePort"]


def _taker(entry: InputObject) -> str:
    name = (entry.intake.sound.get("metadata") or {}).get("name")
    return f"Service {name} has it, at {entry}"


def _cluster_ips(services: list[InputObject]) -> Found:
    taken: dict[str, InputObject] = {}
    for entry in services:
        for path, text in _addresses_of(entry.intake):
            first = taken.setdefault(text, entry)
            if first is not entry:
                yield entry, duplicate(path, text, _taker(first))


def _addresses_of(taken: Intake) -> list[tuple[Path, str]]:
    """The ClusterIPs that a Service asks for, well-formed ones only."""
    spec = taken.defaulted.get("spec") or {}
    written: list[tuple[Path, str]] = [(("spec", "clusterIP"), spec.get("clusterIP") or "")]
    for index, text in enumerate(spec.get("clusterIPs") or []):
        if text != spec.get("clusterIP"):
            written.append((("spec", "clusterIPs", index), text))
    meant = ((path, sloppy.standard(text)) for path, text in written)
    return [(path, text) for path, text in meant if is_address(text)]


# Against the lab


def _in_lab(
    taken: Intake, lab: Lab, ranges: Sequence[str], joined: Joined
) -> Iterator[FieldProblem]:
    if taken.kind == "Service":
        yield from _in_service_cidr(taken, lab, ranges)
        yield from _families(taken, lab)
    elif taken.kind == "Pod":
        node = (taken.sound.get("spec") or {}).get("nodeName")
        if node:
            yield from _known(("spec", "nodeName"), "node", node, lab, joined)
    elif taken.kind == "PathCheck":
        from netlab.objects import validate_pathcheck

        for path, name, what in validate_pathcheck.places(taken.sound):
            yield from _known(path, what, name, lab, joined)


def _in_service_cidr(taken: Intake, lab: Lab, ranges: Sequence[str]) -> Iterator[FieldProblem]:
    for path, text in _addresses_of(taken):
        address = ipaddress.ip_address(text)
        cidr = next((one for one in ranges if address in ipaddress.ip_network(one)), None)
        if cidr is None or family(text) not in lab.ip_families:
            valid = ", ".join(ranges)
            yield invalid(
                path,
                text,
                f"the provided IP is not in the valid range. The range of valid IPs is {valid}",
            )
            continue
        for nth, name in _TAKEN:
            _, space, mine = _identity(taken) or ("", "", "")
            if (
                cidr in lab.service_cidrs
                and text == nth_address(cidr, nth)
                and f"{space}/{mine}" != name
            ):
                yield invalid(path, text, "provided IP is already allocated", f"{name} has it")


def _families(taken: Intake, lab: Lab) -> Iterator[FieldProblem]:
    spec = taken.sound.get("spec") or {}
    for index, wanted in enumerate(spec.get("ipFamilies") or []):
        if wanted not in lab.ip_families:
            yield invalid(
                ("spec", "ipFamilies", index),
                wanted,
                "not configured on this cluster",
                f"give the Lab an {wanted} podCIDR and serviceCIDR",
            )
    policy = spec.get("ipFamilyPolicy")
    if policy == "RequireDualStack" and len(lab.ip_families) < 2:
        yield invalid(
            ("spec", "ipFamilyPolicy"),
            policy,
            "this cluster is not configured for dual-stack services",
        )


def _known(path: Path, what: str, name: str, lab: Lab, joined: Joined) -> Iterator[FieldProblem]:
    nodes = [node.name for node in lab.nodes]
    have = nodes if what == "node" else [client.name for client in lab.external.clients]
    if name not in have and what == "node":
        have = [*have, *joined(lab.name)]
    if name not in have:
        meant = did_you_mean(name, have)
        hint = f'did you mean "{meant}"?' if meant else f"it has: {', '.join(have) or 'none'}"
        yield invalid(path, name, f"the lab has no {what} of that name", hint)
