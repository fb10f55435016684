"""Who listens in a namespace, told from who does not."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path

import pytest

from netlab.errors import KernelRefused
from netlab.kernel import netns, run
from netlab.kernel.sockets import Listening, listening

pytestmark = pytest.mark.root


STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def test_listening_sockets_of_a_namespace_alone(lab_dir: Path) -> None:
    here = lab_dir / "netns" / "t.one"
    with contextlib.ExitStack() as stack:
        stack.callback(netns.remove, here)
        descriptor = netns.create(here)
        stack.callback(os.close, descriptor)
        run.run(["ip", "link", "set", "lo", "up"], netns=descriptor)
        with netns.entered(here):
            sockets_ = [
                stack.enter_context(socket.socket(family, kind))
                for family, kind in (
                    (socket.AF_INET, STREAM),
                    (socket.AF_INET6, STREAM),
                    (socket.AF_INET, DATAGRAM),
                    (socket.AF_INET, DATAGRAM),
                    (socket.AF_INET, STREAM),
                )
            ]
        web, admin, names, asking, bound = sockets_
        web.bind(("127.0.0.1", 8080))
        web.listen()
        admin.bind(("::", 9090))
        admin.listen()
        names.bind(("0.0.0.0", 53))
        asking.connect(("127.0.0.1", 53))  # a connected one hears nobody else
        bound.bind(("127.0.0.1", 7070))
        assert (
            listening(here)
            == listening(descriptor)
            == {
                Listening("TCP", "127.0.0.1", 8080),
                Listening("TCP", "::", 9090),
                Listening("UDP", "0.0.0.0", 53),
            }
        )


def test_a_namespace_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(KernelRefused, match="no network namespace at"):
        listening(tmp_path / "none")
