"""What probes and hooks connect to: addresses, in the node's namespace, and nothing else."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from netlab.agents.probes import attempt
from netlab.agents.probes.attempt import GOOD
from netlab.agents.probes.probe import HttpGet, TcpSocket

pytestmark = pytest.mark.root

NO_ADDRESSES = (
    "localhost", "127.1", "2130706433", "0x7f.0.0.1", "127.0.0.1.", "::1%1", "::1%lo", "[::1]",
    "secret.attacker.example", f"{'a' * 64}.example", "a..b", "b\xfcro",
    "\ud800", "127.0.0.1\0x", "a b\r\nc",
)  # fmt: skip


@pytest.fixture
def port():
    """Somebody accepts connections at 127.0.0.1 here: who resolved a name would get there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


HERE = Path("/proc/thread-self/ns/net")


async def test_an_address_is_connected_to(port):
    assert await attempt.tcp(HERE, TcpSocket("127.0.0.1", port), 10) == GOOD


@pytest.mark.parametrize("host", NO_ADDRESSES)
async def test_a_name_is_never_looked_up(port, host):
    outcome = await attempt.tcp(HERE, TcpSocket(host, port), 10)
    assert (outcome.good, outcome.message) == (False, f"dial tcp: lookup {host}: no such host")
    for tls in (False, True):
        get = HttpGet(host, port, "/", tls=tls)
        outcome = await attempt.http(HERE, get, 10)
        message = f'Get "{get.url}": dial tcp: lookup {host}: no such host'
        assert (outcome.good, outcome.message) == (False, message)
