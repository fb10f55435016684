"""Examples:

    sudo netlab trace client-pod svc/web:80      which rules send its packet where, and why
    sudo netlab trace --from node/worker001 --to 10.96.0.10:53 --udp
    sudo netlab trace client-pod web --explain   each rule that did not match, too
    sudo netlab trace client-pod web --summary   a line for each place
    sudo netlab trace client-pod web --ct reply  the answer's way back, rule by rule
    sudo netlab trace client-pod web --ends      all ends that its rules leave open, and how likely
    sudo netlab trace client-pod web --why-not svc/other
    sudo netlab trace client-pod web --minimal   the verdict and what was rewritten, for tests

    sudo netlab trace client http://shop.example.org/cart     which Ingress, and what is behind it
    sudo netlab trace client-pod web:80 --http /              a real connection, and its answer
    sudo netlab trace client-pod web:80 --count 30            where they went, of what is foreseen

    sudo netlab trace client-pod web:80 --follow              each connection that it opens itself
    netlab trace --dry -f lab.yaml client-pod web:80          by the rules that a manifest comes to

    netlab trace --from-save node.save --packet 'tcp 10.0.0.5:40000 > 10.96.0.10:80'
    netlab trace --from-save node.save --objects objects.yaml pod/box svc/web:80

    sudo netlab trace client-pod web:80 --save web.json --pcap web.pcapng --svg web.svg
    netlab trace --show web.json --explain                    told again: no lab is needed, nor root

FROM is a pod, a node, a client, or an address of one; TO a Service (svc/NAME:PORT, or its name, as
DNS knows it), its load balancer (lb/NAME:PORT), a pod (pod/NAME:PORT, or any of those with labels,
pod/app=web:80), a node's port (node/NAME:PORT), an address, a URL.

--from-save goes by the rules of a real node, as iptables-save, ip6tables-save, nft list ruleset and
nft -j list ruleset print them (several, each with a --from-save, ipset save beside them);
--objects takes what kubectl get nodes,svc,endpointslices,pods -A -o yaml says of its cluster.
`netlab help real-nodes` tells more.

--save and -o json write what --show reads; --pcap writes each copy of the packet with the rules
that sent it there, for Wireshark; --svg draws its way, as `netlab graph trace` does (by Graphviz).

Exit code: 0 told, 1 not delivered where --expect delivered was said, 2 wrong usage or nothing could
be seen, 4 the kernel did otherwise than its rules say.

-o json: see `netlab help tracing`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from netlab.cli import options, terminal
from netlab.cli.packets import node_save, trace_files, trace_options, trace_save, trace_show

if TYPE_CHECKING:
    from netlab.cli.packets.trace_files import Write
    from netlab.cli.packets.trace_options import Asked
    from netlab.trace.lookup import LookUp
    from netlab.trace.story import Story


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """From where to where, by what, and how much to tell."""
    parser.add_argument("words", nargs="*", metavar="FROM TO", help="who sends, and to whom")
    parser.add_argument("--from", dest="sender", metavar="FROM", help="the same")
    parser.add_argument("--to", dest="target", metavar="TO", help="the same")
    options.add_namespace(parser)
    kinds = parser.add_mutually_exclusive_group()
    for name in ("tcp", "udp", "icmp", "sctp"):
        kinds.add_argument(
            f"--{name}", dest="protocol", action="store_const", const=name.upper(),
            help=f"by {name.upper()}" + (" (which it is by default)" if name == "tcp" else ""),
        )  # fmt: skip
    trace_options.add_arguments(parser)
    node_save.add_arguments(parser)
    trace_save.add_arguments(parser)
    trace_files.add_arguments(parser)
    parser.add_argument(
        "--expect", choices=("delivered",), help="exit with 1 if it is not delivered"
    )
    parser.add_argument(
        "--ct", choices=("new", "established", "reply"), default="new",
        help="which packet of the flow: the first, the next after an answer, or the answer",
    )  # fmt: skip
    parser.add_argument(
        "--why-not", dest="about", metavar="WHAT", default="",
        help="why it did not come by svc/NAME, pod/NAME or TABLE/CHAIN/NUMBER",
    )  # fmt: skip
    much = parser.add_mutually_exclusive_group()
    much.add_argument(
        "--explain",
        action="store_true",
        help="tell all that did not match, and what chains are for, too",
    )
    much.add_argument(
        "--detailed", action="store_true",
        help="tell rules' own texts, objects, neighbours, connections, too",
    )  # fmt: skip
    much.add_argument("--summary", action="store_true", help="a line for each place")
    much.add_argument("--minimal", action="store_true", help="the verdict and the rewrites alone")
    parser.add_argument(
        "--ends", action="store_true", help="list all ends that the rules leave open"
    )
    options.add_output(parser, "json")


def run(arguments: argparse.Namespace) -> int:
    """Send one packet, or read what became of one, and tell its story."""
    trace_files.check(arguments)
    if arguments.show:
        with trace_files.files(arguments) as write:
            return _shown(arguments, write)
    if arguments.from_save:
        with trace_files.files(arguments) as write:
            return trace_save.run(arguments, write)
    node_save.need_save(arguments, "node")
    wanted = trace_options.asked(arguments)
    with trace_files.files(arguments) as write:
        return _sent(wanted, arguments, write)


def _shown(arguments: argparse.Namespace, write: Write) -> int:
    """One that was saved, as it was told."""
    from netlab.cli.packets import trace_call, trace_count, trace_dry, traces

    saved = traces.read(arguments.show)
    write(saved.story, saved.document())
    if saved.call is not None:
        return trace_call.show(saved.call, arguments)
    if saved.counts is not None:
        return trace_count.show(saved.story, saved.counts, arguments)
    return (trace_dry.show if saved.story.dry else trace_show.show)(saved.story, arguments)


def _sent(wanted: Asked, arguments: argparse.Namespace, write: Write) -> int:
    from netlab import inventory, lab
    from netlab.cli.packets import trace_call, trace_count, trace_dry, trace_follow
    from netlab.trace.document import document
    from netlab.trace.lookup import Unresolved

    if arguments.dry:
        return trace_dry.run(wanted, arguments, write)
    lab.need_root("trace")
    with inventory.in_use(arguments.lab) as directory:
        try:
            if wanted.question is not None:
                return trace_call.run(wanted, wanted.question, arguments, directory, write)
            if arguments.follow:
                return trace_follow.run(wanted, arguments, directory)
            if (arguments.count or 1) > 1:
                return trace_count.run(wanted, arguments, directory, write)
            story = _traced(wanted, directory, arguments)
        except Unresolved as error:
            _print_names(error.lookup, arguments)
            raise
    write(story, document(story))
    return trace_show.show(story, arguments)


def _print_names(lookup: LookUp, arguments: argparse.Namespace) -> None:
    """What was asked for a name that has no address: then nothing is sent."""
    from netlab.trace.document import unresolved
    from netlab.view import trace_names
    from netlab.view.escape import escape_line

    if arguments.output == "json":
        print(json.dumps(unresolved(lookup), indent=2))
        return
    for line in trace_names.lines(lookup, explain=arguments.explain):
        print(terminal.fit(escape_line(line)))


def _traced(wanted: Asked, directory: Path, arguments: argparse.Namespace) -> Story:
    from netlab import inventory
    from netlab.cli.packets import lab_world
    from netlab.trace.flows import NoFlow
    from netlab.trace.session import traced

    world, lab = lab_world.world(arguments, directory), inventory.read_lab(directory)
    check = trace_options.check(wanted, world, arguments)
    try:
        story = traced(check, world, lab, trace_options.wish(arguments, directory))
    except NoFlow as error:
        if arguments.expect:
            error.exit_code = 1  # not delivered
        raise
    return lab_world.with_causes(story, world, lab, arguments, directory)
