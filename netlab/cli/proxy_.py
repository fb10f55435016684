"""Examples:

    kubectl get node,svc,endpointslices -A -o yaml |
      netlab proxy render -f - --config proxy.yaml --node worker-1      what kube-proxy programs
    netlab proxy diff -f objects.yaml --config proxy.yaml --save iptables-save.txt
    sudo netlab proxy sync -f objects.yaml --config proxy.yaml --netns NAME

render and diff need neither root nor a lab. `diff` exits with 1 when there is a difference.
The settings file has kube-proxy's own names: mode, nodeName, nodeIPs, clusterCIDR, masqueradeAll …
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netlab.cli import options
from netlab.errors import InputError, NetlabError, Problem, UsageError

if TYPE_CHECKING:
    from netlab.objects.dump import Dump
    from netlab.objects.meta import Object
    from netlab.proxy.config import ProxyConfig
    from netlab.proxy.model import Family, Ruleset
    from netlab.proxy.services import Complaint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to do, from which objects, for which node."""
    parser.add_argument("action", choices=["render", "diff", "sync"], help="what to do")
    options.add_files(parser, required=True)
    parser.add_argument("--config", metavar="FILE", help="kube-proxy's settings, as YAML")
    parser.add_argument("--node", default="", metavar="NAME", help="whose rules (settings' own)")
    parser.add_argument(
        "--family",
        choices=["ipv4", "ipv6"],
        help="(ipv4; sync, nftables: both)",
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


def run(arguments: argparse.Namespace) -> int:
    """Render, compare, or program."""
    dump = _read_objects(arguments.filename)
    config = _config(arguments)
    actions = {"render": _render, "diff": _diff, "sync": _sync}
    return actions[arguments.action](dump, config, arguments)


def _render(dump: Dump, config: ProxyConfig, arguments: argparse.Namespace) -> int:
    if config.mode == "nftables":
        families: list[Family] = [arguments.family] if arguments.family else ["ipv4", "ipv6"]
        for family in families:
            sys.stdout.write(_nftables_text(dump, config, family))
        return 0
    from netlab.proxy.render import render

    sys.stdout.write(render(_compiled(dump, config, arguments.family or "ipv4")))
    return 0


def _nftables_text(dump: Dump, config: ProxyConfig, family: Family) -> str:
    from netlab.proxy.nft_compile import nft_assemble, nft_compile_all
    from netlab.proxy.nft_render import render_table
    from netlab.proxy.view import view

    seen = view(_node(dump, config), config, family)
    compiled = nft_compile_all(dump.of("Service"), dump.of("EndpointSlice"), seen)
    _complain(dump, [complaint for rules in compiled for complaint in rules.complaints])
    return render_table(nft_assemble(compiled, seen))


def _diff(dump: Dump, config: ProxyConfig, arguments: argparse.Namespace) -> int:
    from netlab.proxy.diff import diff
    from netlab.proxy.parse import parse

    if config.mode == "nftables":
        raise UsageError("diff compares iptables rules alone", hint="mode: iptables")
    if not arguments.save:
        raise UsageError("diff needs the node's rules", hint="--save FILE, of iptables-save there")
    found = parse(_text(arguments.save), file=arguments.save)
    differences = diff(_compiled(dump, config, arguments.family or "ipv4"), found)
    if arguments.output == "json":
        print(json.dumps([vars(difference) for difference in differences], indent=2))
    else:
        for difference in differences:
            print(difference)
        print("no difference" if not differences else f"{len(differences)} differences")
    return int(bool(differences))


def _sync(dump: Dump, config: ProxyConfig, arguments: argparse.Namespace) -> int:
    from netlab.agents.proxies import applier
    from netlab.kernel import paths
    from netlab.objects import meta
    from netlab.proxy.syncer import Proxier

    if not arguments.netns:
        raise UsageError("which namespace?", hint="--netns NAME, one that `ip netns list` shows")
    netns = paths.netns_link(arguments.netns)
    if not netns.exists():
        raise NetlabError(f"there is no namespace {arguments.netns}", hint="ip netns list")
    families: list[Family] = [arguments.family] if arguments.family else ["ipv4", "ipv6"]
    proxier = Proxier(
        config,
        [applier(config.mode, arguments.backend, family, netns) for family in families],
        netns=netns,
        node=_node(dump, config),
    )
    for service in dump.of("Service"):
        proxier.set_service(meta.key(service), service)
    for endpoint_slice in dump.of("EndpointSlice"):
        proxier.set_slice(meta.key(endpoint_slice), endpoint_slice)
    report = proxier.sync()
    _complain(dump, report.complaints)
    print(f"{arguments.netns}: {len(dump.of('Service'))} services in {report.seconds:.2f} s")
    return 0


# -- input ---------------------------------------------------------------------------------


def _compiled(dump: Dump, config: ProxyConfig, family: Family) -> Ruleset:
    from netlab.proxy.compile import assemble, compile_all
    from netlab.proxy.view import view

    seen = view(_node(dump, config), config, family)
    compiled = compile_all(dump.of("Service"), dump.of("EndpointSlice"), seen)
    _complain(dump, [complaint for rules in compiled for complaint in rules.complaints])
    return assemble(compiled, seen)


def _complain(dump: Dump, complaints: Sequence[Complaint]) -> None:
    """What could not be used is skipped, as kube-proxy does, and named."""
    for one in complaints:
        problem = dump.problem(one.kind, one.key, one.field, one.message)
        options.note(f"{problem}: left out")


def _node(dump: Dump, config: ProxyConfig) -> Object | None:
    from netlab.objects import meta

    return next((node for node in dump.of("Node") if meta.name(node) == config.node_name), None)


def _config(arguments: argparse.Namespace) -> ProxyConfig:
    from dataclasses import replace

    from netlab.proxy.config import from_mapping

    mapping: Any = _yaml(arguments.config) if arguments.config else {}
    config = from_mapping(mapping, file=arguments.config or "")
    return replace(config, node_name=arguments.node) if arguments.node else config


def _yaml(file: str) -> Any:
    import yaml

    try:
        return yaml.load(_text(file), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InputError([Problem(file, line, "", str(error.problem))]) from None


def _read_objects(files: Sequence[str]) -> Dump:
    from netlab.objects.dump import read_dump

    return read_dump((file, _text(file)) for file in files)


def _text(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text()
    except (OSError, UnicodeDecodeError) as error:
        words = error.strerror if isinstance(error, OSError) else "is not text"
        raise InputError([Problem(file, 0, "", str(words))]) from None
