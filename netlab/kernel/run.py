"""One way to run a program to its end: arguments in, text out, errors with a line to paste."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from netlab.errors import CommandFailed, EnvironmentLacks
from netlab.kernel import netns as namespaces
from netlab.kernel import paths
from netlab.kernel.search import which

# Debian and Ubuntu packages of the programs netlab runs.
PACKAGES: dict[str, str] = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "ss": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "dnsmasq": "dnsmasq-base",
    "crun": "crun",
    "modprobe": "kmod",
    "sysctl": "procps",
    "ps": "procps",
    "ping": "iputils-ping",
    "curl": "curl",
    "dig": "bind9-dnsutils",
    "nc": "netcat-openbsd",
    "ipset": "ipset",
    "openssl": "openssl",
    "apache2": "apache2-bin",
    "dot": "graphviz",
}

# Packages that would also start a server in the machine's own network.
_SERVING = ("nginx",)

# sudo and su may leave these out of PATH, and everything of use here lives in them.
_SYSTEM_DIRECTORIES = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class Completed(Struct, frozen=True):
    """What a program said, and its exit code."""

    stdout: str
    stderr: str
    returncode: int


def run(
    argv: Sequence[str],
    *,
    input: str | None = None,
    netns: int | Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    check: bool = True,
) -> Completed:
    """Run `argv` in a namespace (descriptor or path; None: where we are) and wait for it.

    `env` is added to this process's own environment; messages are in the C locale; iptables'
    lock is never the machine's. Raises
    `EnvironmentLacks` when the program is missing and, unless `check` is off, `CommandFailed`
    for a non-zero exit. A program still running after `timeout` seconds is killed: that always
    raises.
    """
    process = _start(argv, netns, {**environment(argv[0], netns), **(env or {})})
    with process:
        try:
            stdout, stderr = process.communicate(input, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise CommandFailed(argv, -9, f"still running after {timeout:g} s, killed") from None
        except BaseException:
            process.kill()
            raise
    if check and process.returncode != 0:
        raise CommandFailed(argv, process.returncode, stderr or stdout)
    return Completed(stdout, stderr, process.returncode)


def environment(program: str, netns: int | Path | None) -> dict[str, str]:
    """What a program is given that runs in a namespace."""
    environment = {**os.environ, "PATH": search_path(), "LC_ALL": "C"}
    if _is_iptables(program):
        environment["XTABLES_LOCKFILE"] = _xtables_lock(netns)
    return environment


def _xtables_lock(netns: int | Path | None) -> str:
    """A lock that leaves the machine's own alone and lets namespaces be written side by side."""
    if isinstance(netns, Path):
        lock = paths.xtables_lock(netns)
        if lock.parent.is_dir():
            return str(lock)
    return f"/proc/{os.getpid()}/environ"  # can be locked like any file, but by us alone


def _is_iptables(program: str) -> bool:
    return program.rpartition("/")[2].startswith(("iptables", "ip6tables"))


def _start(
    argv: Sequence[str], netns: int | Path | None, env: Mapping[str, str]
) -> subprocess.Popen[str]:
    program = find(argv[0])
    with namespaces.entered(netns):
        return subprocess.Popen(
            [program, *argv[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            text=True,
            errors="replace",
        )


def find(program: str) -> str:
    """The full path of a program, or `EnvironmentLacks` with the package that has it."""
    path = which(program, search_path())
    if path is None:
        raise EnvironmentLacks(f"the program {program} is missing", hint=install_hint(program))
    return path


def install_hint(program: str) -> str:
    """The command that installs a program on Debian and Ubuntu."""
    name = program.rpartition("/")[2]
    if name in _SERVING:
        return f"sudo scripts/setup --with {name}"
    package = "iptables" if _is_iptables(name) else PACKAGES.get(name, name)
    return f"apt-get install {package}"


def search_path() -> str:
    """PATH with the system directories, which an unprivileged login may lack."""
    parts = [part for part in os.environ.get("PATH", "/usr/bin:/bin").split(":") if part]
    return ":".join(parts + [part for part in _SYSTEM_DIRECTORIES if part not in parts])
