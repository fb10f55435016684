"""What somebody can type next whose lab has just come up, with that lab's own names. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.objects import meta
from netlab.objects.lab import Lab
from netlab.objects.meta import Object


def next_steps(
    lab: Lab, objects: Iterable[Object], *, checks: bool, sudo: bool, named: bool
) -> Iterator[tuple[str, str]]:
    """(command, what it is for).

    `checks`: there are PathChecks; `sudo`: what makes or looks into namespaces needs it; `named`:
    commands must say which lab.
    """
    netlab = f"netlab --lab {lab.name}" if named else "netlab"
    root = f"sudo {netlab}" if sudo else netlab
    for kind, command, purpose in (
        ("", f"{netlab} get pods,svc -o wide", "what runs, and where"),
        ("Pod", f"{netlab} exec -it {{}} -- sh", "into a pod"),
        ("Service", f"{root} rules svc/{{}}", "the rules that make a Service"),
    ):
        name = _first(objects, kind)
        if name is not None:
            yield command.format(name), purpose
    if checks:
        yield f"{root} check", "prove packet paths, hop by hop"
    yield f"{root} shell {lab.nodes[-1].name}", "onto a node"
    yield f"{root} down", "leave nothing of it"


def _first(objects: Iterable[Object], kind: str) -> str | None:
    """The name, with its namespace if it needs that, of the first object with that kind."""
    if not kind:
        return ""
    for obj in objects:
        if obj["kind"] == kind:
            space = meta.namespace(obj) or "default"
            return meta.name(obj) + (f" -n {space}" if space != "default" else "")
    return None
