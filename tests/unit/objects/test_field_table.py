"""Every field of the kinds that the table lists is in it: none is ignored in silence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.objects import elsewhere, podwarnings, strategies, validate_admission
from netlab.objects.kinds import KINDS

ROOT = Path(__file__).parents[3]
OBJECTS = ROOT / "netlab" / "objects"
TABLE: dict[str, Any] = yaml.safe_load((OBJECTS / "fields.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((OBJECTS / "schema.json").read_text())
DEFINITIONS: dict[str, Any] = SCHEMA["$defs"]
WORDS = ("acts", "warned", "stored", "refused", "lacking")
SAID = ("stored", "refused", "lacking")

# What the API itself reads, and what the control plane writes.
NOT_A_MANIFESTS = {"apiVersion", "kind", "status"}
KINDS_BY_NAME = {"OwnerReference", "ObjectReference"}
ELSEWHERE = {"FieldsV1", "IntOrString", "ManagedFieldsEntry", "Quantity", "Time"}


def fields(name: str) -> set[str]:
    found = set(DEFINITIONS[name].get("properties", {}))
    if name in KINDS_BY_NAME:
        return found - {"apiVersion"}
    return found if name == "ObjectFieldSelector" else found - NOT_A_MANIFESTS


def referred(schema: dict[str, Any]) -> str | None:
    while "$ref" not in schema:
        inner = schema.get("items") or schema.get("additionalProperties")
        if not isinstance(inner, dict):
            return None
        schema = inner
    return str(schema["$ref"])


def reached() -> dict[str, None]:
    """The definitions that a manifest of the kinds can have, below what acts."""
    found: dict[str, None] = {}
    left = [SCHEMA["kinds"][kind] for kind in TABLE["kinds"]]
    while left:
        name = left.pop()
        if name in found or name in ELSEWHERE:
            continue
        found[name] = None
        acting = TABLE["definitions"].get(name, {}).get("acts", fields(name))
        properties = DEFINITIONS[name].get("properties", {})
        inner = (referred(properties[field]) for field in acting if field in properties)
        left += [each for each in inner if each is not None]
    return found


def listed(entry: dict[str, Any]) -> Iterator[str]:
    for word in WORDS:
        yield from entry.get(word) or ()


def test_every_kind_that_is_served_is_listed() -> None:
    served = {f"{kind.api_version}/{kind.kind}" for kind in KINDS if kind.schema == "schema.json"}
    assert set(TABLE["kinds"]) == served == set(SCHEMA["kinds"])
    assert len(TABLE["kinds"]) == len(served)


@pytest.mark.parametrize("name", reached())
def test_every_field_is_listed_once(name: str) -> None:
    assert name in TABLE["definitions"], "netlab/objects/fields.yaml"
    entry = TABLE["definitions"][name]
    assert sorted(listed(entry)) == sorted(fields(name))
    assert set(entry) <= set(WORDS)
    assert all(str(text).strip() for word in SAID for text in (entry.get(word) or {}).values())


def test_nothing_is_listed_that_is_nowhere() -> None:
    assert set(TABLE["definitions"]) == set(reached())


def test_the_page_is_written_of_the_table() -> None:
    argv = [sys.executable, str(ROOT / "scripts/generate-fields"), "--check"]
    assert subprocess.run(argv, check=False).returncode == 0, "scripts/generate-fields"


def pod(container: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    containers = [{"name": "c", "image": "i", **(container or {})}]
    return {"kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


def ephemeral(**more: Any) -> dict[str, Any]:
    return pod(ephemeralContainers=[{"name": "e", "image": "i", **more}])


def webhooks(kind: str) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": "w"}, "webhooks": [{"name": "a.example.com"}]}


WARNED: dict[str, dict[str, Any]] = {
    **{
        f"PersistentVolumeSpec.{source}": {"kind": "PersistentVolume", "spec": {source: {}}}
        for source in TABLE["definitions"]["PersistentVolumeSpec"]["warned"]
    },
    "ValidatingWebhookConfiguration.webhooks": webhooks("ValidatingWebhookConfiguration"),
    "MutatingWebhookConfiguration.webhooks": webhooks("MutatingWebhookConfiguration"),
    "PodSpec.hostIPC": pod(hostIPC=True),
    "PodSpec.hostPID": pod(hostPID=True),
    "Probe.grpc": pod({"readinessProbe": {"grpc": {"port": 1}}}),
    "SecurityContext.allowPrivilegeEscalation": pod(
        {"securityContext": {"allowPrivilegeEscalation": True}}
    ),
    "SecurityContext.privileged": pod({"securityContext": {"privileged": True}}),
    "SecurityContext.procMount": pod({"securityContext": {"procMount": "Unmasked"}}),
    "SecurityContext.seccompProfile": pod(
        {"securityContext": {"seccompProfile": {"type": "Unconfined"}}}
    ),
    "PodSecurityContext.seccompProfile": pod(
        securityContext={"seccompProfile": {"type": "Unconfined"}}
    ),
    "PodSpec.runtimeClassName": pod(runtimeClassName="gvisor"),
    "Container.volumeDevices": pod({"volumeDevices": [{"name": "v", "devicePath": "/dev/x"}]}),
    "EphemeralContainer.volumeDevices": ephemeral(
        volumeDevices=[{"name": "v", "devicePath": "/dev/x"}]
    ),
    "SecurityContext.appArmorProfile": pod(
        {"securityContext": {"appArmorProfile": {"type": "Localhost"}}}
    ),
    "PodSecurityContext.appArmorProfile": pod(
        securityContext={"appArmorProfile": {"type": "Localhost"}}
    ),
    "PodSecurityContext.sysctls": pod(securityContext={"sysctls": [{"name": "a", "value": "1"}]}),
    **{
        f"Volume.{source}": pod(volumes=[{"name": "v", source: {}}])
        for source in TABLE["definitions"]["Volume"]["warned"]
    },
}
NOT_FOR_EPHEMERAL: dict[str, Any] = {
    "lifecycle": {"preStop": {"sleep": {"seconds": 1}}},
    "livenessProbe": {"exec": {"command": ["true"]}},
    "ports": [{"containerPort": 80}],
    "readinessProbe": {"exec": {"command": ["true"]}},
    "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}],
    "resources": {"limits": {"cpu": "1"}},
    "restartPolicy": "Always",
    "startupProbe": {"exec": {"command": ["true"]}},
}
REFUSED: dict[str, dict[str, Any]] = {
    f"EphemeralContainer.{field}": ephemeral(**{field: value})
    for field, value in NOT_FOR_EPHEMERAL.items()
}


def those(word: str) -> set[str]:
    entries = TABLE["definitions"].items()
    return {f"{name}.{field}" for name, entry in entries for field in entry.get(word) or ()}


def warnings(obj: dict[str, Any]) -> list[str]:
    rooms = (podwarnings, elsewhere, validate_admission)
    return podwarnings.dropped(obj) + [line for room in rooms for line in room.warnings(obj)]


def test_what_is_to_be_warned_of_is() -> None:
    assert set(WARNED) == those("warned")
    assert [name for name, obj in WARNED.items() if not warnings(obj)] == []


def test_what_is_refused_is_so_in_these_words() -> None:
    assert set(REFUSED) == those("refused")
    for field, obj in REFUSED.items():
        name, _, last = field.partition(".")
        words = TABLE["definitions"][name]["refused"][last]
        problems = [each.message for each in strategies.of(obj).validate(obj)]
        assert any(words in text for text in problems), (field, problems)
