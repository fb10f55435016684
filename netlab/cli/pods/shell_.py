"""Examples:

    sudo netlab shell master001
    sudo netlab shell worker001 -- curl -s 10.10.11.10:30642
    sudo netlab shell client -- ping -c1 172.16.110.10
    netlab shell web-0

A node's shell is your own, on the node's network and under its name, with kubectl and curl as they
are on a cluster's node. A pod's is that of exec. Exits with the command's own exit code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from netlab.cli import options
from netlab.errors import NetlabError, NotExecuted, SwitchedOff
from netlab.objects.lab import Lab

_POD_SHELL = ("sh", "-c", "command -v bash >/dev/null && exec bash || exec sh")
_RC = """\
[ -f /etc/bash.bashrc ] && . /etc/bash.bashrc
[ -f ~/.bashrc ] && . ~/.bashrc
PS1='\\u@\\h:\\w\\$ '
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where to; a command may come after `--`."""
    parser.add_argument("place", metavar="NODE|CLIENT|POD", help="a node, a client or a pod")
    options.add_command(parser, "what to run there, in place of a shell")
    options.add_namespace(parser)
    options.add_container(parser, "which container of a pod, if it has several")


def run(arguments: argparse.Namespace) -> int:
    """Give a shell, or run the command."""
    from netlab import inventory

    options.require_dashes(arguments, f"shell {arguments.place}")
    directory = inventory.running(arguments.lab)
    lab = inventory.read_machines(directory)
    if arguments.place in addresses_of_machines(lab):
        _become(lab, directory, arguments.place, arguments.command_words or [])
    return _in_pod(lab, arguments)


def addresses_of_machines(lab: Lab) -> dict[str, tuple[str, ...]]:
    """The addresses of each node and client, the outer ones first."""
    nodes = {node.name: node.external_ips + node.internal_ips for node in lab.nodes}
    return nodes | {client.name: client.ips for client in lab.external.clients}


# -- in a pod ------------------------------------------------------------------------------


def _in_pod(lab: Lab, arguments: argparse.Namespace) -> int:
    from netlab.client.stream import Join, exec_
    from netlab.errors import NotFound

    arguments.pod = arguments.place
    pod = options.pod_of(arguments)
    terminal = sys.stdin.isatty() and sys.stdout.isatty()
    join = Join(arguments.namespace, pod, arguments.container, stdin=True, tty=terminal)
    argv = arguments.command_words or _POD_SHELL
    try:
        with options.looked_into(arguments.namespace, pod):
            return exec_(options.endpoint(arguments), join, argv)
    except NotFound as error:
        machines = ", ".join(addresses_of_machines(lab))
        raise NetlabError(
            f'there is no node, client or pod "{arguments.place}"',
            hint=f"nodes and clients: {machines}; pods: netlab get pods -A",
        ) from error


# -- on a node -----------------------------------------------------------------------------


def _become(lab: Lab, directory: Path, place: str, argv: Sequence[str]) -> None:
    """Become the shell, or the command; returns only by raising."""
    from netlab import lab as labs
    from netlab.kernel import paths, visit
    from netlab.network import plan

    labs.need_root(f"shell {place}")
    namespace = paths.namespace(directory, plan.node_name(lab, place))
    if not namespace.exists():
        raise SwitchedOff(place)
    environment = _environment(directory, place)
    files = _files(lab, directory, place)
    program = _program(argv[0] if argv else _shell(), environment["PATH"])
    visit.enter(namespace, place, files)
    words = [program, *argv[1:]] if argv else [program, *_settings(program)]
    if not argv:
        os.chdir(environment["HOME"])
    sys.stdout.flush()
    try:
        os.execve(program, words, environment)
    except OSError as error:
        raise NotExecuted(program, str(error.strerror), 126) from None


def _program(word: str, path: str) -> str:
    """Where a program is, looked for as a shell does."""
    if found := shutil.which(word, path=path):
        return found
    places = [Path(word)] if os.sep in word else [Path(each, word) for each in path.split(":")]
    if any(place.exists() for place in places):
        raise NotExecuted(word, "is not executable", 126)
    raise NotExecuted(word, "there is no such program on this machine", 127)


def _environment(directory: Path, place: str) -> dict[str, str]:
    import pwd

    from netlab.kernel import paths
    from netlab.kernel.run import search_path

    home = pwd.getpwuid(os.geteuid()).pw_dir
    found = {**os.environ, "PATH": search_path(), "HOME": home, "HOSTNAME": place}
    found.pop("KUBECONFIG", None)
    if paths.admin_kubeconfig(directory).exists():
        found["KUBECONFIG"] = str(paths.admin_kubeconfig(directory))
    return found


def _shell() -> str:
    return "bash" if shutil.which("bash") else "sh"


def _settings(program: str) -> list[str]:
    """How bash is told its prompt, after all that the machine and its user tell it."""
    if not program.endswith("bash"):
        return []
    descriptor = os.memfd_create("netlab-shell", 0)
    os.write(descriptor, _RC.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return ["--rcfile", f"/dev/fd/{descriptor}"]


def _files(lab: Lab, directory: Path, place: str) -> dict[Path, Path]:
    """The files that say how names are resolved there."""
    from netlab.kernel import files, paths

    own = paths.shells(directory) / place
    files.directory(own, files.PUBLIC)
    hosts = [f"127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.1.1\t{place}\n"]
    hosts += [
        f"{address}\t{name}\n"
        for name, addresses in addresses_of_machines(lab).items()
        for address in addresses[-1:]
    ]
    resolvers = "".join(f"nameserver {address}\n" for address in lab.external.gateway_ips)
    texts = {"hosts": "".join(hosts), "hostname": f"{place}\n", "resolv.conf": resolvers}
    for name, text in texts.items():
        files.write(own / name, text, mode=0o644)
    return {Path("/etc") / name: own / name for name in texts}
