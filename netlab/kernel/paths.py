"""Where a lab keeps what it owns: every path, computed from the lab's directory.

Everybody may pass through that directory; of what is in it, api.sock, kubeconfig, lab.json and
sources.json are also the user's whose sudo brought the lab up, dns/ is anybody's to read, and all
else is root's alone.

    /run/netlab/.<lab>.lock       held while the lab is brought up or taken down
    /run/netlab/<lab>/            a tmpfs of its own: one unmount takes everything in it
        owner                     the lab's uid, which marks its processes
        lab.json store.journal    what the lab is
        api.sock responder.sock   where its processes listen
        runtime.sock cluster.sock internet.sock kubelet.sock
        api.port tls/ kubeconfig  for kubectl: TLS on 127.0.0.1
        controller.pid .log
        netns/<name>              the namespaces, bind-mounted
        addresses/<podCIDR>       when pods' addresses were given back
        locks/<name>              iptables' lock for that namespace
        leaving-<any>/            namespaces for the moment that they are taken away
        pods/<uid>/ disks/ dns/ processes/
    /run/netns/<name>             links into netns/, for `ip netns`

`NETLAB_RUN` and `NETLAB_NETNS_DIR` move the two base directories, so that tests have their own.
"""

from __future__ import annotations

import os
from pathlib import Path

RUN_VARIABLE = "NETLAB_RUN"
NETNS_DIR_VARIABLE = "NETLAB_NETNS_DIR"


def run_dir() -> Path:
    """The directory that holds all labs of this machine."""
    return _without_links(os.environ.get(RUN_VARIABLE) or "/run/netlab")


def netns_dir() -> Path:
    """Where `ip netns` looks for names."""
    return _without_links(os.environ.get(NETNS_DIR_VARIABLE) or "/run/netns")


def _without_links(directory: str) -> Path:
    """As the kernel names what is mounted there, whoever calls it by which name."""
    return Path(os.path.realpath(directory))


def lab_dir(lab: str) -> Path:
    """The directory of the lab of that name."""
    return run_dir() / lab


LAB_LOCKS = ".*.lock"
"""The locks of labs, among what the directory of all labs holds."""


def lab_lock(directory: Path) -> Path:
    """The lock that whoever brings the lab up or takes it down has, beside its directory."""
    return directory.with_name(f".{directory.name}.lock")


def lab_of_lock(path: Path) -> Path:
    """The directory of the lab that a lock is of, whether or not there is one."""
    return path.with_name(path.name.removeprefix(".").removesuffix(".lock"))


def owner(directory: Path) -> Path:
    """Holds the uid that marks the lab's processes."""
    return directory / "owner"


def namespaces(directory: Path) -> Path:
    """The directory of the lab's bind-mounted network namespaces."""
    return directory / "netns"


def namespace(directory: Path, name: str) -> Path:
    """The bind mount that keeps the namespace `name` alive."""
    return namespaces(directory) / name


def netns_link(name: str) -> Path:
    """The link by which `ip netns exec <name>` finds a namespace."""
    return netns_dir() / name


def pods(directory: Path) -> Path:
    """The directory of all pods' files."""
    return directory / "pods"


def private(directory: Path) -> tuple[Path, ...]:
    """The directories that are root's alone to enter: Secrets, logs, keys, namespaces, locks.

    The files of each may be anybody's, such as a container's own user.
    """
    parts = (namespaces, addresses, locks, processes, pods, disks, tls)
    return tuple(part(directory) for part in parts)


def disks(directory: Path) -> Path:
    """The directory of volumes that outlive their pods."""
    return directory / "disks"


def lab_file(directory: Path) -> Path:
    """The Lab object, as JSON."""
    return directory / "lab.json"


def nodes_file(directory: Path) -> Path:
    """The nodes that stand in the lab, as JSON."""
    return directory / "nodes.json"


def store(directory: Path) -> Path:
    """The object store's journal."""
    return directory / "store.journal"


def api_socket(directory: Path) -> Path:
    """The unix socket of the lab's Kubernetes API."""
    return directory / "api.sock"


def kubelet_socket(directory: Path) -> Path:
    """The unix socket of the lab's kubelets, where the API server is not of their process."""
    return directory / "kubelet.sock"


def api_port(directory: Path) -> Path:
    """Holds the port on 127.0.0.1 where the lab's Kubernetes API listens for kubectl."""
    return directory / "api.port"


def tls(directory: Path) -> Path:
    """The directory of the lab's certificates and their keys."""
    return directory / "tls"


def admin_kubeconfig(directory: Path) -> Path:
    """What kubectl needs on a node of the lab, for root alone."""
    return tls(directory) / "admin.conf"


def shells(directory: Path) -> Path:
    """The directory of the files that shells on nodes see in place of the machine's."""
    return directory / "shells"


def kubeconfig(directory: Path) -> Path:
    """What kubectl needs to reach the lab."""
    return directory / "kubeconfig"


def responder_socket(directory: Path) -> Path:
    """The unix socket that controls the process serving the built-in pods."""
    return directory / "responder.sock"


def responder_log(directory: Path) -> Path:
    """What that process wrote to its standard output and error."""
    return processes(directory) / "responder.log"


NAMES = ("cluster", "internet")
"""The two processes that answer names."""


def names_socket(directory: Path, which: str) -> Path:
    """The unix socket that controls one of the processes answering names."""
    return directory / f"{which}.sock"


def names_log(directory: Path) -> Path:
    """What those processes wrote to their standard output and error."""
    return processes(directory) / "names.log"


def runtime_socket(directory: Path) -> Path:
    """The unix socket that controls the process keeping pods' own processes."""
    return directory / "runtime.sock"


LONGEST_SOCKET = 107
"""Bytes of a unix socket's path, see unix(7)."""


def sockets(directory: Path) -> tuple[Path, ...]:
    """All of a lab's sockets."""
    single = (api_socket, kubelet_socket, responder_socket, runtime_socket)
    return (
        *(socket(directory) for socket in single),
        *(names_socket(directory, which) for which in NAMES),
    )


def runtime_log(directory: Path) -> Path:
    """What that process wrote to its standard output and error."""
    return processes(directory) / "runtime.log"


def controller_pid(directory: Path) -> Path:
    """Holds the controller's process id."""
    return directory / "controller.pid"


def controller_log(directory: Path) -> Path:
    """What the controller wrote to its standard output and error."""
    return directory / "controller.log"


def pod(directory: Path, uid: str) -> Path:
    """The directory of one pod's files."""
    return pods(directory) / uid


def dns(directory: Path) -> Path:
    """The directory of the DNS servers' files."""
    return directory / "dns"


def processes(directory: Path) -> Path:
    """The directory of the logs of long-lived processes."""
    return directory / "processes"


def addresses(directory: Path) -> Path:
    """The directory that remembers when pods' addresses were given back, a file for each range."""
    return directory / "addresses"


def locks(directory: Path) -> Path:
    """The directory of iptables' locks, one for each namespace."""
    return directory / "locks"


def xtables_lock(namespace_path: Path) -> Path:
    """iptables-legacy's lock for a lab's namespace, in place of the machine's /run/xtables.lock."""
    return locks(namespace_path.parents[1]) / namespace_path.name
