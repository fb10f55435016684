"""The catalogue of images (`catalogue.yaml`): which built-in program stands in for an image.

Read is what `scripts/generate-catalogue` makes of that file: JSON, which is read in no time, where
YAML would be a twelfth of all that a controller does before its first pod runs.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct, field

ProgramKind = Literal["server", "toolbox", "pause", "program", "task"]
_KINDS = ("server", "toolbox", "pause", "program", "task")
_SPOKEN = ("http", "https", "tcp", "udp")
_REMEMBERED = 256


class CatalogueError(ValueError):
    """catalogue.yaml contradicts its own description; a mistake of ours, found by the tests."""


class ImagePort(Struct, frozen=True):
    """A port of a built-in server, and what flag or variable of the real one may move it."""

    port: int
    serve: Literal["http", "https", "tcp", "udp"]
    site: str
    flag: str = ""
    env: str = ""


class ImageProgram(Struct, frozen=True):
    """What the catalogue says of an image. The field names are explained in catalogue.yaml."""

    match: tuple[str, ...]
    kind: ProgramKind = "server"
    program: str = ""
    commands: frozenset[str] = frozenset()
    listen: tuple[ImagePort, ...] = ()
    declared_ports: bool = False
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    brings: str = ""
    documents: str = ""
    lists: bool = False
    says: str = ""
    binaries: frozenset[str] = frozenset()
    flags: bool = False
    subcommands: Mapping[str, ImageProgram] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


class Image(Struct, frozen=True):
    """An image reference taken apart: `docker.io/library/nginx:1.27` → nginx, 1.27."""

    reference: str
    repository: str
    tag: str


class Catalogue(Struct, frozen=True):
    """The whole file."""

    registries: Mapping[str, str]
    programs: tuple[ImageProgram, ...]
    sites: Mapping[str, Mapping[str, Any]]
    tools: Mapping[str, str]
    unknown: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shells: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    looked_up: dict[str, ImageProgram] = field(default_factory=dict)

    def image(self, reference: str) -> Image:
        """Repository and tag (`latest` when none is given) as the catalogue names them."""
        name, _, _digest = reference.partition("@")
        head, colon, tag = name.rpartition(":")
        if not colon or "/" in tag:  # that colon was a registry's port
            head, tag = name, "latest"
        for prefix, short in self.registries.items():
            if head.startswith(prefix):
                head = short + head.removeprefix(prefix)
                break
        return Image(reference, head, tag)

    def lookup(self, reference: str) -> ImageProgram:
        """The program for an image: the first entry that matches; there is always one."""
        found = self.looked_up.get(reference)  # a thousand pods have the same few images
        if found is None:
            if len(self.looked_up) >= _REMEMBERED:
                self.looked_up.clear()
            found = self.looked_up[reference] = self._first_match(reference)
        return found

    def _first_match(self, reference: str) -> ImageProgram:
        image = self.image(reference)
        for program in self.programs:
            if any(_matches(pattern, image) for pattern in program.match):
                return program
        raise CatalogueError("the last program must match everything")

    def lacking(self, reference: str) -> str | None:
        """What of an image no registry has (`tag`, `repository`, `host`); None if it has all."""
        return self._named_in(self.unknown, reference)

    def shell(self, reference: str) -> str | None:
        """What an image's `/bin/sh` is, where that is not Debian's: `ash` or `bash`."""
        return self._named_in(self.shells, reference)

    def _named_in(self, lists: Mapping[str, tuple[str, ...]], reference: str) -> str | None:
        image = self.image(reference)
        for what, patterns in lists.items():
            if any(_matches(pattern, image) for pattern in patterns):
                return what
        return None

    def package_of(self, command: str) -> str | None:
        """The Debian package that has a command, for hints; None when the catalogue knows none."""
        return self.tools.get(command)


def _matches(pattern: str, image: Image) -> bool:
    return _fits(pattern, f"{image.repository}:{image.tag}" if ":" in pattern else image.repository)


def _fits(pattern: str, text: str) -> bool:
    """Whether `text` is the pattern, in which each `*` stands for anything."""
    first, *rest = pattern.split("*")
    if not rest or not text.startswith(first):
        return text == pattern
    *between, last = rest
    left = text.removeprefix(first)
    for part in filter(None, between):
        _, found, left = left.partition(part)
        if not found:
            return False
    return left.endswith(last)


def lookup(reference: str) -> ImageProgram:
    """The program that stands in for an image reference."""
    return catalogue().lookup(reference)


@functools.cache
def catalogue() -> Catalogue:
    """The catalogue that comes with netlab, read once."""
    return read(json.loads(Path(__file__).with_name("catalogue.json").read_bytes()))


def read(data: Mapping[str, Any]) -> Catalogue:
    """A catalogue file's content; `CatalogueError` names the first thing wrong with it."""
    sites = {name: site or {} for name, site in data["sites"].items()}
    programs = tuple(_program(entry, sites) for entry in data["programs"])
    unknown, shells = (
        {what: tuple(patterns) for what, patterns in data.get(part, {}).items()}
        for part in ("unknown", "shells")
    )
    return Catalogue(data["registries"], programs, sites, data["tools"], unknown, shells)


@functools.cache
def env_named_in(site: str) -> frozenset[str]:
    """The environment variables that a site's texts name."""
    return frozenset(_ENV_NAMED.findall(json.dumps(catalogue().sites[site])))


_ENV_NAMED = re.compile(r"\{\{\s*env\.([^{}|]+)")
_FIELDS = frozenset(
    (
        "match", "kind", "program", "commands", "listen", "ports", "command", "entrypoint",
        "binaries", "brings", "documents", "lists", "says", "flags", "subcommands", "variables",
    )
)  # fmt: skip
_PORT_FIELDS = frozenset(("port", "serve", "site", "flag", "env"))


def _program(entry: Mapping[str, Any], sites: Mapping[str, Any]) -> ImageProgram:
    name = ", ".join(entry.get("match", ("a subcommand",)))
    _no_unknown(name, entry, _FIELDS)
    kind = entry.get("kind", "server")
    if kind not in _KINDS:
        raise CatalogueError(f"{name}: unknown kind {kind}")
    if bool(entry.get("program")) != (kind in ("program", "task")):
        raise CatalogueError(f"{name}: program names what a program or a task is, and nothing else")
    return ImageProgram(
        match=tuple(entry.get("match", ())),
        kind=kind,
        program=entry.get("program", ""),
        commands=frozenset(entry.get("commands", ())),
        listen=tuple(_port(name, port, sites) for port in entry.get("listen", ())),
        declared_ports=entry.get("ports") == "declared",
        command=tuple(entry.get("command", ())),
        entrypoint=tuple(entry.get("entrypoint", ())),
        brings=entry.get("brings", ""),
        documents=entry.get("documents", ""),
        lists=bool(entry.get("lists")),
        says=entry.get("says", ""),
        binaries=frozenset(entry.get("binaries", ())),
        flags=bool(entry.get("flags")),
        subcommands={
            word: _program(sub, sites) for word, sub in entry.get("subcommands", {}).items()
        },
        variables={key: str(value) for key, value in entry.get("variables", {}).items()},
    )


def _port(name: str, entry: Mapping[str, Any], sites: Mapping[str, Any]) -> ImagePort:
    _no_unknown(name, entry, _PORT_FIELDS)
    if entry["serve"] not in _SPOKEN:
        raise CatalogueError(f"{name}: serve is one of {', '.join(_SPOKEN)}")
    if entry["site"] not in sites:
        raise CatalogueError(f"{name}: there is no site {entry['site']}")
    return ImagePort(
        int(entry["port"]),
        entry["serve"],
        entry["site"],
        flag=entry.get("flag", ""),
        env=entry.get("env", ""),
    )


def _no_unknown(name: str, entry: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise CatalogueError(f"{name}: unknown field {', '.join(unknown)}")
