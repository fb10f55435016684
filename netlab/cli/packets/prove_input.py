"""What `netlab prove` asks: rules in files, those manifests come to, those of the running lab."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field

from netlab.cli import options
from netlab.cli.packets import paper_lab
from netlab.errors import UsageError

if TYPE_CHECKING:
    from netlab.objects.lab import Lab
    from netlab.objects.types import Pod, Service
    from netlab.onpaper import PaperLab
    from netlab.prove.ground import Grounds, Node
    from netlab.prove.intake import Save
    from netlab.prove.together import Cluster
    from netlab.proxy.addresses import Family


class Input(Struct):
    """All nodes, and what is known beside their rules; `named` are those that were asked for.
    `running` are the pods of a lab that runs."""

    nodes: list[Node]
    pods: tuple[str, ...] = ()
    services: tuple[Service, ...] | None = None
    named: tuple[Node, ...] = ()
    running: tuple[Pod, ...] = ()
    is_lab: bool = False
    _clusters: dict[Family, Cluster] = field(default_factory=dict)

    @property
    def asked(self) -> Sequence[Node]:
        """Those that the question is of."""
        return self.named or self.nodes

    def grounds(self, node: Node, family: Family) -> Grounds:
        """What a question to a node stands on: it and all others, where it is known how packets
        come from one to the next, else it alone."""
        from netlab.prove.ground import Grounds
        from netlab.prove.together import Cluster

        if any(one.legs is None for one in self.nodes):
            return Grounds(node, family)
        if family not in self._clusters:
            self._clusters[family] = Cluster(self.nodes, family)
        return self._clusters[family].members[node.name]


@contextlib.contextmanager
def proving() -> Iterator[None]:
    """What a proof makes stays until the process ends: the garbage collector would take a third of
    the time to look through it."""
    import gc

    from netlab.proxy.compile import no_collection

    with no_collection():
        try:
            yield
        finally:
            gc.freeze()


def add_rules(parser: argparse.ArgumentParser) -> None:
    """Whose rules, and what they do not say themselves."""
    parser.add_argument(
        "--save", metavar="FILE", action="append", default=[],
        help="a node's rules, of iptables-save or nft list ruleset; may be repeated",
    )  # fmt: skip
    options.add_files(parser)
    parser.add_argument("--node", metavar="NODE", help="on this node alone (all)")
    add_local(parser)


def add_local(parser: argparse.ArgumentParser) -> None:
    """What of a node no save says."""
    parser.add_argument(
        "--local", metavar="IP", action="append", default=[],
        help="with --save: an address of the node; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--pods", metavar="CIDR", action="append", default=[],
        help="the pods' network (as the rules give it away)",
    )  # fmt: skip


def read_input(arguments: argparse.Namespace) -> Input:
    """The rules that the command line means."""
    if arguments.save and arguments.filename:
        raise UsageError("--save or -f, not both", hint="rules of a node, or manifests of a lab")
    if arguments.save:
        return saved(arguments.save, arguments)
    return _on_paper(arguments) if arguments.filename else running(arguments)


def saved(files: Sequence[str], arguments: argparse.Namespace) -> Input:
    """One node's rules, from some files."""
    from netlab.cli.packets.proxy_input import read_text
    from netlab.prove.ground import Node, pod_networks
    from netlab.prove.intake import read as read_saves

    if [*files].count("-") > 1:
        raise UsageError("standard input can be only one of the files", hint="name the others")
    save = read_saves([(file, read_text(file)) for file in files])
    for remark in save.remarks:
        options.note(str(remark))
    node = Node("", (save,), tuple(_addresses(arguments.local)))
    known = [one for family in node.families() for one in pod_networks(node.saves, family)]
    return Input([node], tuple(_networks(arguments.pods) or known))


def _addresses(texts: Iterable[str]) -> list[str]:
    import ipaddress

    try:
        return [str(ipaddress.ip_address(text)) for text in texts]
    except ValueError as error:
        raise UsageError(f"--local: {error}", hint="such as --local 10.0.0.5") from None


def _networks(texts: Iterable[str]) -> list[str]:
    import ipaddress

    try:
        return [str(ipaddress.ip_network(text, strict=False)) for text in texts]
    except ValueError as error:
        raise UsageError(f"--pods: {error}", hint="such as --pods 10.244.0.0/16") from None


def _families(lab: Lab) -> list[Family]:
    return ["ipv4" if family == "IPv4" else "ipv6" for family in lab.ip_families]


def _on_paper(arguments: argparse.Namespace) -> Input:
    """All nodes of a manifest's lab."""
    return of_paper(paper_lab.settled(arguments.filename), arguments)


def in_both_modes(arguments: argparse.Namespace) -> tuple[Input, Input]:
    """The same in iptables mode and in nftables mode."""
    from msgspec.structs import replace

    paper = paper_lab.settled(arguments.filename)
    first = replace(paper, lab=replace(paper.lab, proxy_mode="iptables"))
    second = replace(paper, lab=replace(paper.lab, proxy_mode="nftables"))
    return of_paper(first, arguments), of_paper(second, arguments)


def of_paper(paper: PaperLab, arguments: argparse.Namespace) -> Input:
    """Its nodes with their rules."""
    from netlab import onpaper
    from netlab.cli.packets.prove_paths import Paths
    from netlab.prove.intake import of_rules
    from netlab.trace.routing import router_of

    world = paper_lab.world(paper)
    paths = Paths(world, router_of(world, paper.lab), paper.lab)
    nodes = []
    for name in (node.name for node in paper.lab.nodes):
        rules = {family: onpaper.ruleset(paper, name, family) for family in _families(paper.lab)}
        nodes.append(paths.node(name, of_rules(name, rules)))
    pods = tuple(_networks(arguments.pods) or paper.lab.pod_cidrs)
    named = _named(nodes, arguments.node)
    return Input(nodes, pods, paper.services, named, is_lab=True)


def _named(nodes: Sequence[Node], name: str | None) -> tuple[Node, ...]:
    """Those that are asked."""
    names = [node.name for node in nodes]
    if name is not None and name not in names:
        raise UsageError(f"there is no node {name}", hint=f"there are: {', '.join(names)}")
    return tuple(node for node in nodes if name in (None, node.name))


def running(arguments: argparse.Namespace) -> Input:
    """All nodes of the running lab."""
    from netlab import inventory, lab
    from netlab.cli.packets import lab_world
    from netlab.cli.packets.prove_paths import paths_in_force

    lab.need_root("prove")
    with inventory.in_use(arguments.lab) as directory:
        spec = inventory.read_lab(directory)
        world = lab_world.world(arguments, directory)
        paths = paths_in_force(world, spec, directory)
        nodes = [
            paths.node(name, _in_force(name, place.netns, spec))
            for name, place in world.places.items()
            if place.role == "node"
        ]
        pods = tuple(_networks(arguments.pods) or spec.pod_cidrs)
        named, services = _named(nodes, arguments.node), tuple(world.services.values())
        return Input(nodes, pods, services, named, tuple(world.pods.values()), is_lab=True)


def _in_force(name: str, netns: Path | int, lab: Lab) -> Save:
    """A node's rules as they are in its namespace."""
    from netlab.kernel.run import run
    from netlab.prove.intake import of_rules, read
    from netlab.proxy import modes

    if lab.proxy_mode == "nftables":
        text = run(["nft", "list", "ruleset"], netns=netns).stdout
        return read([(f"{name}, nft list ruleset", text)])
    mode = modes.of(lab.proxy_mode)
    return of_rules(
        name,
        {family: mode.applier(lab.iptables, family, netns).read() for family in _families(lab)},
    )
