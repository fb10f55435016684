"""What the API server tells Prometheus: which Kubernetes it is, and how much is stored. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from netlab.api.discovery import VERSION

FORMAT = "text/plain; version=0.0.4; charset=utf-8"
"""Its Content-Type."""

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


def exposition(stored: Mapping[str, int]) -> str:
    """The page `/metrics` in Prometheus' text format; `stored`: resource → objects of it."""
    build = {label: str(VERSION[field]) for label, field in _BUILD.items()}
    lines = [
        *_gauge(
            "apiserver_storage_objects",
            "[STABLE] Number of stored objects at the time of last check split by kind.",
            (({"resource": resource}, count) for resource, count in sorted(stored.items())),
        ),
        *_gauge(
            "kubernetes_build_info",
            "[ALPHA] The version of Kubernetes that this API is.",
            [(build, 1)],
        ),
    ]
    return "".join(f"{line}\n" for line in lines)


def _gauge(name: str, words: str, samples: Iterable[tuple[Mapping[str, str], int]]) -> list[str]:
    head = [f"# HELP {name} {words}", f"# TYPE {name} gauge"]
    return head + [f"{name}{{{_labels(labels)}}} {value}" for labels, value in samples]


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
