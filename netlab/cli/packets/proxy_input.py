"""What `netlab proxy` works from: the objects, the settings, and the node they are for."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from stat import S_ISBLK, S_ISCHR
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from netlab import given
from netlab.errors import InputError, Problem, UsageError
from netlab.objects import meta
from netlab.objects.dump import Dump, read_dump, split_field
from netlab.objects.types import Node
from netlab.proxy.config import ProxyConfig, from_mapping
from netlab.proxy.services import Complaint

if TYPE_CHECKING:
    from netlab.objects.yamltext import Document


class ProxyInput(Struct):
    """All that is read, and what there is to say about it."""

    dump: Dump
    config: ProxyConfig
    node: Node | None
    notes: list[str] = field(default_factory=list)

    def complain(self, complaints: Sequence[Complaint]) -> None:
        """What could not be used is left out, as kube-proxy does, and named."""
        for one in complaints:
            problem = self.dump.problem(one.kind, one.key, one.field, one.message)
            if (note := f"{problem}: left out") not in self.notes:
                self.notes.append(note)


def read_input(arguments: argparse.Namespace) -> ProxyInput:
    """Everything the command line names; `InputError` for what cannot be read."""
    dump = read_dump((file, read_text(file)) for file in _files(arguments.filename))
    config = _config(arguments)
    node = _node(dump, config, arguments)
    config = replace(config, node_name=meta.name(node) if node else config.node_name)
    notes = [f"{problem}: left out" for problem in dump.left_out]
    if not arguments.config:
        notes.append(_assumed(config, node))
    return ProxyInput(dump, config, node, notes)


MOST = 256 << 20
"""So many characters a text may have: ten times what 10,000 Services' rules come to."""


def read_text(file: str) -> str:
    """The text of a file, `-` being standard input."""
    try:
        text = sys.stdin.read(MOST + 1) if file == "-" else _read_file(Path(file))
    except OSError as error:
        raise InputError(
            [Problem(file, 0, "", str(error.strerror), "name a file of text")]
        ) from None
    except UnicodeDecodeError as error:
        words, hint = _encoded(error.object, file)
        raise InputError([Problem(file, 0, "", words, hint)]) from None
    if len(text) > MOST:
        raise _too_long(file)
    return text.removeprefix("\ufeff")  # which an editor has put before it


def _encoded(data: bytes, file: str) -> tuple[str, str]:
    """What is not UTF-8, and how it becomes text."""
    if data.startswith(b"\x1f\x8b"):
        return "is compressed, by gzip", f"zcat {file}, and - as the file"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "is text in UTF-16", f"iconv -f UTF-16 {file}, and - as the file"
    return "is not text", "name a file of text"


def _read_file(path: Path) -> str:
    """A file's text, or what comes through a pipe, up to one character too many."""
    found = path.stat()
    if S_ISCHR(found.st_mode) or S_ISBLK(found.st_mode):
        hint = "name a file of text, or a pipe"
        raise InputError([Problem(str(path), 0, "", "is a device", hint)])
    if found.st_size > MOST:
        raise _too_long(str(path))
    with TextIOWrapper(given.opened(path)) as stream:
        return stream.read(MOST + 1)


def _too_long(file: str) -> InputError:
    words = f"is longer than {MOST >> 20} MB"
    return InputError([Problem(file, 0, "", words, "no node's rules or objects are so long")])


def _files(names: Sequence[str]) -> Iterator[str]:
    """The files, and those in directories."""
    for name in names:
        if Path(name).is_dir():
            suffixes = (".yaml", ".yml", ".json")
            yield from sorted(str(p) for p in Path(name).iterdir() if p.suffix in suffixes)
        else:
            yield name


def _config(arguments: argparse.Namespace) -> ProxyConfig:
    """The settings file, and the options that go before it."""
    config = _config_file(arguments.config) if arguments.config else ProxyConfig()
    if arguments.cluster_cidr:
        given = from_mapping({"clusterCIDR": arguments.cluster_cidr}, file="--cluster-cidr")
        config = replace(config, cluster_cidr=given.cluster_cidr)
    if arguments.mode:
        config = replace(config, mode=arguments.mode)
    return replace(config, node_name=arguments.node) if arguments.node else config


def _config_file(file: str) -> ProxyConfig:
    text = read_text(file)
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError, InputError):  # told below, by lines
            return from_mapping(json.loads(text, object_pairs_hook=_once), file=file)
    return _config_in_yaml(file, text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field stands there twice")
    return found


def _config_in_yaml(file: str, text: str) -> ProxyConfig:
    from netlab.objects.yamltext import read  # 10 ms, for nothing where all is JSON

    documents, troubles = read(text)
    if troubles or len(documents) > 1:
        problems = [Problem(file, t.line, "", t.message, t.hint) for t in troubles]
        raise InputError(problems or [Problem(file, 0, "", "holds more than one document")])
    document = documents[0] if documents else None
    try:
        return from_mapping(document.value if document else {}, file=file)
    except InputError as error:
        raise InputError([_placed(one, document) for one in error.problems]) from None


def _placed(problem: Problem, document: Document | None) -> Problem:
    path: Any = split_field(problem.field)
    return replace(problem, line=document.line(path)) if document else problem


def _node(dump: Dump, config: ProxyConfig, arguments: argparse.Namespace) -> Node | None:
    """The Node object: the one named, or the only one there is."""
    nodes: dict[str, Node] = {meta.name(node): node for node in dump.of("Node")}
    if config.node_name in nodes:
        return nodes[config.node_name]
    names = ", ".join(sorted(nodes))
    if arguments.node and nodes:
        raise UsageError(f"there is no node {arguments.node}", hint=f"there are: {names}")
    if arguments.config or not nodes or config.node_name:
        return None
    if len(nodes) > 1:
        raise UsageError("which node?", hint=f"--node NAME, one of: {names}")
    return next(iter(nodes.values()))


def _assumed(config: ProxyConfig, node: Node | None) -> str:
    """What stands in for the settings that nobody gave."""
    entries = meta.status(node).get("addresses") or () if node else ()
    ips = [entry.get("address", "") for entry in entries if entry.get("type") == "InternalIP"]
    cidrs = (
        "clusterCIDR " + ",".join(config.cluster_cidr)
        if config.cluster_cidr
        else "no clusterCIDR (--cluster-cidr), so nobody is known to be a pod"
    )
    name = f"node {config.node_name}" if config.node_name else "no node in particular"
    where = f"{name} with {', '.join(ips)}" if ips else name
    return (
        f"without --config: mode {config.mode}, {where}, {cidrs}, the rest as kube-proxy's default"
    )
