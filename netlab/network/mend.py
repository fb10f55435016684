"""Putting right what was changed by hand while everything runs: look, mend, look again.

Unlike in `apply`, what cannot be mended undoes nothing of what can. Rules are not looked at here.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from pathlib import Path

from netlab.errors import NetlabError
from netlab.kernel import netns, paths
from netlab.network import diff, pod_diff, read, settings
from netlab.network.model import Network, PodLink, Sysctl
from netlab.network.operations import Operation
from netlab.network.session import Session
from netlab.network.settings import Stations
from netlab.network.sysctls import is_told


def cluster_damage(
    network: Network, lab_dir: Path, pods: Stations, *, sysctls: bool = True
) -> tuple[Operation, ...]:
    """What there is to mend of the network that stands before any pod."""
    return diff.diff(network, read.state(network, lab_dir, rules=False, sysctls=sysctls), pods)


def pod_damage(
    pods: Sequence[PodLink],
    lab_dir: Path,
    known: Stations,
    sysctls_of: Container[str] | None = None,
) -> dict[str, list[Operation]]:
    """What there is to mend of attached pods, by uid; those whose namespace or node is gone are
    left out.

    `known` are the stations of the whole lab, `sysctls_of` the uids of pods whose sysctls are to
    be read as well (None: of all).
    """
    found: dict[str, list[Operation]] = {}
    with Session(lab_dir) as session:
        for pod in pods:
            sysctls = sysctls_of is None or pod.uid in sysctls_of
            try:
                damage = _of_pod(session, pod, known, sysctls=sysctls)
            except (NetlabError, OSError):  # it goes, or its node does
                continue
            if damage:
                found[pod.uid] = list(damage)
    return found


def _of_pod(
    session: Session, pod: PodLink, known: Stations, *, sysctls: bool
) -> tuple[Operation, ...]:
    inside = read.as_planned(session.descriptor(pod.name), pod.inside, sysctls=sysctls)
    masters = {pod.master_index: pod.port.master or ""}
    port = read.port(session.socket(pod.node), pod.port.index, masters)
    return pod_diff.repairs(pod, inside, port, known)


def mend(operations: Iterable[Operation], lab_dir: Path) -> list[NetlabError | OSError]:
    """Carry out what can be; returns what was refused."""
    with Session(lab_dir) as session:
        return session.attempt(list(operations))


def quiet_sysctls(sysctls: Iterable[Sysctl]) -> tuple[Sysctl, ...]:
    """Those of them of which nobody tells that they were set."""
    return tuple(entry for entry in sysctls if entry.enforced and not is_told(entry.name))


def differ(found: Mapping[str, str], wanted: Iterable[Sysctl]) -> bool:
    """Whether a sysctl is not as wanted, by the values found."""
    return any(settings.sysctl_differs(found.get(entry.name), entry) for entry in wanted)


def names() -> set[str]:
    """The names that `ip netns` knows."""
    return {entry.name for entry in paths.netns_dir().iterdir()}


def put_back(names: Mapping[str, int], lab_dir: Path) -> list[str]:
    """Give namespaces their mounts and names back, by descriptors of them; returns those that had
    lost either. Another namespace in such a place goes: the one that is known has the links."""
    lost = []
    for name, descriptor in names.items():
        path = paths.namespace(lab_dir, name)
        if not netns.is_at(path, descriptor):
            netns.remove(path)
            netns.mount_again(path, descriptor)
            lost.append(name)
        if not paths.netns_link(name).is_symlink():
            netns.link_name(name, path)
            lost.append(name)
    return sorted(set(lost))
