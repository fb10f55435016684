"""Packets with more ways than can be followed, and chains that are too deep: where, and soon."""

from itertools import pairwise

import pytest

from netlab.proxy.iptables.parse import parse
from netlab.proxy.nftables.parse import parse_tables
from netlab.simulation import hooks
from netlab.simulation import nftables as nft
from netlab.simulation.hooks import DanglingJump
from netlab.simulation.iptables import simulate
from netlab.simulation.knowledge import UNTOLD, Known
from netlab.simulation.packet import Packet
from netlab.simulation.suppositions import cases

PACKET = Packet("192.0.2.1", "10.0.0.1", dport=80, in_interface="eth0")
BY_CHANCE = "-m statistic --mode random --probability 0.5"


def rules(chains, *texts):
    declared = "".join(f":{chain} - [0:0]\n" for chain in chains)
    lines = "".join(f"-A {text}\n" for text in texts)
    return parse(f"*mangle\n:PREROUTING ACCEPT [0:0]\n{declared}{lines}COMMIT\n")


@pytest.fixture(autouse=True)
def _little_is_allowed(monkeypatch):
    monkeypatch.setattr(hooks, "ALLOWANCE", 100_000)


MARKS = rules(
    (),
    *(
        f"PREROUTING {BY_CHANCE} -j MARK --set-xmark {1 << bit:#x}/{1 << bit:#x}"
        for bit in range(32)
    ),
)


def test_bits_that_are_set_by_chance_are_not_all_followed():
    (only,) = simulate(MARKS, PACKET)
    assert only.unknown == (hooks.TOO_MANY,)
    assert only.cut_short[1:3] == ("mangle", "PREROUTING")
    assert 5 < only.cut_short.number < 32


def test_few_bits_are():
    few = rules(
        (), *(f"PREROUTING {BY_CHANCE} -j MARK --set-xmark {1 << b}/{1 << b}" for b in (0, 1))
    )
    found = simulate(few, PACKET)
    assert sorted(each.packet.mark for each in found) == [0, 1, 2, 3]
    assert not any(each.cut_short for each in found)


def test_what_is_cut_short_is_not_tried_in_every_case():
    text = "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -i eth7 -j NOTRACK\nCOMMIT\n"
    both = parse(text)
    both.tables["mangle"] = MARKS.tables["mangle"]
    told = []

    def counted(packet):
        told.append(packet)
        return simulate(both, packet)

    (case,) = cases(counted, Packet("192.0.2.1", "10.0.0.1", in_interface=UNTOLD, known=Known()))
    assert case.outcomes[0].cut_short is not None
    assert len(told) == 1


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_doubled_jumps_are_not_all_followed(mode):
    names = [f"c{at}" for at in range(40)]
    pairs = list(pairwise(names))
    if mode == "iptables":
        texts = [f"{one} -j {to}" for one, to in [("PREROUTING", "c0"), *pairs] for _ in range(2)]
        (only,) = simulate(rules(names, *texts, "c39 -s 10.9.9.9/32 -j DROP"), PACKET)
    else:
        body = "".join(
            f"\tchain {one} {{\n\t\tjump {to}\n\t\tjump {to}\n\t}}\n" for one, to in pairs
        )
        last = "\tchain c39 {\n\t\tip saddr 10.9.9.9 drop\n\t}\n"
        base = "\t\ttype filter hook prerouting priority mangle; policy accept;\n"
        begin = f"\tchain in {{\n{base.replace('mangle', '-150')}\t\tjump c0\n\t}}\n"
        tables = parse_tables(f"table ip t {{\n{body}{last}{begin}}}\n", "ipv4")
        (only,) = nft.simulate(tables, PACKET)
    assert only.cut_short.fact == hooks.TOO_MANY


def test_depth_is_no_circle():
    names = [f"C{at}" for at in range(150)]
    pairs = [("PREROUTING", "C0"), *pairwise(names)]
    jumps = [f"{one} -j {to}" for one, to in pairs]
    (only,) = simulate(rules(names, *jumps, "C149 -j DROP"), PACKET)
    assert only.unknown == (hooks.TOO_DEEP,)
    assert only.cut_short[1:] == ("mangle", "C100", 1)
    with pytest.raises(DanglingJump, match="leads in a circle"):
        simulate(rules(names[:50], *jumps[:50], "C49 -j C0"), PACKET)
