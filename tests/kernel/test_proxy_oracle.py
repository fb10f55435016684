"""What the kernel has of the recorded worlds is what it had of a real kube-proxy."""

import itertools
import os

import pytest
from oracle import worlds
from oracle.compare import differences

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.proxy.iptables.apply import RestoreApplier
from netlab.proxy.iptables.read import program
from netlab.proxy.nftables.apply import NftApplier

pytestmark = pytest.mark.root


@pytest.fixture
def namespace(tmp_path):
    descriptor = netns.create(tmp_path / "node")
    yield descriptor
    os.close(descriptor)
    netns.remove(tmp_path / "node")


def test_iptables_whatever_world_came_before(namespace):
    wrong = {}
    for world, (family, expected) in itertools.product(worlds.IPTABLES, worlds.FAMILIES.items()):
        RestoreApplier("nft", family, namespace).replace(worlds.ruleset(world, family))
        listed = run([program(family, "nft", "save")], netns=namespace).stdout
        wrong[world.name, family] = differences(listed, (world / expected).read_text())
    assert {which: found for which, found in wrong.items() if found} == {}


def test_nftables_whatever_world_came_before(namespace):
    wrong = {}
    for world in worlds.NFTABLES:
        for family in worlds.FAMILIES:
            NftApplier(family, namespace).replace(worlds.table(world, family))
        for nft, expected in (["nft"], "expected.nft"), (["nft", "-j"], "expected.json"):
            listed = run([*nft, "list", "ruleset"], netns=namespace).stdout
            wrong[world.name, expected] = differences(listed, (world / expected).read_text())
    assert {which: found for which, found in wrong.items() if found} == {}
