"""Probes that ask a port on which nobody listens: what does, and what has them ask that. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from netlab.diagnosis.facts import Facts
from netlab.diagnosis.ports import nobody_listens, public_ports
from netlab.diagnosis.remedies import patch
from netlab.objects import meta
from netlab.objects.offers import addresses
from netlab.objects.types import Container, Pod, Workload

_REFUSED = re.compile(r"dial tcp \S*:(\d+): connect: connection refused")
_HOW = ("httpGet", "tcpSocket")


def refused(failure: str, pod: Pod, facts: Facts) -> str:
    """`nothing listens on 8081 (but on 80)`, of a failure that says no more than "connection
    refused"; "" of any other."""
    found, listeners = _REFUSED.search(failure), facts.listeners(pod)
    if found is None or listeners is None:
        return ""
    return nobody_listens("TCP", int(found[1]), next(iter(addresses(pod)), None), listeners)


def remedy(failure: str, kind: str, pod: Pod, facts: Facts) -> str:
    """The command by which the workload of a pod has it asked on the one port that it listens on;
    "" where that is not known. (A pod's own probes cannot be changed.)"""
    found, listeners = _REFUSED.search(failure), facts.listeners(pod)
    workload = _workload(pod, facts)
    if found is None or listeners is None or workload is None:
        return ""
    there = public_ports("TCP", listeners)
    containers = list(_asked(pod, f"{kind.lower()}Probe", int(found[1]), there))
    if len(there) != 1 or not containers:
        return ""
    change = {"spec": {"template": {"spec": {"containers": containers}}}}
    return patch(workload, change, workload["kind"].lower())


def _asked(pod: Pod, field: str, number: int, there: set[int]) -> Iterator[dict[str, Any]]:
    """What is to be another of the containers whose probe asks that port."""
    for container in meta.spec(pod).get("containers") or []:
        probe: Any = container.get(field) or {}
        for how in _HOW:
            if how in probe and _number(probe[how].get("port"), container) == number:
                yield {"name": container["name"], field: {how: {"port": min(there, default=0)}}}


def _number(port: int | str | None, container: Container) -> int | str | None:
    named = {one.get("name"): one["containerPort"] for one in container.get("ports") or []}
    return named.get(port, port) if isinstance(port, str) else port


def _workload(pod: Pod, facts: Facts) -> Workload | None:
    """Whose template the pod is of: its owner, or that one's."""
    known = {meta.uid(one): one for one in facts.workloads}
    found = known.get(meta.controller_uid(pod))
    return known.get(meta.controller_uid(found), found) if found is not None else None
