"""What the API server tells Prometheus: which Kubernetes it is, and how much is stored. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from netlab import exposition
from netlab.api.discovery import VERSION

_BUILD = {
    "build_date": "buildDate",
    "compiler": "compiler",
    "git_commit": "gitCommit",
    "git_tree_state": "gitTreeState",
    "git_version": "gitVersion",
    "go_version": "goVersion",
    "major": "major",
    "minor": "minor",
    "platform": "platform",
}


def metrics(stored: Mapping[str, int]) -> str:
    """The page `/metrics` in Prometheus' text format; `stored`: resource → objects of it."""
    objects = [((("resource", resource),), count) for resource, count in sorted(stored.items())]
    build = tuple((label, str(VERSION[field])) for label, field in _BUILD.items())
    return exposition.page(
        [
            *exposition.family(
                "apiserver_storage_objects",
                "gauge",
                objects,
                "[STABLE] Number of stored objects at the time of last check split by kind.",
            ),
            *exposition.family(
                "kubernetes_build_info",
                "gauge",
                [(build, 1)],
                "[ALPHA] The version of Kubernetes that this API is.",
            ),
        ]
    )
