"""The programs that labs are made with, each with how to get it.

By themselves, since `up` asks for them each time: what else may be lacking only `preflight` knows.
"""

from __future__ import annotations

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
        packages = sorted({finding.fix.rpartition(" ")[2] for finding in missing})
        names = ", ".join(finding.name for finding in missing)
        hint = f"apt-get install {' '.join(packages)}"
        raise EnvironmentLacks(f"these programs are missing: {names}", hint=hint)


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
