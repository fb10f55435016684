"""Examples:

    kubectl get node,svc,endpointslices -A -o yaml |
      netlab proxy render -f - --config proxy.yaml --node worker-1      what kube-proxy programs
    netlab proxy diff -f objects.yaml --config proxy.yaml --save iptables-save.txt
    kubectl get node,svc,endpointslices -A -o json | netlab proxy diff -f - \\
      --node worker-1 --cluster-cidr 10.244.0.0/16 --save node.save     without a settings file
    sudo netlab proxy sync -f objects.yaml --config proxy.yaml --netns NAME

render and diff need neither root nor a lab. What cannot be used in the objects is named and left
out, as kube-proxy does. In nftables mode --save takes the output of nft list ruleset, with -j, too.
The settings file has kube-proxy's own names: mode, nodeName, nodeIPs, clusterCIDR, masqueradeAll …

-o json, of diff: [{kind, table, chain, service, wanted, found}]

Exit code: 0 done, or no difference; 1 a difference, or a failure; 2 unreadable input; 3 no root.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from msgspec.structs import asdict

from netlab.cli import options
from netlab.cli.progress import Progress
from netlab.errors import NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.proxy_input import ProxyInput
    from netlab.objects.types import EndpointSlice, Service
    from netlab.proxy.addresses import Family
    from netlab.proxy.modes import Mode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, from which objects, for which node."""
    parser.add_argument("action", choices=["render", "diff", "sync"], help="what to do")
    options.add_files(parser, required=True)
    parser.add_argument("--config", metavar="FILE", help="kube-proxy's settings, as YAML")
    parser.add_argument("--node", default="", metavar="NAME", help="whose rules (settings' own)")
    parser.add_argument(
        "--cluster-cidr", metavar="CIDR", help="the pods' addresses (settings' own)"
    )
    parser.add_argument("--mode", choices=["iptables", "nftables"], help="(settings' own)")
    parser.add_argument(
        "--family",
        choices=["ipv4", "ipv6"],
        help="(render: ipv4; diff: that of the save; sync, nftables: both)",
    )
    parser.add_argument("--save", metavar="FILE", help="diff: an iptables-save of that node, or -")
    parser.add_argument("--netns", metavar="NAME", help="sync: the network namespace")
    parser.add_argument(
        "--backend",
        choices=["auto", "nft", "legacy", "libiptc"],
        default="auto",
        help="sync: (auto)",
    )
    options.add_output(parser, "json")


class _Done(Struct):
    """What to print, and the exit code."""

    text: str
    code: int = 0


def run(arguments: argparse.Namespace) -> int:
    """Render, compare, or program."""
    from netlab.cli.packets.proxy_input import read_input

    _check(arguments)
    actions = {"render": _render, "diff": _diff, "sync": _sync}
    with Progress() as progress, _nothing_to_collect():
        progress("reading")
        given = read_input(arguments)
        progress(
            {"render": "compiling", "diff": "comparing", "sync": "programming"}[arguments.action]
        )
        done = actions[arguments.action](given, arguments)
    for note in given.notes:
        options.note(note)
    sys.stdout.write(done.text)
    return done.code


@contextlib.contextmanager
def _nothing_to_collect() -> Iterator[None]:
    """What is read is needed to the end: cycles are sought among it for nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _check(arguments: argparse.Namespace) -> None:
    """What is wrong with the command line, before anything is read."""
    if arguments.action != "diff" and (arguments.output or arguments.save):
        option = "-o" if arguments.output else "--save"
        raise UsageError(f"{option} is for diff", hint="netlab proxy diff …")
    if arguments.action == "diff" and not arguments.save:
        raise UsageError("diff needs the node's rules", hint="--save FILE, of iptables-save there")
    if [*arguments.filename, arguments.save, arguments.config].count("-") > 1:
        raise UsageError("standard input can be only one of the files", hint="name the others")
    if arguments.action == "sync":
        from netlab.kernel.caller import need_root

        if not arguments.netns:
            raise UsageError(
                "which namespace?", hint="--netns NAME, one that `ip netns list` shows"
            )
        need_root("proxy sync")


def _render(given: ProxyInput, arguments: argparse.Namespace) -> _Done:
    from netlab.proxy import modes

    mode = modes.of(given.config.mode)
    families = _families(arguments) or mode.families("")
    return _Done("".join(mode.render(_rules(mode, given, family)) for family in families))


def _diff(given: ProxyInput, arguments: argparse.Namespace) -> _Done:
    from netlab.cli.packets.proxy_input import read_text
    from netlab.proxy import modes
    from netlab.saves.of_proxy import of_proxy

    mode, text = modes.of(given.config.mode), read_text(arguments.save)
    differences = []
    for family in _families(arguments) or mode.families(text):
        found, remarks = of_proxy(text, given.config.mode, family, file=arguments.save)
        given.notes += map(str, remarks)
        _note_foreign(given, found, arguments.save)
        differences += mode.diff(_rules(mode, given, family), found)
    if arguments.output == "json":
        listed = json.dumps([asdict(difference) for difference in differences], indent=2)
        return _Done(f"{listed}\n", int(bool(differences)))
    count = len(differences)
    total = f"{count} difference{'s' * (count > 1)}" if count else "no difference"
    return _Done("".join(f"{line}\n" for line in (*differences, total)), int(bool(differences)))


def _note_foreign(given: ProxyInput, found: Any, file: str) -> None:
    """Say so when there is nothing of the mode in an iptables-save; a listing may well be empty."""
    if given.config.mode == "iptables" and not any(
        chain.startswith("KUBE-") for table in found.tables.values() for chain in table.chains
    ):
        given.notes.append(f"{file} has no chain of kube-proxy's: is the node in nftables mode?")


def _sync(given: ProxyInput, arguments: argparse.Namespace) -> _Done:
    from netlab.kernel import paths
    from netlab.objects import meta
    from netlab.proxy import modes
    from netlab.proxy.syncer import Proxier

    netns = paths.netns_link(arguments.netns)
    if not netns.exists():
        raise NetlabError(f"there is no namespace {arguments.netns}", hint="ip netns list")
    mode, families = modes.of(given.config.mode), _families(arguments) or ["ipv4", "ipv6"]
    appliers = [mode.applier(arguments.backend, family, netns) for family in families]
    proxier = Proxier(given.config, appliers, netns=netns, node=given.node)
    services: list[Service] = given.dump.of("Service")
    for service in services:
        proxier.set_service(meta.key(service), service)
    slices: list[EndpointSlice] = given.dump.of("EndpointSlice")
    for endpoint_slice in slices:
        proxier.set_slice(meta.key(endpoint_slice), endpoint_slice)
    report = proxier.sync()
    given.complain(report.complaints)
    return _Done(f"{arguments.netns}: {len(services)} services in {report.seconds:.2f} s\n")


def _families(arguments: argparse.Namespace) -> list[Family]:
    """The family asked for; none when it is the mode's to say."""
    return [arguments.family] if arguments.family else []


def _rules(mode: Mode, given: ProxyInput, family: Family) -> Any:
    """All rules of the node, in its mode's own terms."""
    from netlab.proxy.node_view import node_view

    seen = node_view(given.node, given.config, family)
    compiled = mode.compile_services(given.dump.of("Service"), given.dump.of("EndpointSlice"), seen)
    given.complain([complaint for rules in compiled for complaint in rules.complaints])
    return mode.assemble(compiled, seen)
