"""The programs that labs are made with, each with how to get it.

By themselves, since `up` asks for them each time: what else may be lacking only `preflight` knows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from netlab.errors import EnvironmentLacks
from netlab.kernel.finding import Finding
from netlab.kernel.run import find, install_hint, run

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
    "apache2": "httpd with a configuration of its own",
    "dot": "pictures as SVG and PNG, by netlab graph",
}
# What is typed in pods, which have this machine's own tools.
TYPED_IN_PODS = ("curl", "dig", "nc", "ping")
STREAMS = "stream module of nginx"
_NGINX_MODULES = (Path("/usr/lib/nginx/modules"), Path("/usr/lib64/nginx/modules"))


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
    """The programs that some labs or commands want, or who is in a pod."""
    purposes = OPTIONAL_TOOLS | {program: f"{program} in pods" for program in TYPED_IN_PODS}
    found = [_tool(program, purpose) for program, purpose in purposes.items()]
    has_nginx = any(one.ok for one in found if one.name == "nginx")
    return [*found, streams(stream_module())] if has_nginx else found


def stream_module(directories: Sequence[Path] = _NGINX_MODULES) -> str | None:
    """The file that nginx loads to lead ports by TCP and UDP: "" for one that has it built in, None
    where it is not there."""
    found = (directory / "ngx_stream_module.so" for directory in directories)
    file = next((str(each) for each in found if each.exists()), None)
    return "" if file is None and "--with-stream" in _nginx().split() else file


def nginx_release() -> tuple[int, ...]:
    """Which nginx it is: (1, 22, 1)."""
    found = re.search(r"nginx/([0-9]+(?:\.[0-9]+)*)", _nginx())
    return tuple(map(int, found[1].split("."))) if found else ()


@cache
def _nginx() -> str:
    """What it says of itself."""
    return run(["nginx", "-V"]).stderr


def streams(module: str | None) -> Finding:
    """What is said of that module."""
    if module is not None:
        return Finding(STREAMS, True, module or "built in", required=False)
    detail = "not installed; wanted for ports of Ingress controllers that lead to Services"
    return Finding(STREAMS, False, detail, install_hint("nginx"), required=False)


def _tool(program: str, purpose: str = "") -> Finding:
    required = not purpose
    try:
        return Finding(program, True, find(program), required=required)
    except EnvironmentLacks:
        detail = f"not installed; wanted for {purpose}" if purpose else "not installed"
        return Finding(program, False, detail, install_hint(program), required)
