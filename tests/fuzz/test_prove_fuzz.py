"""Any rules, proved: a packet of each class ends as the simulator says; what changes is found."""

import random

import proved
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from netlab.prove.compared import compare
from netlab.prove.ground import Node
from netlab.prove.intake import of_rules, space_of
from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.model import NftChain, NftSet, NftTable
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.iptables import simulate
from netlab.simulation.nftables import simulate as nft_simulate

LOCAL = ["192.0.2.1"]
ADDRESSES = ["10.0.0.1", "10.0.0.0/8", "10.96.0.0/12", "192.0.2.1", "198.51.100.0/24", "10.96.0.5"]
MATCHES = [
    *(f"{bang}-{side} {one}" for bang in ("", "! ") for side in "sd" for one in ADDRESSES),
    "-p tcp", "! -p udp", "-p tcp -m tcp --dport 80", "-p udp -m udp --dport 50:60",
    "-p tcp -m multiport --dports 80,443", "-p tcp -m multiport --ports 80", "-p 47",
    "-p tcp -m tcp ! --sport 1000:2000", "-i eth0", "! -i eth+", "-m mark --mark 0x4000/0x4000",
    "-m mark ! --mark 0x1", "-m conntrack --ctstate NEW", "-m conntrack ! --ctstate NEW,DNAT",
    "-m conntrack --ctstate DNAT", "-m connmark --mark 0x1/0x1", "-m connmark ! --mark 0x4000",
    "-m addrtype --dst-type LOCAL", "-m addrtype ! --src-type LOCAL",
    "-m statistic --mode random --probability 0.25", "-m conntrack --ctstate ESTABLISHED,RELATED",
    "-p tcp -m tcp --tcp-flags SYN,ACK SYN", "-m recent --rcheck --name x --rsource", "",
    "-m string --string odd", "-p icmp -m icmp --icmp-type 8", "-p icmp -m icmp ! --icmp-type 3/4",
    "-p icmp -m icmp --icmp-type 3/1", "-p icmp -m icmp --icmp-type any",
]  # fmt: skip
ANYWHERE = [
    "ACCEPT", "DROP", "RETURN", "ONE", "TWO", "MARK --set-xmark 0x4000/0x4000", "LOG",
    "MARK --set-xmark 0x1/0xffffffff", "MARK --or-mark 0x3", "ONE", "TWO",
    "CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff",
    "CONNMARK --restore-mark --nfmask 0x4001 --ctmask 0x4001", "CONNMARK --set-xmark 0x1/0x1",
]  # fmt: skip
TARGETS = {
    "filter": [*ANYWHERE, "REJECT --reject-with icmp-port-unreachable"],
    "nat": [
        *ANYWHERE, "DNAT --to-destination 10.0.0.1:8080", "DNAT --to-destination 192.0.2.1",
        "DNAT --to-destination :99", "REDIRECT --to-ports 15001",
    ],
    "mangle": ANYWHERE,
    "raw": [*ANYWHERE, "CT --notrack"],
}  # fmt: skip
# No DNAT behind POSTROUTING: iptables does not take it.
LAST = ["MASQUERADE", "SNAT --to-source 192.0.2.1", "ACCEPT", "RETURN", "MARK --or-mark 0x3"]
HOOKS = {
    "raw": ["PREROUTING", "OUTPUT"],
    "mangle": ["PREROUTING", "FORWARD", "POSTROUTING"],
    "nat": ["PREROUTING", "OUTPUT", "POSTROUTING"],
    "filter": ["INPUT", "FORWARD", "OUTPUT"],
}


@st.composite
def tables(draw, name):
    lines = [f"*{name}"]
    for hook in HOOKS[name]:
        policy = (
            draw(st.sampled_from(["ACCEPT", "ACCEPT", "DROP"])) if name == "filter" else "ACCEPT"
        )
        lines.append(f":{hook} {policy} [0:0]")
    lines += [":ONE - [0:0]", ":TWO - [0:0]"]
    for chain in [*HOOKS[name], "ONE", "TWO"]:
        targets = LAST if (name, chain) == ("nat", "POSTROUTING") else TARGETS[name]
        for _ in range(draw(st.integers(0, 4))):
            match = draw(st.sampled_from(MATCHES))
            more = draw(st.sampled_from(["", *MATCHES[:12]]))
            target = draw(st.sampled_from(targets))
            if (chain, target) in (("ONE", "ONE"), ("TWO", "ONE"), ("TWO", "TWO")):
                target = "ACCEPT"
            if ":" in target or "REDIRECT" in target:  # ports want a protocol that has some
                match, more = "-p tcp", "" if "-p" in more.split() else more
            verb = "-g" if target in ("ONE", "TWO") and draw(st.booleans()) else "-j"
            words = " ".join(filter(None, [match, more, f"{verb} {target}"]))
            lines.append(f"-A {chain} {words}")
    return "\n".join([*lines, "COMMIT", ""])


saves = st.tuples(*map(tables, HOOKS)).map("".join)


def known(text):
    save = of_rules("node", {"ipv4": parse(text)})
    return save, space_of([save], "ipv4", LOCAL)


@given(saves, st.sampled_from(["PREROUTING", "OUTPUT"]), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_packets_end_as_their_class_says(text, entry, seed):
    save, space = known(text)
    ruleset = save.iptables["ipv4"]
    pick = random.Random(seed).choice
    for one in proved.classes_of(proved.asked(save.rules(space), space), space, entry):
        for region in one.regions[:20]:
            packet = proved.packet_in(region, space, pick)
            try:
                outcomes = simulate(ruleset, packet, entry=entry)
            except DanglingJump:
                continue
            assert proved.agree(one, packet, outcomes, space) in (True, None), (
                f"{packet}\n{one.ends.ways}\n{outcomes}"
            )
            packet = replace(packet, recent=frozenset({"x"}))
            outcomes = simulate(ruleset, packet, entry=entry)
            assert proved.among(one, packet, outcomes, space) in (True, None), packet


@given(saves, st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_a_change_is_found_where_packets_end_otherwise(text, seed):
    """Of a rule that is taken away: if some packet tells, the comparison does, and only then."""
    lines = text.splitlines()
    rules = [at for at, line in enumerate(lines) if line.startswith("-A ")]
    assume(rules)
    pick = random.Random(seed).choice
    gone = pick(rules)
    changed = "\n".join([*lines[:gone], *lines[gone + 1 :], ""])
    before, after = parse(text), parse(changed)
    nodes = [Node("", (of_rules("node", {"ipv4": one}),), tuple(LOCAL)) for one in (before, after)]
    compared = compare(*nodes, "ipv4")
    space = compared.grounds.space
    for found in compared.found:
        packet = proved.packet_in(found.change.regions[0], space, pick)
        entry = found.source.entry
        known = replace(packet, recent=frozenset({"x"}))
        ends = [
            [simulate(one, each, entry=entry) for one in (before, after)]
            for each in (packet, known)
        ]
        if not found.change.is_open and not any(
            end.unknown for pair in ends for each in pair for end in each
        ):
            assert any(outline(one) != outline(two) for one, two in ends), f"{packet}\n{found}"
    for source, entry in (("10.0.0.9", "PREROUTING"), ("192.0.2.1", "OUTPUT")):
        packet = proved.Packet(
            source, pick(["10.96.0.5", "192.0.2.1", "10.0.0.1"]), dport=80,
            in_interface="" if entry == "OUTPUT" else "other0", out_interface="other0",
            local=frozenset(LOCAL),
        )  # fmt: skip
        ends = [simulate(one, packet, entry=entry) for one in (before, after)]
        if outline(ends[0]) != outline(ends[1]) and not any(e.unknown for x in ends for e in x):
            assert compared.found, packet


def outline(outcomes):
    found = {}
    for one in outcomes:
        there = (one.packet.destination, one.packet.dport, one.packet.dnat, disguise(one))
        key = (one.verdict, one.delivered, there if one.verdict == "ACCEPT" else ())
        found[key] = round(found.get(key, 0.0) + one.probability, 6)
    return found


def disguise(outcome):
    """As whom a packet left, also when that changed nothing."""
    texts = (hit.rule for hit in reversed(outcome.rules))
    told = (text.split("-j ")[1] for text in texts if "SNAT" in text or "MASQ" in text)
    return outcome.masqueraded and next(told)


NFT_MATCHES = [
    "ip saddr 10.0.0.0/8", "ip saddr != 10.0.0.0/8", "ip daddr 192.0.2.1", "tcp dport 80",
    "tcp dport { 80, 443 }", "udp dport 50-60", "th dport != 80", "meta l4proto tcp",
    "ct state new", "ct state established,related", "ct status dnat", "ip daddr @addresses",
    "ip daddr != @addresses", "ip daddr . tcp dport @pairs", "meta mark & 0x00004000 != 0x00000000",
    "meta mark 0x00000001", "fib daddr type local", 'iifname "eth0"', 'iifname != "eth*"',
    "numgen random mod 4 0", "ip saddr @clients", "ip protocol udp", "meta nfproto ipv6",
    "tcp sport 1-1000", "",
    "socket transparent 1", "tcp dport < 90", "udp dport >= 1024", "ip saddr > 10.0.0.9",
    "tcp dport != { 22, 80-90 }", "tcp dport { 22, 80-90 }", "th sport <= 1000",
    "ip daddr != 10.0.0.0-10.0.0.9", "ip daddr { 10.0.0.0/8, 192.0.2.1-192.0.2.9 }",
    "icmp type echo-request", "icmp type != { destination-unreachable, echo-request }",
    "icmp type destination-unreachable icmp code 1-4", "meta random & 2147483647 < 1073741824",
]  # fmt: skip
NFT_ANYWHERE = [
    "accept", "drop", "return", "jump one", "goto two", "meta mark set 0x00000001",
    "meta mark set meta mark | 0x00004000", "counter packets 0 bytes 0", "reject",
    "ip daddr . meta l4proto . th dport vmap @doors", "meta mark set 0x1 accept",
    "tcp dport vmap { 80 : accept, 443 : drop, 90-99 : goto two }",
    "numgen random mod 3 vmap { 0 : accept, 1 : goto two }",
]  # fmt: skip
NFT_NAT = [
    "dnat to 10.0.0.1:8080",
    "dnat ip to numgen random mod 2 map { 0 : 10.0.0.1 . 80, 1 : 10.0.0.2 . 81 }",
    "dnat to tcp dport map { 80 : 10.0.0.7 }", "redirect to :15001",
]  # fmt: skip
NFT_HOOKS = {
    "pre": ("type nat hook prerouting priority dstnat; policy accept;", NFT_NAT),
    "early": ("type filter hook prerouting priority raw; policy accept;", ["notrack"]),
    "out": ("type nat hook output priority -100; policy accept;", NFT_NAT),
    "in": ("type filter hook input priority filter; policy drop;", []),
    "through": ("type filter hook forward priority filter; policy accept;", []),
    "post": ("type nat hook postrouting priority srcnat; policy accept;", ["masquerade"]),
}


@st.composite
def nft_tables(draw):
    chains = {}
    for name, (header, more) in {**NFT_HOOKS, "one": ("", []), "two": ("", [])}.items():
        rules = []
        for _ in range(draw(st.integers(0, 4))):
            action = draw(st.sampled_from([*NFT_ANYWHERE, *more, *more]))
            if name in ("one", "two") and ("one" in action or "two" in action or "doors" in action):
                action = "accept"
            matches = [draw(st.sampled_from(NFT_MATCHES)) for _ in range(2)]
            rules.append(" ".join(filter(None, [*matches, action])))
        chains[name] = NftChain(tuple(rules), header)
    sets = {
        "addresses": NftSet("set", ("type ipv4_addr",)),
        "pairs": NftSet("set", ("type ipv4_addr . inet_service",)),
        "clients": NftSet("set", ("type ipv4_addr", "size 65535", "flags dynamic,timeout")),
        "doors": NftSet("map", ("type ipv4_addr . inet_proto . inet_service : verdict",)),
    }
    elements = {
        ("addresses", "10.96.0.5"): "",
        ("addresses", "192.0.2.1"): "",
        ("pairs", "10.96.0.5 . 80"): "",
        ("pairs", "192.0.2.1 . 443"): "",
        ("doors", "10.96.0.5 . tcp . 80"): ": goto one",
        ("doors", "192.0.2.1 . udp . 53"): 'comment "x" : drop',
    }
    return NftTable("ipv4", chains, sets, elements, name="any")


@given(nft_tables(), st.sampled_from(["PREROUTING", "OUTPUT"]), st.integers(0, 1000))
@settings(max_examples=100, deadline=None)
def test_packets_of_nftables_end_as_their_class_says(table, entry, seed):
    save = of_rules("node", {"ipv4": [table]})
    space = space_of([save], "ipv4", LOCAL)
    pick = random.Random(seed).choice
    for one in proved.classes_of(proved.asked(save.rules(space), space), space, entry):
        for region in one.regions[:20]:
            packet = proved.packet_in(region, space, pick)
            outcomes = nft_simulate([table], packet, entry=entry)
            assert proved.agree(one, packet, outcomes, space) in (True, None), (
                f"{packet}\n{one.ends.ways}\n{outcomes}"
            )
            packet = replace(packet, recent=frozenset({"clients"}))
            outcomes = nft_simulate([table], packet, entry=entry)
            assert proved.among(one, packet, outcomes, space) in (True, None), packet
