"""A lab written in Python: objects one after the other, as a file would have them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

_SLEEPER = ("sleep", "infinity")


class Topology(Struct, frozen=True):
    """A Lab and its objects; each method gives another one, that has more.

    `Topology(nodes=2).deployment("web", replicas=3).service("web").pod("box")`
    """

    nodes: int = 1
    name: str = "lab"
    spec: Mapping[str, Any] = {}
    """What else the Lab says: `proxyMode`, `podCIDR` … as in its file."""
    objects: tuple[Mapping[str, Any], ...] = ()

    def with_objects(self, *objects: Mapping[str, Any]) -> Topology:
        """Any other objects, as they stand in a manifest."""
        return replace(self, objects=(*self.objects, *objects))

    def deployment(
        self,
        name: str,
        *,
        replicas: int = 1,
        image: str = "nginx",
        port: int = 80,
        namespace: str = "default",
        **pod: Any,
    ) -> Topology:
        """A Deployment of pods with the label `app: NAME`; `pod` is what else their spec says."""
        labels = {"app": name}
        container = {"name": name, "image": image, "ports": [{"containerPort": port}]}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [container], **pod}}
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        return self.with_objects(_object("apps/v1", "Deployment", name, namespace, spec))

    def service(
        self,
        name: str,
        *,
        port: int = 80,
        target_port: int | str | None = None,
        selector: Mapping[str, str] | None = None,
        namespace: str = "default",
        **spec: Any,
    ) -> Topology:
        """A Service of the pods with the label `app: NAME`, or those of a selector; `spec` is what
        else it says: `type="NodePort"`, `externalTrafficPolicy="Local"` …"""
        ports = [{"port": port, "targetPort": port if target_port is None else target_port}]
        chosen = dict(selector or {"app": name})
        whole = {"selector": chosen, "ports": ports, **spec}
        return self.with_objects(_object("v1", "Service", name, namespace, whole))

    def pod(
        self,
        name: str,
        *,
        image: str = "curlimages/curl",
        command: Sequence[str] = _SLEEPER,
        labels: Mapping[str, str] | None = None,
        namespace: str = "default",
        **spec: Any,
    ) -> Topology:
        """A pod that waits, to send from; `spec` is what else it says."""
        container = {"name": name, "image": image, "command": list(command)}
        made = _object("v1", "Pod", name, namespace, {"containers": [container], **spec})
        made["metadata"]["labels"] = dict(labels or {"run": name})
        return self.with_objects(made)

    def text(self) -> str:
        """All of it as a file."""
        spec = {"nodes": self.nodes, **self.spec}
        lab = {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": self.name}}
        documents = [{**lab, "spec": spec}, *map(dict, self.objects)]
        return "---\n".join(map(_yaml, documents))


def _yaml(document: Mapping[str, Any]) -> str:
    """With what occurs twice written twice."""
    import yaml  # while a lab's controller begins

    dumper = type("Dumper", (yaml.SafeDumper,), {"ignore_aliases": lambda *_: True})
    return yaml.dump(document, Dumper=dumper, sort_keys=False)


def _object(version: str, kind: str, name: str, namespace: str, spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if namespace != "default":
        metadata["namespace"] = namespace
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
