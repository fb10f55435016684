"""Makes one more machine for a lab that runs; returns when its node is Ready.

Its addresses and its podCIDR are the next free ones, unless they are given. One that the lab's file
names, and that was removed, comes back as the file has it. `up` leaves the others alone.

Examples:

netlab node add worker003
netlab node add worker003 -l zone=b,disk=ssd
netlab node add edge --external-ip 172.16.110.50 --taints dedicated=edge:NoSchedule
"""

from __future__ import annotations

import argparse
from typing import Any

from netlab.cli import options, results, terminal
from netlab.cli.lab import node_power
from netlab.errors import AlreadyExists, UsageError
from netlab.objects import meta
from netlab.objects.meta import Object

_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the lab's file would say of it."""
    parser.add_argument("name", metavar="NAME", help="its name")
    parser.add_argument("-l", "--labels", default="", metavar="LABELS", help="zone=b,disk=ssd")
    parser.add_argument("--taints", default="", help="KEY=VALUE:EFFECT, several after commas")
    parser.add_argument("--role", choices=["worker", "control-plane"], help="which (worker)")
    parser.add_argument("--internal-ip", metavar="IP", help="on the node network")
    parser.add_argument("--external-ip", metavar="IP", help="on the external network")
    parser.add_argument("--pod-cidr", metavar="CIDR", help="where its pods have their addresses")
    options.add_output(parser, "yaml", "json", "name")


def run(arguments: argparse.Namespace) -> int:
    """Add it, and wait."""
    with options.client(arguments) as client:
        try:
            obj = client.request("POST", "/netlab/v1/nodes", _entry(arguments))
        except AlreadyExists as error:
            error.hint = f"if it is off: netlab node start {arguments.name}"
            raise
        obj = node_power.awaited(client, meta.name(obj), meta.is_ready)
    if arguments.output:
        results.show(obj, arguments.output)
    else:
        print(terminal.fit(f"{results.resource_name(obj)} added ({_places(obj)})"))
    return 0


def _places(obj: Object) -> str:
    """The addresses that it has, and those of its pods."""
    status, spec = meta.status(obj), meta.spec(obj)
    addresses = [one for one in status.get("addresses") or () if one["type"] != "Hostname"]
    return ", ".join(
        [
            *(f"{one['type']} {one['address']}" for one in addresses),
            *(f"podCIDR {cidr}" for cidr in spec.get("podCIDRs") or ()),
        ]
    )


def _entry(arguments: argparse.Namespace) -> dict[str, Any]:
    """The entry of `spec.nodes`."""
    labels = dict(map(results.pair, filter(None, arguments.labels.split(","))))
    taints = [_taint(text) for text in filter(None, arguments.taints.split(","))]
    written = {
        "role": arguments.role,
        "labels": labels,
        "taints": taints,
        "internalIP": arguments.internal_ip,
        "externalIP": arguments.external_ip,
        "podCIDR": arguments.pod_cidr,
    }
    return {"name": arguments.name, **{name: value for name, value in written.items() if value}}


def _taint(text: str) -> dict[str, str]:
    """`dedicated=edge:NoSchedule`, or without a value."""
    pair, colon, effect = text.rpartition(":")
    key, equals, value = pair.partition("=")
    if not colon or not key or effect not in _EFFECTS:
        raise UsageError(
            f"'{text}' is no taint", hint=f"KEY=VALUE:EFFECT, of {', '.join(_EFFECTS)}"
        )
    return {"key": key, "effect": effect, **({"value": value} if equals else {})}
