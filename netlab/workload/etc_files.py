"""The files that every container of a pod shares: what it sees as /etc/hosts, /etc/resolv.conf …"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from netlab.objects.types import HostAlias

POD_FILES = ("hostname", "hosts", "resolv.conf", "nsswitch.conf")

# The machine's own may ask systemd-resolved or mDNS first, which know nothing of the cluster.
_NSSWITCH = """\
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""


def write_pod_files(directory: Path, *, hostname: str, hosts: str, resolv_conf: str) -> None:
    """Write them into the pod's directory.

    In place: containers that run have them bind-mounted.
    """
    directory.mkdir(parents=True, exist_ok=True)
    texts = (f"{hostname}\n", hosts, resolv_conf, _NSSWITCH)
    for name, text in zip(POD_FILES, texts, strict=True):
        path = directory / name
        path.write_text(text)
        path.chmod(0o644)


_LOCAL_HOSTS = (
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
)


def node_hosts_file() -> str:
    """/etc/hosts of a node itself, which no kubelet writes."""
    return "\n".join(_LOCAL_HOSTS) + "\n"


def hosts_file(
    hostname: str,
    ips: Sequence[str],
    *,
    domain: str = "",
    aliases: Sequence[HostAlias] = (),
    host_network: bool = False,
) -> str:
    """/etc/hosts as the kubelet writes it, for a name in a domain ("": in none); on the network of
    its node it is the node's, which has the same lines.

    Source: pkg/kubelet/kubelet_pods.go, managedHostsFileContent.
    """
    names = f"{hostname}.{domain}\t{hostname}" if domain else hostname
    of = " (host network)" if host_network else ""
    lines = [
        f"# Kubernetes-managed hosts file{of}.",
        *_LOCAL_HOSTS,
        *(f"{ip}\t{names}" for ip in ips),
        *_alias_lines(aliases),
    ]
    return "\n".join(lines) + "\n"


def _alias_lines(aliases: Sequence[HostAlias]) -> Iterator[str]:
    if aliases:
        yield from ("", "# Entries added by HostAliases.")
    for alias in aliases:
        yield "\t".join((alias["ip"], *(alias.get("hostnames") or ())))
