"""Carrying operations out: one netlink socket a namespace, one send a run of messages.

What was begun and failed is undone, last first, so that no half-made namespace stays.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import TracebackType

from netlab.errors import KernelRefused, NetlabError
from netlab.kernel import neighbours, netns, paths, userns
from netlab.kernel.leaving import Leaving
from netlab.kernel.netlink import NetlinkSocket
from netlab.kernel.sysctl import SysctlTree
from netlab.kernel.userns import Holders, IdRange
from netlab.network import masquerade
from netlab.network.encode import NETLINK, message
from netlab.network.model import Sysctl
from netlab.network.operations import (
    AddAddress,
    AddBridge,
    AddMasquerade,
    AddRoute,
    AddVeth,
    Announce,
    CreateNamespace,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    Operation,
    RemoveNamespace,
    SetSysctl,
)


class Session:
    """Open namespaces and sockets of one lab while a batch of operations runs."""

    def __init__(self, lab_dir: Path) -> None:
        self._lab_dir = lab_dir
        self._ids = _ids(lab_dir)
        self._descriptors: dict[str, int] = {}
        self._sockets: dict[str, NetlinkSocket] = {}
        self._holders = Holders()
        self._sysctls: SysctlTree | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every namespace."""
        self._holders.close()
        if self._sysctls is not None:
            self._sysctls.close()
        for name in list(self._descriptors):
            self._forget(name)

    def descriptor(self, namespace: str) -> int:
        """A descriptor of the lab's namespace of that name; the session closes it."""
        if namespace not in self._descriptors:
            opened = netns.open_(paths.namespace(self._lab_dir, namespace))
            self._descriptors[namespace] = opened
        return self._descriptors[namespace]

    def socket(self, namespace: str) -> NetlinkSocket:
        """A netlink socket in the namespace; the session closes it."""
        if namespace not in self._sockets:
            self._sockets[namespace] = NetlinkSocket(self.descriptor(namespace))
        return self._sockets[namespace]

    @property
    def sysctls(self) -> SysctlTree:
        """Where to read and write sysctls; the session closes it."""
        if self._sysctls is None:
            self._sysctls = SysctlTree()
        return self._sysctls

    def execute(self, operations: Sequence[Operation]) -> None:
        """Carry them out in order; on any failure undo what was done, then raise."""
        begun: list[Operation] = []
        try:
            for run in runs(operations):
                self._run(run, begun)
        except BaseException as error:
            for trouble in self.undo(begun):
                error.add_note(f"while undoing: {trouble}")
            raise

    def attempt(self, operations: Sequence[Operation]) -> list[NetlabError | OSError]:
        """Carry out in order what can be, undoing nothing; what was refused."""
        refused: list[NetlabError | OSError] = []
        for run in runs(operations):
            try:
                if isinstance(run[0], NETLINK):
                    encoded = [message(operation, self.descriptor) for operation in run]
                    socket = self.socket(run[0].namespace)
                    refused += [error for _, error in socket.attempt(encoded)]
                else:
                    self._other(run[0])
            except (NetlabError, OSError) as error:
                refused.append(error)
        return refused

    def undo(self, operations: Sequence[Operation]) -> list[Exception]:
        """Take back operations that may have happened; what could not be, as errors."""
        created = {op.namespace for op in operations if isinstance(op, CreateNamespace)}
        troubles: list[Exception] = []
        for operation in reversed(operations):
            inverse = _inverse(operation)
            dies_anyway = operation.namespace in created and inverse != RemoveNamespace(
                operation.namespace
            )
            if inverse is None or dies_anyway:
                continue
            try:
                self._run([inverse], [])
            except (NetlabError, OSError) as trouble:
                troubles.append(trouble)
        return troubles

    def _run(self, operations: Sequence[Operation], begun: list[Operation]) -> None:
        """Carry out one run, noting in `begun` what may have changed something."""
        first = operations[0]
        if not isinstance(first, NETLINK):
            begun += operations
            self._other(first)
            return
        encoded = [message(operation, self.descriptor) for operation in operations]
        refusals = self.socket(first.namespace).attempt(encoded)
        refused = {position for position, _ in refusals}
        begun += [op for position, op in enumerate(operations) if position not in refused]
        for _, error in refusals:
            raise error

    def _other(self, operation: Operation) -> None:
        match operation:
            case CreateNamespace(name):
                self.create(name)
            case RemoveNamespace(name):
                self.remove(name)
            case SetSysctl(name, entry):
                with netns.entered(self.descriptor(name)):
                    self._write(entry)
            case AddMasquerade():
                masquerade.ensure(operation, self._lab_dir)
            case Announce(name, link, index, mac, address):
                with netns.entered(self.descriptor(name)):
                    neighbours.announce(link, index, [(mac, address.split("/")[0])])
            case _:
                raise TypeError(f"{type(operation).__name__} is no operation of a session")

    def create(self, name: str, sysctls: Iterable[Sysctl] = (), users: Iterable[int] = ()) -> None:
        """Make a namespace with its sysctls and its name for `ip netns`, socket and all.

        `users` are ids which its user namespace is to have, whatever they are.
        """
        path = paths.namespace(self._lab_dir, name)
        self._forget(name)
        ids = self._ids.beyond(users) if self._ids else None
        with netns.created(path, ids, self._holders) as descriptor:
            for entry in sysctls:
                self._write(entry)
            socket = NetlinkSocket()
        self._descriptors[name], self._sockets[name] = descriptor, socket
        netns.link_name(name, path)

    def remove(self, name: str) -> None:
        """Let go of a namespace and its name; no error if there is none."""
        netns.remove(self._forgotten(name))

    def remove_all(self, names: Iterable[str], leaving: Leaving) -> None:
        """`remove` for many, which are kept as long as they are not let go of."""
        leaving.add([self._forgotten(name) for name in names])

    def _forgotten(self, name: str) -> Path:
        """Where a namespace is of which nothing is open or named any more."""
        path = paths.namespace(self._lab_dir, name)
        self._forget(name)
        netns.unlink_name(name, path)
        return path

    def _write(self, entry: Sysctl) -> None:
        try:
            self.sysctls.write(entry.name, entry.value, missing_ok=not entry.required)
        except KernelRefused:
            if entry.enforced:
                raise

    def _forget(self, name: str) -> None:
        with contextlib.suppress(KeyError):
            self._sockets.pop(name).close()
        with contextlib.suppress(KeyError):
            os.close(self._descriptors.pop(name))


def _ids(lab_dir: Path) -> IdRange | None:
    """The ids of the lab's user namespaces: nothing of its network is the machine's root's."""
    owner = netns.owner(lab_dir)
    return userns.id_range(owner) if owner else None


def runs(operations: Iterable[Operation]) -> Iterator[list[Operation]]:
    """Neighbouring operations that go together: netlink of one namespace, or one of the others."""
    for (is_netlink, _), group in groupby(
        operations, key=lambda op: (isinstance(op, NETLINK), op.namespace)
    ):
        if is_netlink:
            yield list(group)
        else:
            yield from ([operation] for operation in group)


def _inverse(operation: Operation) -> Operation | None:
    match operation:
        case CreateNamespace(name):
            return RemoveNamespace(name)
        case AddBridge(where, link) | AddVeth(where, link, _):
            return DeleteLink(where, link.name, link.index)
        case AddAddress(where, name, index, address):
            return DeleteAddress(where, name, index, address)
        case AddRoute(where, route, index):
            return DeleteRoute(where, route, index)
        case _:
            return None
