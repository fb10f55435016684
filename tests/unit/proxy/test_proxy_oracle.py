"""What a real kube-proxy programmed for the recorded worlds, beside what is compiled for them."""

import pytest
from oracle import worlds
from oracle.compare import differences

from netlab.proxy.iptables.diff import diff
from netlab.proxy.iptables.parse import parse
from netlab.proxy.iptables.render import render
from netlab.proxy.nftables.parse import parse_table
from netlab.proxy.nftables.render import render as render_table

families = pytest.mark.parametrize("family", worlds.FAMILIES)
iptables = pytest.mark.parametrize("world", worlds.IPTABLES, ids=lambda world: world.name)
nftables = pytest.mark.parametrize("world", worlds.NFTABLES, ids=lambda world: world.name)


def test_all_recordings_are_here():
    assert (len(worlds.IPTABLES), len(worlds.NFTABLES)) == (25, 23)


@iptables
@families
def test_the_rules_are_kube_proxys(world, family):
    expected = (world / worlds.FAMILIES[family]).read_text()
    assert differences(render(worlds.ruleset(world, family)), expected) == []


@iptables
@families
def test_our_own_comparison_finds_no_difference_either(world, family):
    found = parse((world / worlds.FAMILIES[family]).read_text())
    assert diff(worlds.ruleset(world, family), found) == []


@nftables
def test_the_nftables_table_is_kube_proxys(world):
    text = "".join(render_table(worlds.table(world, family)) for family in worlds.FAMILIES)
    assert differences(text, (world / "expected.nft").read_text()) == []


@nftables
def test_their_listing_is_read_as_what_is_compiled(world):
    text = (world / "expected.nft").read_text()
    for family in worlds.FAMILIES:
        assert parse_table(text, family) == worlds.table(world, family)
