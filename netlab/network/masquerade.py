"""The one rule per node that is not kube-proxy's: pods leaving the cluster take the node's address.

It is written the way the lab's proxy writes its own rules, so that a node never holds two
variants of iptables.
"""

from __future__ import annotations

import json
from pathlib import Path

from netlab.kernel import paths
from netlab.kernel.run import Completed, run
from netlab.network.operations import NFT_TABLE, AddMasquerade


def ensure(operation: AddMasquerade, lab_dir: Path) -> None:
    """Add the rule; in nftables mode, replace our table, which holds nothing else."""
    if operation.rules == "nftables":
        _run(operation, lab_dir, ["nft", "-f", "-"], "\n".join(_nft_lines(operation)))
    else:
        _run(operation, lab_dir, operation.iptables("-A"))


def withdraw(operation: AddMasquerade, lab_dir: Path) -> None:
    """Take the rule away, or our table; what is gone already is no matter."""
    if operation.rules == "nftables":
        table = f"table {operation.family} {NFT_TABLE}"
        _run(operation, lab_dir, ["nft", "-f", "-"], f"add {table}\ndelete {table}\n")
    else:
        _run(operation, lab_dir, operation.iptables("-D"), check=False)


def present(operation: AddMasquerade, lab_dir: Path) -> bool:
    """True when the rule stands."""
    if operation.rules == "nftables":
        table = ["nft", "-j", "list", "chain", operation.family, NFT_TABLE, "postrouting"]
        answer = _run(operation, lab_dir, table, check=False)
        return answer.returncode == 0 and _has_rule(answer.stdout, operation)
    return _run(operation, lab_dir, operation.iptables("-C"), check=False).returncode == 0


def _has_rule(listing: str, operation: AddMasquerade) -> bool:
    rules = [entry["rule"] for entry in json.loads(listing)["nftables"] if "rule" in entry]
    rule = operation.masquerade
    address, _, length = rule.source.partition("/")
    wanted = {"prefix": {"addr": address, "len": int(length)}}
    rights = [
        [match["match"]["right"] for match in entry["expr"] if "match" in match] for entry in rules
    ]
    return [wanted, rule.link] in rights


def _nft_lines(operation: AddMasquerade) -> list[str]:
    return [command.removesuffix(" ;") for command in operation.nft_commands()]


def _run(
    operation: AddMasquerade,
    lab_dir: Path,
    argv: list[str],
    text: str | None = None,
    check: bool = True,
) -> Completed:
    where = paths.namespace(lab_dir, operation.namespace)
    return run(argv, netns=where, input=text, check=check)
