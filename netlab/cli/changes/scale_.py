"""Examples:

netlab scale deploy/web --replicas 5
netlab scale deployment web --replicas=5
"""

from __future__ import annotations

import argparse

from netlab.cli import options
from netlab.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to scale, to how many."""
    parser.add_argument("targets", nargs="+", metavar="KIND/NAME", help="deploy/web, rs/web-abc …")
    options.add_namespace(parser)
    parser.add_argument("--replicas", type=int, required=True, metavar="N", help="how many pods")
    parser.add_argument(
        "--current-replicas", type=int, metavar="N", help="only if there are this many now"
    )


def run(arguments: argparse.Namespace) -> int:
    """Set the number of replicas through the scale subresource."""
    if arguments.replicas < 0:
        raise UsageError("the number of replicas cannot be negative", hint="--replicas 0 stops all")
    with options.client(arguments) as client:
        for kind, name in options.parse_targets(arguments.targets):
            if not name or "scale" not in kind.subresources:
                raise UsageError(
                    f"{kind.plural} cannot be scaled" if name else f"which {kind.singular}?",
                    hint="netlab scale deploy/NAME --replicas N",
                )
            _check_current(client.get(kind.kind, arguments.namespace, name), arguments)
            client.patch(
                kind.kind,
                arguments.namespace,
                name,
                {"spec": {"replicas": arguments.replicas}},
                subresource="scale",
            )
            print(f"{kind.singular}.{kind.group}".rstrip(".") + f"/{name} scaled")
    return 0


def _check_current(obj: dict[str, object], arguments: argparse.Namespace) -> None:
    spec = obj.get("spec")
    have = spec.get("replicas") if isinstance(spec, dict) else None
    if arguments.current_replicas is not None and have != arguments.current_replicas:
        raise UsageError(
            f"there are {have} replicas, not {arguments.current_replicas}: nothing was changed"
        )
