"""An attempt of a pod to get out of it: the manifest, and how its success is seen.

It has succeeded when the machine's token, or the words `got out`, are in what the pod wrote or in
what the API tells of it, or when `look` finds on the machine what the pod has done there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

PRELUDE = Path(__file__).with_name("prelude.py").read_text()
GOT_OUT = "got out"
TRYING = "trying"
NAMESPACE = "default"


@dataclass(frozen=True)
class Attempt:
    """`name` is the pod's, and a ConfigMap's that belongs to it.

    `script` is Python, after prelude.py; of `container` and `spec` the pod is made, `others` are
    applied before it. In them `@NAME@` stands for facts of the machine.
    `look` is a shell command that exits with 0 on a machine that was harmed.
    `entered` has others come into the pod: an exec probe, and `exec` thrice.
    `races` never ends, and wants the machine for itself.
    `refusable` may be refused, or never start: then it has not succeeded.
    `unguarded` is how the unguarded sandbox is for it: see there.
    `wants` is a shell command that exits with 0 where the machine itself allows root as much: a
    container may not, and then there is nothing that would have to be guarded.
    """

    name: str
    script: str = ""
    container: Mapping[str, Any] | None = None
    spec: Mapping[str, Any] | None = None
    others: Sequence[Json] = ()
    look: str = ""
    entered: bool = False
    races: bool = False
    refusable: bool = False
    unguarded: Sequence[str] = ()
    wants: str = ""

    def pod(self, facts: Mapping[str, str]) -> Json:
        """The pod's manifest on a machine with these facts."""
        container: Json = {"name": "c", "image": "busybox", **(self.container or {})}
        container.setdefault("command", ["python3", "-c", PRELUDE + self.script])
        if self.entered:
            probe = {"exec": {"command": ["/bin/true"]}, "periodSeconds": 1}
            container.setdefault("readinessProbe", probe)
        given = dict(self.spec or {})
        spec: Json = {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            **given,
            "containers": [container, *given.get("containers", ())],
        }
        found: Json = filled(_object("Pod", self.name, spec=spec), facts)
        return found

    def objects(self, facts: Mapping[str, str]) -> list[Json]:
        """What it needs first."""
        found: list[Json] = filled(list(self.others), facts)
        return found

    def has_succeeded(self, said: str, token: str) -> bool:
        """True if what the pod said shows that it got out."""
        return token in said or GOT_OUT in said.splitlines()


def filled(value: Any, facts: Mapping[str, str]) -> Any:
    """The same with `@NAME@` replaced in all strings by the fact of that name."""
    if isinstance(value, str):
        for name, fact in facts.items():
            value = value.replace(f"@{name}@", fact)
        return value
    if isinstance(value, Mapping):
        return {key: filled(each, facts) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, facts) for each in value]
    return value


def _object(kind: str, name: str, **rest: Any) -> Json:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}


def config(name: str, **content: Any) -> Json:
    """A ConfigMap with `data` or `binaryData`."""
    return _object("ConfigMap", name, **content)


def claim(name: str) -> Json:
    """A PersistentVolumeClaim of the class that all have."""
    asked = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteMany"], "resources": asked}
    return _object("PersistentVolumeClaim", name, spec=spec)


def pod(name: str, container: Json, **spec: Any) -> Json:
    """A further pod."""
    containers = [{"name": "c", "image": "busybox", **container}]
    fixed = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    return _object("Pod", name, spec={**fixed, "containers": containers, **spec})


def adding(*capabilities: str) -> Json:
    """A container's fields that ask for capabilities."""
    return {"securityContext": {"capabilities": {"add": list(capabilities)}}}


def as_user(user: int) -> Json:
    """A container's fields that make it another user's."""
    return {"securityContext": {"runAsUser": user, "runAsGroup": user}}


def shell(text: str) -> list[str]:
    """A command that says that it tries, and then does."""
    return ["sh", "-c", f"echo {TRYING}\n{text}"]
