"""What nftables mode refuses, counted by Service, on the real kernel with kube-proxy's table."""

import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.traffic.nft_refusals import NftRefusals

pytestmark = pytest.mark.root

CASE = Path(__file__).parents[1] / "oracle" / "nftables" / "03-no-endpoints" / "expected.nft"
NODE, ADDRESS, NODE_PORT, NOBODY = "192.168.77.10", "10.96.30.2", 30180, "10.96.30.250"
NAME = "shop/cart-np:http"
MAP = "ip kube-proxy no-endpoint-services"


@pytest.fixture
def node(tmp_path):
    """A namespace with that table, which knows a way to every address, as its path."""
    descriptor = netns.create(tmp_path / "node")
    for words in (
        "link set lo up",
        f"address add {NODE}/32 dev lo",
        f"route add default dev lo src {NODE}",
    ):
        run(["ip", *words.split()], netns=descriptor)
    run(["nft", "-f", "-"], input=CASE.read_text(), netns=descriptor)
    yield tmp_path / "node"
    os.close(descriptor)
    netns.remove(tmp_path / "node")


def attempt(node, address, port):
    """One SYN."""
    with netns.entered(node):
        sender = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    with sender:
        sender.connect_ex((address, port))


def tables(node):
    return run(["nft", "list", "tables"], netns=node).stdout


def test_refusals_are_counted_by_service_where_they_come_in_by_any_door(node):
    with NftRefusals(node, ("ipv4",)) as counting:
        assert counting.refusals() == Counter()
        for _ in range(3):
            attempt(node, ADDRESS, 80)
        attempt(node, NODE, NODE_PORT)
        attempt(node, NOBODY, 80)
        assert counting.refusals() == Counter({NAME: 4})
        attempt(node, ADDRESS, 80)
        assert counting.refusals() == Counter({NAME: 5})


def test_what_gets_endpoints_is_counted_no_more_and_anew_when_it_loses_them(node):
    element = f"{{ {ADDRESS} . tcp . 80 }}"
    again = f'{{ {ADDRESS} . tcp . 80 comment "{NAME}" : goto reject-chain }}'
    with NftRefusals(node, ("ipv4",)) as counting:
        counting.refusals()
        attempt(node, ADDRESS, 80)
        assert counting.refusals() == Counter({NAME: 1})
        run(["nft", f"delete element {MAP} {element}"], netns=node)
        counting.refusals()
        attempt(node, ADDRESS, 80)
        assert counting.refusals() == Counter()
        run(["nft", f"add element {MAP} {again}"], netns=node)
        counting.refusals()
        attempt(node, ADDRESS, 80)
        attempt(node, ADDRESS, 80)
        assert counting.refusals() == Counter({NAME: 2})


def test_its_table_goes_with_who_counts(node):
    before = tables(node)
    with NftRefusals(node, ("ipv4", "ipv6")) as counting:
        counting.refusals()
        counting.refusals()
        assert "netlab-top-" in tables(node)
    assert tables(node) == before


KILLED = """
import os, signal, sys
from netlab.traffic.nft_refusals import NftRefusals
from pathlib import Path
counting = NftRefusals(Path(sys.argv[1]), ("ipv4",))
counting.refusals()
counting.refusals()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_its_table_goes_with_who_is_killed(node):
    before = tables(node)
    subprocess.run([sys.executable, "-c", KILLED, str(node)], check=False)
    for _ in range(100):
        if tables(node) == before:
            return
    pytest.fail(f"there is left: {tables(node)}")


def test_without_kube_proxys_table_nothing_is_counted(node):
    run(["nft", "flush", "ruleset"], netns=node)
    with NftRefusals(node, ("ipv4",)) as counting:
        assert counting.refusals() == counting.refusals() == Counter()
