"""NodeLocal DNSCache's rules are put back, whenever they were taken away."""

import os

import pytest

from netlab.kernel import netns
from netlab.kernel.run import run
from netlab.proxy.untracked import untracked

pytestmark = pytest.mark.root

FLUSH = {
    "nft": "iptables-nft -t raw -F",
    "legacy": "iptables-legacy -t raw -F",
    "nftables": "nft delete table inet netlab-node-local-dns",
}
OTHER = {
    "nft": "iptables-nft -A INPUT -i x0",
    "legacy": "iptables-legacy -A INPUT -i x0",
    "nftables": "nft add table ip other",
}


@pytest.fixture
def path(tmp_path):
    where = tmp_path / "node"
    os.close(netns.create(where))
    yield where
    netns.remove(where)


@pytest.mark.parametrize("mode", ["nft", "legacy", "nftables"])
def test_what_is_flushed_during_a_look_is_seen_by_the_next_one(path, mode, monkeypatch):
    rules = untracked(mode, "nft" if mode == "nftables" else mode, path, ["169.254.25.10"])
    assert rules.ensure()
    run(OTHER[mode].split(), netns=path)
    name = "_listed" if mode == "nftables" else "_present"
    look = getattr(rules, name)

    def looked(*args):
        found = look(*args)
        run(FLUSH[mode].split(), netns=path)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(rules, name, looked)
        rules.ensure()
    assert rules.ensure()
    rules.ensure()
    assert not rules.ensure()
