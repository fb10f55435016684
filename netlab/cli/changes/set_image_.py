"""Examples:

netlab set image deploy/web web=nginx:1.27
netlab set image deployment web web=nginx:1.27 sidecar=busybox
netlab set image deploy/web '*=nginx:1.27'        every container
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from netlab.cli import options, results, selection
from netlab.cli.changes import metadata, patching
from netlab.errors import NetlabError, UsageError
from netlab.objects import meta
from netlab.objects.kinds import BY_KIND, pod_of
from netlab.objects.meta import Object


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """kubectl's flags."""
    selection.add_arguments(parser, "deploy/web CONTAINER=IMAGE …")
    results.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Set the images of each workload."""
    arguments.targets, words = metadata.split(arguments.targets)
    images = dict(map(results.pair, words))
    if not images:
        raise UsageError(
            "at least one image update is required", hint="netlab set image deploy/web web=nginx:2"
        )
    with options.client(arguments) as client:
        for obj in selection.objects(client, arguments):
            patch = image_patch(obj, images)
            if patch or arguments.output:
                now = patching.change(client, obj, patch, arguments)
                results.report(now, "image updated", arguments)
    return 0


def image_patch(obj: Object, images: Mapping[str, str]) -> dict[str, Any]:
    """The strategic merge patch; {} when the images are those already."""
    spec = meta.spec(pod_of(obj))
    names = {c["name"] for field in _FIELDS for c in spec.get(field) or []}
    for name in images:
        if name != "*" and name not in names:
            raise NetlabError(
                f'unable to find container named "{name}"',
                hint=f"there are: {', '.join(sorted(names))}" if names else None,
            )
    change = {field: _changed(spec.get(field) or [], images) for field in _FIELDS}
    change = {field: containers for field, containers in change.items() if containers}
    if not change:
        return {}
    patch: dict[str, Any] = {"spec": change}
    for part in reversed(BY_KIND[obj["kind"]].pod_path or ()):
        patch = {part: patch}
    return patch


_FIELDS = ("containers", "initContainers")


def _changed(containers: list[Any], images: Mapping[str, str]) -> list[dict[str, str]]:
    wanted = {c["name"]: images.get(c["name"], images.get("*", c["image"])) for c in containers}
    return [
        {"name": c["name"], "image": wanted[c["name"]]}
        for c in containers
        if wanted[c["name"]] != c["image"]
    ]
