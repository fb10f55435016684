"""The files that every container of a pod shares: what it sees as /etc/hosts, /etc/resolv.conf …"""

from __future__ import annotations

from pathlib import Path

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


def hosts_file(hostname: str, ips: tuple[str, ...]) -> str:
    """/etc/hosts as the kubelet writes it."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
        *(f"{ip}\t{hostname}" for ip in ips),
    ]
    return "\n".join(lines) + "\n"
