"""The manifests that many tests begin with, as text to be put together; what a test is about, it
writes itself:

    LAB = manifests.lab("calm") + manifests.web() + manifests.service() + "---\n…"
"""

from __future__ import annotations

from typing import Any

import yaml

GREETER = "alicek106/rr-test:echo-hostname"
"""The textbooks' web server, whose page `labs.greeting` reads."""


def lab(name: str, nodes: int = 2, **spec: object) -> str:
    """A lab with that many nodes, the control plane among them."""
    return manifest("netlab/v1", "Lab", name, {"nodes": nodes, **spec})


def web(replicas: int = 2, **container: object) -> str:
    """A Deployment `web` of nginx at port 80; what its container `c` has otherwise, or besides."""
    said = {"name": "c", "image": "nginx", "ports": [{"containerPort": 80}], **container}
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [said]}}
    selector = {"matchLabels": {"app": "web"}}
    spec = {"replicas": replicas, "selector": selector, "template": template}
    return manifest("apps/v1", "Deployment", "web", spec)


def service(**spec: object) -> str:
    """A Service `web` at port 80 of those pods; what its spec has otherwise, or besides."""
    said = {"selector": {"app": "web"}, "ports": [{"port": 80}], **spec}
    return manifest("v1", "Service", "web", said)


def box(name: str) -> str:
    """A pod to run commands in."""
    container = {"name": name, "image": "busybox", "command": ["sleep", "infinity"]}
    return manifest("v1", "Pod", name, {"containers": [container]})


def manifest(version: str, kind: str, name: str, spec: dict[str, Any]) -> str:
    """An object of any kind."""
    head = {"apiVersion": version, "kind": kind, "metadata": {"name": name}}
    return "---\n" + yaml.safe_dump({**head, "spec": spec}, sort_keys=False)


def named(kind: str, name: str) -> str:
    """An object of the core group that has nothing but a name."""
    return f"---\napiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n"
