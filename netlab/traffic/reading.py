"""What connection tracking tells → connections of the lab, each once. Pure.

A connection between nodes is told of by both. Where its destination is translated counts, which
happens once; of one that is not translated, the node where it begins. A node that merely hands on
what another one has translated, or masqueraded, sees it come from a node or a pod elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netlab.conntrack import NewConnection, Tuple
from netlab.traffic.directory import Directory
from netlab.traffic.opening import End, Opening

Told = tuple[str, NewConnection]
"""What a node tells of."""


def is_known(told: Told, directory: Directory) -> bool:
    """Whether the directory is new enough for it: it names the Service, or knows of
    the hostPort, and who is behind it."""
    new = told[1]
    there = new.original
    if _is_plain(new):
        return True
    asked = (new.protocol, there.destination, there.dport)
    if directory.virtual(*asked) is None and not directory.is_host_port(*asked):
        return False
    return directory.knows(new.reply.source)


def understood(
    told: Iterable[Told], directory: Directory, asked: float
) -> tuple[list[Told], list[Told]]:
    """Those that are known, or never will be, as the objects are younger (`asked`, in seconds
    since the epoch); and those that may be when somebody asks anew."""
    ready: list[Told] = []
    waiting: list[Told] = []
    for each in told:
        (ready if is_known(each, directory) or each[1].time < asked else waiting).append(each)
    return ready, waiting


def connections(told: Iterable[Told], directory: Directory) -> Iterator[Opening]:
    """Those that begin there."""
    for node, new in told:
        if not _is_plain(new) or directory.node(new.original.source) in ("", node):
            yield _connection(node, new, directory)


def _is_plain(new: NewConnection) -> bool:
    there, back = new.original, new.reply
    same = there.destination == back.source
    return same and (there.dport == back.sport or new.protocol == "icmp")


def _connection(node: str, new: NewConnection, directory: Directory) -> Opening:
    there, back = new.original, new.reply
    return Opening(
        time=new.time,
        node=node,
        protocol=new.protocol,
        client=directory.end(there.source, there.sport),
        to=directory.end(there.destination, there.dport),
        virtual=directory.virtual(new.protocol, there.destination, there.dport),
        endpoint=directory.end(back.source, back.sport),
        became=_became(there, back, directory),
    )


def _became(there: Tuple, back: Tuple, directory: Directory) -> End | None:
    """A port that had to give way to another connection's is no masquerade."""
    if back.destination == there.source:
        return None
    return directory.end(back.destination, back.dport)
