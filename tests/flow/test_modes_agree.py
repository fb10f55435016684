"""The recorded worlds: both modes' rules do the same with a packet, but for what is known."""

import functools

import pytest
from msgspec.structs import replace
from oracle import worlds
from oracle.tries import FOLDERS, addresses_of, fronts, senders

from netlab.proxy.iptables.compile import compile
from netlab.proxy.nftables.compile import compile as nft_compile
from netlab.proxy.node_view import node_view
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate
from netlab.simulation.packet import Packet

KNOWN = {
    # A port that no Service has.
    ("cluster, other port", "PREROUTING", "timeout", "refused"),
    ("cluster, other port", "OUTPUT", "timeout", "refused"),
    # Without endpoints: the node's own packets are refused as well; source ranges hold, too.
    ("outside", "OUTPUT", "timeout", "refused"),
    ("outside", "PREROUTING", "refused", "timeout"),
}
"""What kind of address, asked from where; what becomes of it in iptables mode, in nftables mode."""


def ways(outcomes):
    """Where a packet may end, masqueraded or not, and how likely."""
    found = {}
    for one in outcomes:
        assert not one.unknown
        word = word_of(one)
        key = (word, one.endpoint, one.masqueraded) if word == "ok" else (word,)
        found[key] = found.get(key, 0) + one.probability
    return {key: pytest.approx(share, abs=1e-6) for key, share in found.items()}


def word_of(outcome):
    if outcome.verdict != "ACCEPT":
        return {"DROP": "timeout", "REJECT": "refused"}[outcome.verdict]
    if outcome.endpoint:
        return "ok"
    return "refused" if outcome.delivered else "timeout"


def both(world, family):
    """What each mode's rules for these objects do with a packet."""
    iptables, nftables = (
        node_view(world.node, replace(world.config, mode=mode), family)
        for mode in ("iptables", "nftables")
    )
    ruleset = compile(world.services, world.slices, iptables)
    table = nft_compile(world.services, world.slices, nftables)
    return functools.partial(simulate, ruleset), functools.partial(nft_simulate, [table])


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_modes_agree(name, family):
    world = worlds.read(FOLDERS[name])
    node_ips = addresses_of(world.config.node_ips, family)
    first, second = both(world, family)
    for kind, ip, port, protocol in dict.fromkeys(fronts(world, family, node_ips)):
        for source, entry in senders(world, family, node_ips):
            sent = Packet(source, ip, dport=port, protocol=protocol, local=frozenset(node_ips))
            one, two = (ways(run(sent, entry=entry)) for run in (first, second))
            if one != two:
                words = [next(iter(each))[0] for each in (one, two)]
                assert (kind, entry, *words) in KNOWN, f"{sent}\n{one}\n{two}"
