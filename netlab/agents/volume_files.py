"""What is in the volumes of pods that are made of objects: ConfigMaps, Secrets, the pod itself.

`volumes.py` writes it, and makes the other volumes, which pods fill themselves.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from netlab.agents.environment import Lookup, SourceKind, field_value, resource_value
from netlab.agents.podrun import PodRun, with_addresses
from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.types import (
    ConfigMap,
    ConfigMapProjection,
    ConfigMapVolumeSource,
    DownwardAPIProjection,
    DownwardAPIVolumeSource,
    ProjectedVolumeSource,
    Secret,
    SecretProjection,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)

DEFAULT_MODE = 0o644

MOST = 32 * 2**20
"""Bytes of memory that one pod's volumes made of objects may take: all pods share theirs."""

_PAGE = 4096
"""What a file or a directory takes of a tmpfs at least."""

Chosen = ConfigMapVolumeSource | ConfigMapProjection | SecretVolumeSource | SecretProjection
"""What makes files of an object: all its keys, or the `items` of it."""

Texts = Mapping[tuple[str, str], str]
"""Tokens, by the name of their volume and their path in it."""

_NONE: Texts = {}

Files = dict[str, tuple[bytes, int]]
"""What a volume holds: relative path → content and mode."""


def token_paths(volume: Volume) -> dict[str, ServiceAccountTokenProjection]:
    """The tokens that are to be in a volume, by their paths in it."""
    sources = volume.get("projected", {}).get("sources") or ()
    tokens = (source.get("serviceAccountToken") for source in sources)
    return {token["path"]: token for token in tokens if token}


def volume_files(
    run: PodRun, volume: Volume, lookup: Lookup, room: int = MOST, tokens: Texts = _NONE
) -> Files | None:
    """The files of a volume that is made of objects; None for one that pods fill themselves.

    A token that is not among `tokens` is an empty file. `NetlabError` for a missing object, and for
    more than `room` bytes.
    """
    projected = volume.get("projected")
    if projected is None:
        return _that_fit(_own_files(run, volume, lookup), room)
    files: Files = {}
    for source in projected.get("sources") or ():
        files |= _projected_files(run, source, lookup, _mode(projected))
        if token := source.get("serviceAccountToken"):
            text = tokens.get((volume["name"], token["path"]), "")
            files[token["path"]] = (text.encode(), _mode(projected))
        _that_fit(files, room)
    return files


def _that_fit(files: Files | None, room: int) -> Files | None:
    if files is not None and size(files) > room:
        raise NetlabError(
            f"the files of ConfigMaps, Secrets and the like in a pod may take {MOST >> 20} MiB "
            "of memory in all, 4 KiB for each at least"
        )
    return files


def size(files: Files) -> int:
    """Bytes that they take of a tmpfs, in whole pages, directories included."""
    pages = (
        len(Path(path).parts) + -(-len(content) // _PAGE) for path, (content, _) in files.items()
    )
    return sum(pages) * _PAGE


def _own_files(run: PodRun, volume: Volume, lookup: Lookup) -> Files | None:
    if (configured := volume.get("configMap")) is not None:
        name, mode = configured.get("name"), _mode(configured)
        return _object_files("ConfigMap", name, configured, run, lookup, mode)
    if (secret := volume.get("secret")) is not None:
        name, mode = secret.get("secretName"), _mode(secret)
        return _object_files("Secret", name, secret, run, lookup, mode)
    if (downward := volume.get("downwardAPI")) is not None:
        return _downward_files(run, downward, _mode(downward))
    return None


def _projected_files(run: PodRun, source: VolumeProjection, lookup: Lookup, mode: int) -> Files:
    if (configured := source.get("configMap")) is not None:
        return _object_files("ConfigMap", configured.get("name"), configured, run, lookup, mode)
    if (secret := source.get("secret")) is not None:
        return _object_files("Secret", secret.get("name"), secret, run, lookup, mode)
    if (downward := source.get("downwardAPI")) is not None:
        return _downward_files(run, downward, mode)
    return {}


def _object_files(
    kind: SourceKind, name: str | None, wanted: Chosen, run: PodRun, lookup: Lookup, mode: int
) -> Files:
    """Every key of a ConfigMap or Secret, or those that `items` choose, under their own paths."""
    found = lookup(kind, meta.namespace(run.pod), name or "")
    if found is None:
        if wanted.get("optional"):
            return {}
        raise NetlabError(f'{kind.lower()} "{name}" not found')
    data = _contents(found)
    if not wanted.get("items"):
        return {key: (content, mode) for key, content in data.items()}
    files: Files = {}
    for item in wanted["items"]:
        if item["key"] in data:
            files[item["path"]] = (data[item["key"]], item.get("mode") or mode)
        elif not wanted.get("optional"):
            raise NetlabError(f"references non-existent {kind.lower()} key: {item['key']}")
    return files


def _contents(obj: ConfigMap | Secret) -> dict[str, bytes]:
    if obj["kind"] == "Secret":
        return _decoded(obj.get("data"))
    texts = {key: text.encode() for key, text in (obj.get("data") or {}).items()}
    return _decoded(obj.get("binaryData")) | texts


def _decoded(data: Mapping[str, str] | None) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in (data or {}).items()}


def _downward_files(
    run: PodRun, wanted: DownwardAPIVolumeSource | DownwardAPIProjection, mode: int
) -> Files:
    files: Files = {}
    for item in wanted.get("items") or ():
        if field := item.get("fieldRef"):
            text = downward_text(run, field["fieldPath"])
        else:
            reference = item["resourceFieldRef"]
            container = run.spec_of(reference["containerName"])
            text = resource_value(container, reference, run.allocatable)
        files[item["path"]] = (text.encode(), item.get("mode") or mode)
    return files


def downward_text(run: PodRun, path: str) -> str:
    """A field as a file has it: labels and annotations are a line each, `key="value"`."""
    if path in ("metadata.labels", "metadata.annotations"):
        labels, annotations = meta.labels(run.pod), meta.annotations(run.pod)
        entries = labels if path == "metadata.labels" else annotations
        return "\n".join(f'{key}="{value}"' for key, value in sorted(entries.items()))
    return field_value(with_addresses(run), path)


def _mode(
    wanted: ConfigMapVolumeSource
    | SecretVolumeSource
    | DownwardAPIVolumeSource
    | ProjectedVolumeSource,
) -> int:
    return wanted.get("defaultMode", DEFAULT_MODE)
