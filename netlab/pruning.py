"""What `up` has applied and its files have no more: kept in mind, told of, and taken away if asked.

An object is known by its uid: one that somebody has made anew since is not ours to delete.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from netlab.client.apply import Applied
from netlab.client.sync import Client
from netlab.errors import NotFound
from netlab.kernel import files, paths
from netlab.objects import meta


class Known(Struct, frozen=True):
    """An object that `up` has applied; prints as kubectl names it."""

    resource: str
    kind: str
    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.resource}/{self.name}"


def known(applied: Iterable[Applied]) -> list[Known]:
    """What is to be kept in mind of what was applied."""
    return [
        Known(entry.resource, entry.kind, entry.namespace, entry.name, entry.uid)
        for entry in applied
    ]


def remember(directory: Path, applied: Iterable[Known]) -> None:
    """Note these beside what was noted before."""
    noted = {entry.uid: entry for entry in (*_read(directory), *applied)}
    _write(directory, noted.values())


def left_over(client: Client, directory: Path, applied: Iterable[Known]) -> list[Known]:
    """Those noted that are still there and not among the `applied`. Changes nothing."""
    now = {entry.uid for entry in applied}
    others = [entry for entry in _read(directory) if entry.uid not in now]
    return [entry for entry in others if _uid(client, entry) == entry.uid]


def forget_others(directory: Path, there: Iterable[Known]) -> None:
    """What is noted and not among these, which are there, is gone."""
    uids = {entry.uid for entry in there}
    _write(directory, [entry for entry in _read(directory) if entry.uid in uids])


def prune(client: Client, directory: Path, left: Sequence[Known]) -> None:
    """Delete them, namespaces last, and forget them."""
    for entry in sorted(left, key=lambda entry: entry.kind == "Namespace"):
        try:
            client.delete(entry.kind, entry.namespace, entry.name)
        except NotFound:
            continue
    gone = set(left)
    _write(directory, [entry for entry in _read(directory) if entry not in gone])


def _uid(client: Client, entry: Known) -> str:
    try:
        return meta.uid(client.get(entry.kind, entry.namespace, entry.name))
    except NotFound:
        return ""


def _file(directory: Path) -> Path:
    return directory / "applied.json"


def _read(directory: Path) -> list[Known]:
    try:
        return msgspec.json.decode(_file(directory).read_bytes(), type=list[Known])
    except FileNotFoundError:
        return []


def _write(directory: Path, noted: Iterable[Known]) -> None:
    text = json.dumps([msgspec.to_builtins(entry) for entry in noted])
    files.write_beside(paths.lab_file(directory), _file(directory).name, text)
