"""The process that attaches many pods: `python -m netlab.network.attaching LAB FD PARENT`.

FD is a socket whose other end an `attacher` has, in the process PARENT. That one is the master of
the lab's network: should it die, another one may begin at once, so this dies with it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from netlab.kernel import forked
from netlab.network import apply
from netlab.network.attacher import READY, Answer, Refusal, receive, send
from netlab.network.model import PodLink
from netlab.network.session import Session

_IDLE = 5.0
"""Seconds without a request after which it ends."""


def main(arguments: Sequence[str]) -> None:
    """Attach what is asked for, until nobody asks any more."""
    lab_dir, descriptor, parent = Path(arguments[0]), int(arguments[1]), int(arguments[2])
    if not forked.die_with(parent):
        return
    with socket.socket(fileno=descriptor) as connection:
        connection.settimeout(_IDLE)
        connection.sendall(READY)
        serve(connection, lab_dir)


def serve(connection: socket.socket, lab_dir: Path) -> None:
    """Answer each request; returns when there is none for a while, or will be none."""
    while True:
        try:
            asked = receive(connection, list[PodLink])
        except TimeoutError:
            return
        if asked is None:
            return
        with Session(lab_dir) as session:
            _answer(connection, session, lab_dir, asked[0])


def _answer(
    connection: socket.socket, session: Session, lab_dir: Path, pods: Sequence[PodLink]
) -> None:
    refused = apply.attach_portion(pods, session, lab_dir)
    standing = [pod for pod in pods if pod.uid not in refused]
    connected = apply.connected(standing, session)
    answer = Answer(
        {uid: Refusal.of(error) for uid, error in refused.items()},
        [(each.pod.uid, each.number) for each in connected],
    )
    send(connection, answer, [each.descriptor for each in connected])
    for each in connected:
        os.close(each.descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
