"""Making the kernel's network what was planned: the cluster once, pods in batches.

A pod costs one veth message from its node and one send into its own namespace:

    unshare ─ sysctls ─┐                       (per pod, on the calling thread)
                       ├─ node: add veth, switches, station, guard, for a portion in one send
                       └─ pod: lo up, eth0 up, address, default route in one send
"""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from netlab.errors import NetlabError
from netlab.kernel import neighbours, netns, notices, occupants, paths
from netlab.kernel.leaving import Leaving, leaving
from netlab.network import diff, masquerade, pod_diff, read
from netlab.network.encode import message
from netlab.network.model import Link, Namespace, Neighbour, Network, PodLink
from netlab.network.names import EXTERNAL_LINK_INDEX
from netlab.network.operations import (
    AddMasquerade,
    AddVeth,
    DeleteLink,
    DeleteNeighbour,
    DisablePort,
    Operation,
)
from netlab.network.session import Session

# Each pod of a portion holds two descriptors until it stands; the usual limit is 1,024.
PORTION = 128

# The kernel takes links of dead namespaces apart in the background: what went after we looked, the
# next pass finds missing.
_PASSES = 3


def ensure_cluster(network: Network, lab_dir: Path) -> tuple[Operation, ...]:
    """Make the lab's network be as planned; returns what had to be done.

    Idempotent: a network that stands is adopted, one that differs is mended in place. The lab's
    directory must be mounted (`kernel.netns.LabMount`). On failure what this call made is gone.
    """
    done: tuple[Operation, ...] = ()
    stood = state = read.state(network, lab_dir)
    for _ in range(_PASSES):
        operations = diff.diff(network, state)
        with Session(lab_dir) as session:
            session.execute(operations)
        done += operations
        if not operations or not stood:
            break
        state = read.state(network, lab_dir)
    for namespace in network.namespaces:
        netns.link_name(namespace.name, paths.namespace(lab_dir, namespace.name))
        if stood and namespace.name not in stood:
            _announce_machine(namespace, lab_dir)
    return done


def _announce_machine(namespace: Namespace, lab_dir: Path) -> None:
    """Have those that stood before know who has its addresses now: they may have been another's."""
    with netns.entered(paths.namespace(lab_dir, namespace.name)):
        for link in namespace.links:
            stations = [(link.mac, address.split("/")[0]) for address in link.addresses]
            if link.kind == "veth" and stations:
                neighbours.announce(link.name, link.index, stations)


class Connected(NamedTuple):
    """A pod that stands: a descriptor of its namespace, which is whoever's is told of it, and the
    number by which its node knows that."""

    pod: PodLink
    descriptor: int
    number: int


def attach_pods(
    pods: Sequence[PodLink],
    lab_dir: Path,
    then: Callable[[Sequence[Connected]], None] | None = None,
) -> dict[str, Exception]:
    """Give each pod its namespace and its port; returns what failed, by the pod's uid.

    `then` is told of those that stand, some at a time.

    Idempotent: a pod that stands as planned is adopted, one that does not is made anew. Of a pod
    that failed nothing is left. Nodes must stand (`ensure_cluster`). A pod whose addresses others
    had before is announced.
    """
    failed: dict[str, Exception] = {}
    for start in range(0, len(pods), PORTION):
        portion = pods[start : start + PORTION]
        with Session(lab_dir) as session:
            refused = attach_portion(portion, session, lab_dir)
            if then is not None:
                then(connected([pod for pod in portion if pod.uid not in refused], session))
            failed |= refused
    return failed


def attach_portion(
    pods: Sequence[PodLink], session: Session, lab_dir: Path
) -> dict[str, Exception]:
    """`attach_pods`, of at most `PORTION`; the session holds their namespaces open."""
    refused = _Attachment(session, lab_dir).run(pods)
    _announce(session, [pod for pod in pods if pod.uid not in refused])
    return refused


def connected(pods: Iterable[PodLink], session: Session) -> list[Connected]:
    """These pods, which stand in this session; one that has gone since is left out."""
    found = []
    for pod in pods:
        with contextlib.suppress(NetlabError, OSError):
            found.append(_connected(pod, session))
    return found


def _connected(pod: PodLink, session: Session) -> Connected:
    descriptor = os.dup(session.descriptor(pod.name))
    try:
        number = notices.number_of(session.socket(pod.node), descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return Connected(pod, descriptor, number)


def _announce(session: Session, pods: Iterable[PodLink]) -> None:
    """Have whoever knew the pods that had these addresses before, know their successors: else he
    would send to the dead for up to half a minute. Said from the node's bridge, since a new port
    is not open at once; the bridge's own node does not hear that."""
    for node, reused in _by_node(pod for pod in pods if pod.reused).items():
        stations = [station for pod in reused for station in pod.stations]
        bridge, index = reused[0].port.master or "", reused[0].master_index
        old = [DeleteNeighbour(node, Neighbour(ip, bridge, ""), index) for _, ip in stations]
        session.attempt(old)
        with netns.entered(session.descriptor(node)):
            neighbours.announce(bridge, index, stations)


def detach_pods(pods: Sequence[PodLink], lab_dir: Path, those: Leaving | None = None) -> None:
    """Take pods' ports and namespaces away, and whoever still lives there; fine if none are there.

    On return no packet gets in or out, even where somebody's socket or process keeps the
    namespace alive. The links themselves go with the namespaces, at once or when somebody lets
    go of `those`, in the background and many at a time: deleting them here would take 20 ms each.
    """
    with leaving(lab_dir) as at_once, Session(lab_dir) as session:
        for node, ports in _by_node(pods).items():
            if netns.exists(paths.namespace(lab_dir, node)):
                session.execute([DisablePort(node, p.port.name, p.port.index) for p in ports])
        occupants.end_in([paths.namespace(lab_dir, pod.name) for pod in pods])
        session.remove_all([pod.name for pod in pods], those or at_once)


def remove(names: Iterable[str], lab_dir: Path) -> None:
    """Take namespaces away that are planned no more; idempotent."""
    with leaving(lab_dir) as those, Session(lab_dir) as session:
        session.remove_all(names, those)


def ensure_masquerades(network: Network, namespace: str, lab_dir: Path) -> bool:
    """Put a namespace's masquerading back if somebody flushed it away; True if so. Idempotent."""
    rules = network.namespace(namespace).masquerades
    operations = [AddMasquerade(namespace, rule, network.rules) for rule in rules]
    missing = [each for each in operations if not masquerade.present(each, lab_dir)]
    for operation in missing:
        masquerade.ensure(operation, lab_dir)
    return bool(missing)


def withdraw_masquerades(network: Network, lab_dir: Path) -> None:
    """Take away what `network` has of these rules, before they are written in another way."""
    for namespace in network.namespaces:
        for rule in namespace.masquerades:
            operation = AddMasquerade(namespace.name, rule, network.rules)
            masquerade.withdraw(operation, lab_dir)


def ensure_announced(
    network: Network, wanted: Mapping[str, Sequence[str]], lab_dir: Path
) -> tuple[Operation, ...]:
    """Have the nodes of these namespaces answer for these addresses alone; what had to be done."""
    with Session(lab_dir) as session:
        found = {name: read.announced(session.socket(name), EXTERNAL_LINK_INDEX) for name in wanted}
        operations = diff.announcements(network, wanted, found)
        session.execute(operations)
    return operations


def describe(operations: Iterable[Operation]) -> list[str]:
    """The commands that do the same by hand, in order."""
    return [operation.describe() for operation in operations]


def describe_cluster(network: Network) -> list[str]:
    """What `ensure_cluster` would do on a machine where nothing of the lab stands."""
    return describe(diff.diff(network, {}))


class _Attachment:
    """One portion of pods on their way; a failure takes only its own pod out."""

    def __init__(self, session: Session, lab_dir: Path) -> None:
        self._session = session
        self._lab_dir = lab_dir
        self._failed: dict[str, Exception] = {}
        self._connected: set[str] = set()

    def run(self, pods: Sequence[PodLink]) -> dict[str, Exception]:
        missing = self._missing(pods)
        try:
            self._each(missing, self._create)
            for node, ports in _by_node(self._healthy(missing)).items():
                self._connect(node, ports)
            self._each(missing, self._configure)
        except BaseException:
            self._undo(missing)
            raise
        self._undo([pod for pod in missing if pod.uid in self._failed])
        return self._failed

    def _missing(self, pods: Sequence[PodLink]) -> list[PodLink]:
        """The pods that do not stand as planned; what there is of them is taken away."""
        existing = [p for p in pods if netns.exists(paths.namespace(self._lab_dir, p.name))]
        ports = {node: self._guarded(node, own) for node, own in _by_node(existing).items()}
        sound = {pod.uid for pod in existing if self._stands(pod, ports[pod.node])}
        self._connected |= {pod.uid for pod in existing if pod.port.name in ports[pod.node]}
        self._undo([pod for pod in existing if pod.uid not in sound])
        return [pod for pod in pods if pod.uid not in sound]

    def _ports(self, node: str) -> Mapping[str, Link]:
        return {link.name: link for link in read.links(self._session.socket(node))}

    def _guarded(self, node: str, pods: Sequence[PodLink]) -> Mapping[str, Link]:
        """The ports of these pods that there are, with their guards."""
        ports = self._ports(node)
        found = [ports[pod.port.name] for pod in pods if pod.port.name in ports]
        socket = self._session.socket(node)
        return {link.name: link for link in read.guarded(socket, found)}

    def _stands(self, pod: PodLink, ports: Mapping[str, Link]) -> bool:
        path = paths.namespace(self._lab_dir, pod.name)
        inside = read.namespace(path, pod.name, [entry.name for entry in pod.inside.sysctls])
        port = ports.get(pod.port.name)
        if port is None or pod_diff.differs(pod, inside, port):
            return False
        try:
            self._session.execute(pod_diff.port_repairs(pod, port))
        except NetlabError:  # made anew, it says what is amiss
            return False
        netns.link_name(pod.name, path)
        return True

    def _each(self, pods: Iterable[PodLink], step: Callable[[PodLink], None]) -> None:
        for pod in self._healthy(pods):
            try:
                step(pod)
            except (NetlabError, OSError) as error:
                self._failed[pod.uid] = error

    def _healthy(self, pods: Iterable[PodLink]) -> list[PodLink]:
        return [pod for pod in pods if pod.uid not in self._failed]

    def _create(self, pod: PodLink) -> None:
        self._session.create(pod.name, pod.inside.sysctls, pod.users)

    def _connect(self, node: str, pods: Sequence[PodLink]) -> None:
        refused = self._try_to_connect(node, pods)
        again = self._delete_leftovers(node, [pod for pod in pods if pod.uid in refused])
        for pod in again:
            del refused[pod.uid]
        self._failed |= refused | self._try_to_connect(node, again)

    def _try_to_connect(self, node: str, pods: Sequence[PodLink]) -> dict[str, Exception]:
        """Make the veth pairs in one send; what was refused, by the pod's uid."""
        operations = [(pod, operation) for pod in pods for operation in pod_diff.veth(pod)]
        encoded = [message(operation, self._session.descriptor) for _, operation in operations]
        refused: dict[str, Exception] = {}
        self._connected |= {pod.uid for pod in pods}
        for position, error in self._session.socket(node).attempt(encoded):
            pod, operation = operations[position]
            refused.setdefault(pod.uid, error)
            if isinstance(operation, AddVeth):
                self._connected.discard(pod.uid)
        return refused

    def _delete_leftovers(self, node: str, pods: Sequence[PodLink]) -> list[PodLink]:
        """Delete ports that pods had in an earlier life, whose namespaces are yet to die.

        A port's address is its pod's alone, so one that bears it is that pod's own.
        """
        ports = self._ports(node) if pods else {}
        own = [
            pod
            for pod in pods
            if pod.port.name in ports and ports[pod.port.name].mac == pod.port.mac
        ]
        for pod in own:
            self._session.execute([DeleteLink(node, pod.port.name, pod.port.index)])
        return own

    def _configure(self, pod: PodLink) -> None:
        self._session.execute(pod_diff.inside(pod))

    def _undo(self, pods: Sequence[PodLink]) -> None:
        for pod in pods:
            if pod.uid in self._connected:
                with contextlib.suppress(NetlabError, OSError):  # the pod's own failure is told
                    self._session.execute([DeleteLink(pod.node, pod.port.name, pod.port.index)])
                self._connected.discard(pod.uid)
            self._session.remove(pod.name)


def _by_node(pods: Iterable[PodLink]) -> dict[str, list[PodLink]]:
    found: dict[str, list[PodLink]] = defaultdict(list)
    for pod in pods:
        found[pod.node].append(pod)
    return found
