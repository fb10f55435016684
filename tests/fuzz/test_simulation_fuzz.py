"""Whatever a text of rules says, it is refused with its line, or packets have an outcome by it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.errors import InputError
from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.model import NftChain, NftSet, NftTable
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate
from netlab.simulation.packet import Packet

CHAINS = ["INPUT", "FORWARD", "OUTPUT", "PREROUTING", "MINE", "KUBE-X", "ACCEPT", ""]
VALUES = [
    "", "1", "-1", "0", "10.0.0.1", "10.0.0.0/8", "10.0.0.0/99", "fd00::1", "::/0", "tcp", "80",
    "80:90", "0x4000/0x4000", "zz", "NEW", "LOCAL", "nan", "2.0", '"', "[::1]:80", "10.0.0.1:99999",
]  # fmt: skip
OPTIONS = [
    "-s", "-d", "-i", "-p", "--dport", "--dports", "--mark", "--ctstate", "--dst-type", "--every",
    "--probability", "--tcp-flags", "--rcheck", "--name", "--comment", "-m", "!",
]  # fmt: skip
TARGETS = [
    "ACCEPT", "DROP", "REJECT", "RETURN", "MINE", "KUBE-X", "NONE-SUCH", "LOG", "MARK", "TPROXY",
    "DNAT --to-destination", "SNAT --to-source", "REDIRECT --to-ports", "MARK --set-xmark",
    "MASQUERADE", "",
]  # fmt: skip

words = st.lists(st.sampled_from(OPTIONS + VALUES), max_size=5).map(" ".join)
targets = st.builds("{} {}".format, st.sampled_from(TARGETS), st.sampled_from(VALUES))
rules = st.builds("-A {} {} -j {}".format, st.sampled_from(CHAINS), words, targets)
headers = st.builds(
    ":{} {} {}".format,
    st.sampled_from(CHAINS),
    st.sampled_from(["ACCEPT", "DROP", "-", "QUEUE", ""]),
    st.sampled_from(["[0:0]", "[1:2]", "[a:b]", ""]),
)
lines = st.one_of(headers, headers, rules, rules, rules, st.text(max_size=8), st.just("COMMIT"))
tables = st.builds(
    lambda name, body: "\n".join([f"*{name}", *body, "COMMIT"]) + "\n",
    st.sampled_from(["nat", "filter", "mangle", "raw", "odd"]),
    st.lists(lines, max_size=8),
)
well_formed = st.builds(
    lambda hook, policy, body: "\n".join(
        [f"*filter\n:{hook} {policy} [0:0]\n:MINE - [0:0]", *body, "COMMIT\n"]
    ),
    st.sampled_from(["INPUT", "FORWARD"]),
    st.sampled_from(["ACCEPT", "DROP", "-"]),
    st.lists(st.builds("-A MINE {} -j {}".format, words, targets), max_size=6),
).map(lambda text: text.replace("COMMIT\n", "-A INPUT -j MINE\nCOMMIT\n"))


@given(st.one_of(st.lists(tables, max_size=3).map("".join), well_formed))
@settings(max_examples=300)
def test_no_text_makes_it_fall_over(text):
    try:
        ruleset = parse(text, file="save")
        outcomes = simulate(
            ruleset, Packet("10.0.0.9", "10.0.0.1", dport=80, local=frozenset({"10.0.0.1"}))
        )
    except InputError as error:
        assert "save:" in str(error)
    except DanglingJump as error:
        assert "jump to chain" in str(error)
    else:
        assert abs(sum(outcome.probability for outcome in outcomes) - 1) < 1e-6


NFT_WORDS = [
    "ip", "saddr", "daddr", "tcp", "dport", "80", "80-90", "10.0.0.0/8", "!=", ".", "@set", "@map",
    "vmap", "map", "{", "}", ",", ":", "numgen", "random", "mod", "2", "0", "meta", "mark", "set",
    "|", "&", "0x4000", "ct", "state", "new", "fib", "type", "local", "dnat", "to", "10.0.0.1:80",
    "snat", "masquerade", "redirect", "jump", "goto", "mine", "drop", "accept", "return", "reject",
    "with", "counter", "comment", '"x"', "update", "notrack", "log", "iifname", "th", "l4proto",
]  # fmt: skip
nft_rules = st.lists(st.sampled_from(NFT_WORDS), min_size=1, max_size=9).map(" ".join)


@given(st.sampled_from(["nat", "filter"]), nft_rules)
@settings(max_examples=500)
def test_no_nft_rule_makes_it_fall_over(kind, rule):
    table = NftTable(
        "ipv4",
        {"in": NftChain((rule,), f"type {kind} hook prerouting priority 0; policy accept;"),
         "mine": NftChain(())},
        {"set": NftSet("set", ()), "map": NftSet("map", ())},
        {("set", "10.0.0.1"): "", ("map", "80"): ": drop"},
    )  # fmt: skip
    try:
        outcomes = nft_simulate([table], Packet("10.0.0.9", "10.0.0.1", dport=80))
    except DanglingJump:
        return
    assert abs(sum(outcome.probability for outcome in outcomes) - 1) < 1e-6
