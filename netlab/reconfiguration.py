"""A running lab is made to be as a changed file has it: what Kubernetes could change, changes.

    before, file → what it is to be, or why not → nodes relabelled and deleted → rules withdrawn

Each step may be done again: whoever is interrupted runs `up` once more. The file of the lab is
written last, by `lab.py`, and the controller that then starts makes what is new.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from netlab import standing
from netlab.client.sync import Client
from netlab.errors import InputError, NetlabError, NotFound, Problem
from netlab.kernel import paths
from netlab.network import plan
from netlab.objects import lab_update, meta
from netlab.objects.lab import Lab, Node, lab_from_object, node_to_object
from netlab.objects.validate_lab import lab_problems

if TYPE_CHECKING:
    from netlab.manifest import Manifest
    from netlab.objects.crosscheck import InputObject
    from netlab.objects.problems import FieldProblem

Progress = Callable[[str], None]

_GONE = 30.0
"""Seconds that a node may take to go."""

_OF_RULES = {"proxyMode", "iptables"}


def wanted(manifest: Manifest, before: Lab, joined: Sequence[Node]) -> Lab:
    """The lab of the file, in which what was given addresses keeps them.

    Nodes that have `joined` since keep theirs, whether the file names them by now or not.
    `InputError` with each field that a running lab cannot have otherwise, and why.
    """
    lab, entry = manifest.lab, manifest.lab_entry
    assert lab is not None
    assert entry is not None
    _refuse(entry, lab_update.of_ranges(before, lab))
    known = replace(before, nodes=(*before.nodes, *joined))
    obj = lab_update.kept(entry.intake.sound, known)
    others = [node for node in joined if lab.node(node.name) is None]
    obj["spec"]["nodes"][:0] = map(node_to_object, others)
    _refuse(entry, (_without(len(others), one) for one in lab_problems(obj)))
    after = lab_from_object(obj)
    after = replace(after, nodes=after.nodes[len(others) :])
    _refuse(entry, lab_update.of_nodes(known, after))
    return after


def _without(others: int, problem: FieldProblem) -> FieldProblem:
    """The problem where the file has it, to which so many nodes were put in front."""
    if problem.path[:2] != ("spec", "nodes") or len(problem.path) < 3:
        return problem
    path = ("spec", "nodes", int(problem.path[2]) - others, *problem.path[3:])
    return replace(problem, path=path)


def _refuse(entry: InputObject, found: Iterable[FieldProblem]) -> None:
    problems = [
        Problem(entry.file, entry.line(one.place), one.field, one.message, one.hint)
        for one in found
    ]
    if problems:
        raise InputError(problems)


def ready(client: Client, before: Lab, after: Lab, directory: Path, progress: Progress) -> None:
    """Have the nodes that stay labelled and tainted anew, and those that go gone."""
    changes = lab_update.changes(before, after)
    for was, is_to_be in changes.changed:
        progress(f"changing node {was.name}")
        _change(client, was, is_to_be)
    for name in changes.removed:
        progress(f"taking node {name} away")
        _remove(client, name, paths.namespace(directory, plan.node_name(before, name)))


def withdraw_rules(before: Lab, after: Lab, fields: Iterable[str], directory: Path) -> None:
    """Take kube-proxy's rules away where it is to write them in another way, as these `fields` of
    the lab say that differ; none runs now."""
    if not _OF_RULES.intersection(fields):
        return
    from netlab.agents import node_proxier  # much of the house, for what seldom happens

    for node in standing.read(after, directory).nodes:
        if paths.namespace(directory, plan.node_name(before, node.name)).exists():
            node_proxier.withdraw(before, node, directory)


def _change(client: Client, was: Node, is_to_be: Node) -> None:
    try:
        live = client.get("Node", "", was.name)
    except NotFound:
        return  # it is made anew, as it is to be
    labels: dict[str, str | None] = dict.fromkeys(was.labels.keys() - is_to_be.labels)
    patch = {
        "metadata": {"labels": labels | is_to_be.labels},
        "spec": {"taints": _taints(meta.spec(live).get("taints") or [], was, is_to_be) or None},
    }
    client.patch("Node", "", was.name, patch)


def _taints(live: list[Any], was: Node, is_to_be: Node) -> list[Any]:
    """What stands there of others, such as `kubectl cordon`, stays."""
    own = {_identity(taint) for taint in (*was.taints, *is_to_be.taints)}
    return [taint for taint in live if _identity(taint) not in own] + list(is_to_be.taints)


def _identity(taint: Mapping[str, Any]) -> tuple[str, str]:
    return str(taint.get("key")), str(taint.get("effect"))


def _remove(client: Client, name: str, namespace: Path) -> None:
    with contextlib.suppress(NotFound):
        client.delete("Node", "", name)
    deadline = time.monotonic() + _GONE
    while namespace.exists():
        if time.monotonic() > deadline:
            raise NetlabError(f"node {name} does not go away", hint="netlab status")
        time.sleep(0.02)
