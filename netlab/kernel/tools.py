"""The programs that labs are made with, each with how to get it.

By themselves, since `up` asks for them each time: what else may be lacking only `preflight` knows.
"""

from __future__ import annotations

from collections.abc import Sequence

from netlab.errors import EnvironmentLacks
from netlab.kernel.finding import Finding
from netlab.kernel.run import find, install_hint

# Without these no lab stands up.
TOOLS = ("ip", "iptables", "iptables-restore", "iptables-save", "dnsmasq", "crun")
# Without these some labs, or some commands, do not work.
OPTIONAL_TOOLS = {
    "nft": "proxyMode: nftables",
    "conntrack": "forgetting UDP flows of endpoints that went away",
    "ip6tables-restore": "dual-stack labs",
    "iptables-nft-restore": "iptables: nft",
    "iptables-legacy-restore": "iptables: legacy and libiptc",
    "openssl": "kubectl, which talks TLS to the lab",
    "nginx": "Ingress controllers",
}


def require(*more: str) -> None:
    """Raise `EnvironmentLacks`, naming all that is missing, unless a lab can stand up here.

    `more` are the programs that this one wants beside those that all do.
    """
    wanted = [*required(), *map(_tool, more)]
    missing = [finding for finding in wanted if not finding.ok]
    if missing:
        names = ", ".join(finding.name for finding in missing)
        hint = _together([finding.fix for finding in missing])
        raise EnvironmentLacks(f"these programs are missing: {names}", hint=hint)


def _together(fixes: Sequence[str]) -> str:
    """One command for what one command does."""
    commands: dict[str, set[str]] = {}
    for fix in fixes:
        command, _, package = fix.rpartition(" ")
        commands.setdefault(command, set()).add(package)
    return "; ".join(f"{command} {' '.join(sorted(of))}" for command, of in commands.items())


def required() -> list[Finding]:
    """The programs without which no lab stands up."""
    return [_tool(program) for program in TOOLS]


def optional() -> list[Finding]:
    """The programs that some labs or commands want."""
    return [_tool(program, purpose) for program, purpose in OPTIONAL_TOOLS.items()]


def _tool(program: str, purpose: str = "") -> Finding:
    required = not purpose
    try:
        return Finding(program, True, find(program), required=required)
    except EnvironmentLacks:
        detail = f"not installed; wanted for {purpose}" if purpose else "not installed"
        return Finding(program, False, detail, install_hint(program), required)
