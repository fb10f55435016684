"""What a trace by a save of a namespace's rules says of a packet, as `test_three_ways` has ends."""

from netlab.kernel.run import run
from netlab.pathcheck.decode import split
from netlab.pathcheck.world import World
from netlab.saves.read import read
from netlab.trace.onsave import Node, told

PROGRAMS = {
    "nftables": {"ipv4": ["nft", "list", "ruleset"], "ipv6": ["nft", "list", "ruleset"]},
    "nft": {"ipv4": ["iptables-nft-save"], "ipv6": ["ip6tables-nft-save"]},
    "legacy": {"ipv4": ["iptables-legacy-save"], "ipv6": ["ip6tables-legacy-save"]},
}
WORDS = {"delivered": "left", "refused": "refused", "lost": "lost"}
EVERYBODY = ("0.0.0.0/0", "::/0")


class BySave:
    """The rules in force, as their own program prints them."""

    def __init__(self, netns, mode, family, local):
        text = run(PROGRAMS[mode][family], netns=netns).stdout
        self._saved = read([("node.save", text)]).families[family]
        self._local = frozenset(local)

    def ends(self, probe, link):
        """Every end that a packet of a client that nobody remembers may come to."""
        node = Node("node", self._local, comes_in_by=link, networks=EVERYBODY)
        story = told(probe, self._saved, node, World({}), ["node.save"])
        for one in story.ends:
            address, _ = split(one.destination)
            here = one.verdict == "delivered" and (
                address in self._local or address.startswith("127.") or address == "::1"
            )
            word = "delivered" if here else WORDS.get(one.verdict, "open")
            own = probe.src in self._local or split(one.source)[0] != probe.src
            left = (one.destination, "the node's" if own else probe.src)
            yield word, left if word == "left" else ("", "")
