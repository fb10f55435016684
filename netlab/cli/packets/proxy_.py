"""Examples:

    kubectl get node,svc,endpointslices -A -o yaml |
      netlab proxy render -f - --config proxy.yaml --node worker-1      what kube-proxy programs
    netlab proxy diff -f objects.yaml --config proxy.yaml --save iptables-save.txt
    kubectl get node,svc,endpointslices -A -o json | netlab proxy diff -f - \\
      --node worker-1 --cluster-cidr 10.244.0.0/16 --save node.save     without a settings file
    sudo netlab proxy sync -f objects.yaml --config proxy.yaml --netns NAME

render and diff need neither root nor a lab. What cannot be used in the objects is named and left
out, as kube-proxy does. In nftables mode --save takes the output of nft list ruleset.
The settings file has kube-proxy's own names: mode, nodeName, nodeIPs, clusterCIDR, masqueradeAll …

-o json, of diff: [{kind, table, chain, service, wanted, found}]

Exit code: 0 done, or no difference; 1 a difference, or a failure; 2 unreadable input; 3 no root.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import asdict

from netlab.cli import options
from netlab.cli.progress import Progress
from netlab.errors import NetlabError, UsageError

if TYPE_CHECKING:
    from netlab.cli.packets.proxy_input import ProxyInput
    from netlab.proxy.addresses import Family
    from netlab.proxy.difference import Difference
    from netlab.proxy.iptables.model import Ruleset
    from netlab.proxy.nftables.model import NftTable


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
    with Progress() as progress:
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
        from netlab import lab

        if not arguments.netns:
            raise UsageError(
                "which namespace?", hint="--netns NAME, one that `ip netns list` shows"
            )
        lab.need_root("proxy sync")


def _render(given: ProxyInput, arguments: argparse.Namespace) -> _Done:
    if given.config.mode == "nftables":
        from netlab.proxy.nftables.render import render_table

        families = _families(arguments)
        return _Done("".join(render_table(_table(given, family)) for family in families))
    from netlab.proxy.iptables.render import render

    return _Done(render(_ruleset(given, arguments.family or "ipv4")))


def _diff(given: ProxyInput, arguments: argparse.Namespace) -> _Done:
    from netlab.cli.packets.proxy_input import read_text

    text = read_text(arguments.save)
    differences = (
        _nftables_differences(given, arguments, text)
        if given.config.mode == "nftables"
        else _iptables_differences(given, arguments, text)
    )
    if arguments.output == "json":
        listed = json.dumps([asdict(difference) for difference in differences], indent=2)
        return _Done(f"{listed}\n", int(bool(differences)))
    count = len(differences)
    total = f"{count} difference{'s' * (count > 1)}" if count else "no difference"
    return _Done("".join(f"{line}\n" for line in (*differences, total)), int(bool(differences)))


def _iptables_differences(
    given: ProxyInput, arguments: argparse.Namespace, text: str
) -> Sequence[Difference]:
    from netlab.proxy.iptables.diff import diff
    from netlab.proxy.iptables.parse import parse

    found = parse(text, file=arguments.save)
    if not any(
        chain.startswith("KUBE-") for table in found.tables.values() for chain in table.chains
    ):
        given.notes.append(
            f"{arguments.save} has no chain of kube-proxy's: is the node in nftables mode?"
        )
    # iptables-save says which one it was, in its first line.
    family: Family = arguments.family or ("ipv6" if "ip6tables-save" in text[:100] else "ipv4")
    return diff(_ruleset(given, family), found)


def _nftables_differences(
    given: ProxyInput, arguments: argparse.Namespace, text: str
) -> Sequence[Difference]:
    from netlab.proxy.nftables.diff import nft_diff, parse_listing

    return [
        difference
        for family in _families(arguments)
        for difference in nft_diff(
            _table(given, family), parse_listing(text, family, file=arguments.save)
        )
    ]


def _sync(given: ProxyInput, arguments: argparse.Namespace) -> _Done:
    from netlab.agents.proxies import applier
    from netlab.kernel import paths
    from netlab.objects import meta
    from netlab.proxy.syncer import Proxier

    netns = paths.netns_link(arguments.netns)
    if not netns.exists():
        raise NetlabError(f"there is no namespace {arguments.netns}", hint="ip netns list")
    config = given.config
    proxier = Proxier(
        config,
        [applier(config.mode, arguments.backend, one, netns) for one in _families(arguments)],
        netns=netns,
        node=given.node,
    )
    services = given.dump.of("Service")
    for service in services:
        proxier.set_service(meta.key(service), service)
    for endpoint_slice in given.dump.of("EndpointSlice"):
        proxier.set_slice(meta.key(endpoint_slice), endpoint_slice)
    report = proxier.sync()
    given.complain(report.complaints)
    return _Done(f"{arguments.netns}: {len(services)} services in {report.seconds:.2f} s\n")


def _families(arguments: argparse.Namespace) -> list[Family]:
    return [arguments.family] if arguments.family else ["ipv4", "ipv6"]


def _ruleset(given: ProxyInput, family: Family) -> Ruleset:
    from netlab.proxy.iptables.compile import assemble, compile_all
    from netlab.proxy.node_view import node_view

    seen = node_view(given.node, given.config, family)
    compiled = compile_all(given.dump.of("Service"), given.dump.of("EndpointSlice"), seen)
    given.complain([complaint for rules in compiled for complaint in rules.complaints])
    return assemble(compiled, seen)


def _table(given: ProxyInput, family: Family) -> NftTable:
    from netlab.proxy.nftables.compile import nft_assemble, nft_compile_all
    from netlab.proxy.node_view import node_view

    seen = node_view(given.node, given.config, family)
    compiled = nft_compile_all(given.dump.of("Service"), given.dump.of("EndpointSlice"), seen)
    given.complain([complaint for rules in compiled for complaint in rules.complaints])
    return nft_assemble(compiled, seen)
