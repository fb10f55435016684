"""What `--from-save`, `--objects`, `--node` and `--local` name: a real node's rules, and the
objects of its cluster."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netlab.cli import options
from netlab.errors import InputError, Problem, UsageError
from netlab.objects.addresses import canonical, is_address

if TYPE_CHECKING:
    from netlab.objects.dump import Dump
    from netlab.pathcheck.world import World
    from netlab.saves.save import Save, SavedRules
    from netlab.trace.onsave import Node


class Given(Struct):
    """A node's save, its name, its own addresses, those that are not (`networks` have none of
    its own), and the world that objects tell of."""

    save: Save
    name: str
    world: World
    local: frozenset[str]
    foreign: frozenset[str]
    networks: tuple[str, ...] = ()
    dump: Dump | None = None

    def find(self, kind: str, key: str, field: str) -> str:
        """Where the objects have a field, `objects.yaml:31`; "" where they do not."""
        file, line = self.dump.place(kind, key, field) if self.dump is not None else ("", 0)
        return f"{file}:{line}" if line else ""

    def rules_for(self, address: str) -> SavedRules:
        """Those that packets to that address meet. `UsageError` if none of its family are here."""
        found = self.save.of(address)
        if found is not None:
            return found
        version = "IPv6" if ":" in address else "IPv4"
        program = "ip6tables-save" if ":" in address else "iptables-save"
        files = ", ".join(self.save.files)
        hint = f"--from-save the output of {program} on that node as well"
        raise UsageError(f"{files} has no rules of {version}", hint=hint)

    def node(self, comes_in_by: str = "", leaves_by: str = "") -> Node:
        """As traces take it."""
        from netlab.trace.onsave import Node

        return Node(self.name, self.local, self.foreign, comes_in_by, leaves_by, self.networks)


_SAVED = "which of the objects' nodes a save is of"


def add_arguments(parser: argparse.ArgumentParser, node: str = _SAVED) -> None:
    """The options; `node` is what --node is for."""
    parser.add_argument(
        "--from-save", action="append", default=[], metavar="FILE",
        help="a real node's rules: iptables-save, ip6tables-save, nft list ruleset, and ipset save "
        "beside them; - reads one",
    )  # fmt: skip
    parser.add_argument(
        "--objects", action="append", default=[], metavar="FILE",
        help="with --from-save: kubectl get nodes,svc,endpointslices,pods -A -o yaml",
    )  # fmt: skip
    parser.add_argument("--node", metavar="NODE", help=node)
    parser.add_argument(
        "--local", action="append", default=[], metavar="ADDRESS",
        help="with --from-save: an address of that node's own",
    )  # fmt: skip


def need_save(arguments: argparse.Namespace, *more: str) -> None:
    """`UsageError` for what is of use with a save alone, `more` of it by this verb."""
    for option in ("objects", "local", "packet", "comes_in_by", "leaves_by", *more):
        if getattr(arguments, option, None):
            name = {"comes_in_by": "in", "leaves_by": "out"}.get(option, option)
            raise UsageError(f"--{name} goes with --from-save", hint="--from-save node.save")


def read(arguments: argparse.Namespace) -> Given:
    """All of it; `InputError` for what cannot be read."""
    from netlab.cli.packets.proxy_input import read_text
    from netlab.pathcheck.world import World
    from netlab.saves.inferred import addresses
    from netlab.saves.read import read as read_save
    from netlab.trace.cluster import foreign, world_of_cluster

    files = arguments.from_save
    if [*files, *arguments.objects].count("-") > 1:
        raise UsageError("standard input can be only one of the files", hint="name the others")
    save = read_save((file, read_text(file)) for file in files)
    dump = _objects(save, arguments)
    world = world_of_cluster(dump) if dump is not None else World({})
    said = [addresses(rules) for rules in save.families.values()]
    own = frozenset().union(*(one.own for one in said), map(_address, arguments.local))
    name = _name(world, own, arguments)
    if name in world.places:
        own |= frozenset(world.places[name].addresses)
    others = foreign(world, name).union(*(one.foreign for one in said)) - own
    networks = tuple(each for one in said for each in one.networks)
    for remark in save.remarks:
        options.note(str(remark))
    return Given(save, name, world, own, others, networks, dump)


def _objects(save: Save, arguments: argparse.Namespace) -> Dump | None:
    from netlab.cli.packets.proxy_input import read_text
    from netlab.objects.dump import read_dump
    from netlab.saves.read import is_save
    from netlab.trace.cluster import HINT, WANTED, check

    if not arguments.objects:
        return None
    texts = [(file, read_text(file)) for file in arguments.objects]
    for file, text in texts:
        if is_save(text):
            raise InputError([Problem(file, 1, "", "holds rules, and no objects", HINT)])
    dump = read_dump(texts, WANTED)
    for problem in dump.left_out:
        options.note(f"{problem}: left out")
    for note in check(dump, save):
        options.note(note)
    return dump


def _name(world: World, own: frozenset[str], arguments: argparse.Namespace) -> str:
    """As it was said, as the file is called, the only one, or whose addresses these are."""
    nodes = {place.name: place for place in world.places.values() if place.role == "node"}
    asked = arguments.node or ""
    if asked and nodes and asked not in nodes:
        hint = f"there are: {', '.join(sorted(nodes))}"
        raise UsageError(f"there is no node {asked}", hint=hint)
    stem = Path(arguments.from_save[0]).name.partition(".")[0] or "node"
    if asked or stem in nodes:
        return asked or stem
    alike = [name for name, place in nodes.items() if own & set(place.addresses)]
    if len(nodes) == 1 or len(alike) == 1:
        return next(iter(alike or nodes))
    if nodes:
        options.note(
            f"which of the {len(nodes)} nodes this is was not said (--node NAME), nor what"
            " addresses it has"
        )
    return "node" if stem == "-" else stem


def _address(text: str) -> str:
    if not is_address(text):
        raise UsageError(f"--local {text} is no address", hint="--local 192.168.1.5")
    return canonical(text)
