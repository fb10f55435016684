"""A pod with the address of one that went: who talked to that one finds it at once."""

from __future__ import annotations

import contextlib
import time

import pytest
from msgspec.structs import replace

from netlab.network import apply

pytestmark = pytest.mark.root


@pytest.mark.parametrize("families", [["IPv4"], ["IPv4", "IPv6"]], ids=["one family", "two"])
def test_a_successor_of_the_address_is_found_at_once(labs, families):
    """By its node, and by its neighbour on the bridge; both had talked to the one before."""
    with labs.standing(labs.make(nodes=1, ipFamilies=families)) as running:
        peer, first = (running.pod("master001", name, n) for name, n in (("peer", 2), ("a", 3)))
        running.attach(peer, first)
        addresses = [a.split("/")[0] for a in first.inside.link("eth0").addresses]
        for address in addresses:
            with running.listen("default.a", address, 80):
                for place in ("default.peer", "master001"):
                    running.connect(place, address, 80)
        apply.detach_pods([first], running.directory)
        second = replace(running.pod("master001", "b", 3), reused=True)
        running.attach(second)
        with contextlib.ExitStack() as stack:
            for address in addresses:
                stack.enter_context(running.listen("default.b", address, 80))
            started = time.monotonic()
            for address in addresses:
                for place in ("default.peer", "master001"):
                    assert running.connect(place, address, 80, timeout=20.0)[1] == "t.default.b"
            assert time.monotonic() - started < 4, "they asked the dead first"
