"""Sets of values, decisions, and rules of both kinds as steps."""

import pytest
from oracle import worlds

from netlab.prove import asking, plain
from netlab.prove.changed import changed_box
from netlab.prove.classes import classes
from netlab.prove.diagram import Diagrams, State, Way
from netlab.prove.hooks import Hooks
from netlab.prove.of_iptables import IptablesRules
from netlab.prove.question import whole
from netlab.prove.space import (
    DADDR,
    DPORT,
    IIF,
    NO_LINK,
    PROTO,
    SADDR,
    Space,
    meet,
    narrow,
    union,
    without,
)  # fmt: skip
from netlab.proxy.iptables.parse import parse

SPACE = Space("ipv4", ("eth0", "cali+"), ["192.0.2.1"])
HERE, THERE = Way("delivered", State()), Way("sent", State())


def test_sets_of_values_meet_and_leave_out():
    evens = union((one, one) for one in range(0, 100, 2))
    assert meet(evens, ((10, 13),)) == ((10, 10), (12, 12))
    assert meet(((0, 5),), ((6, 9),)) == ()
    assert union([(5, 9), (0, 4), (20, 30), (25, 40)]) == ((0, 9), (20, 40))
    assert without(((0, 9), (20, 40)), 50) == ((10, 19), (41, 50))


def test_a_pattern_of_links_means_those_named_and_one_more():
    named, others = SPACE.link("eth0"), SPACE.link("cali+")
    assert len(named) == len(others) == 1
    assert not meet(named, others)
    everything = ((0, SPACE.tops[5]),)
    assert meet(SPACE.link("+"), everything)[0][0] == 1  # no link is none


def test_known_addresses_are_the_nodes_and_none_else_is():
    assert narrow(SPACE.all, ((DADDR, SPACE.local),)) is not None
    assert SPACE.all[DADDR][-1][1] == 2**32 - 1
    assert Space("ipv4").all[DADDR][-1][1] == 2**32


def test_equal_decisions_are_one():
    diagrams = Diagrams(SPACE.tops)
    here, there = diagrams.certain(HERE), diagrams.certain(THERE)
    tcp = ((PROTO, ((6, 6),)),)
    local = ((DADDR, SPACE.network("10.0.0.0/8")), *tcp)
    one = diagrams.graft(local, here, there)
    other = diagrams.graft(local[:1], diagrams.graft(tcp, here, there), there)
    assert one is other
    assert diagrams.graft(((SADDR, ((0, 9),)),), there, there) is there


def test_shares_of_equal_ways_add_up():
    diagrams = Diagrams(SPACE.tops)
    here, there = diagrams.certain(HERE), diagrams.certain(THERE)
    half = diagrams.mix([(here, 0.5), (there, 0.5)])
    assert diagrams.mix([(half, 0.5), (here, 0.5)]).ways == ((HERE, 0.75), (THERE, 0.25))
    assert diagrams.mix([(here, 0.4), (here, 0.6)]) is here


@pytest.mark.parametrize("folder", worlds.IPTABLES, ids=lambda folder: folder.name)
def test_rules_read_at_one_glance_are_the_same_as_word_by_word(folder):
    read = 0
    for family in ("ipv4", "ipv6"):
        ruleset = worlds.ruleset(folder, family)
        rules = IptablesRules(ruleset, Space(family))
        for table, _, text in ruleset.rules():
            glanced = plain.step(7, text, rules.space)
            if glanced is not None:
                read += 1
                assert glanced == rules.taken_apart(table, 7, text)
    assert read


def box_between(before, after):
    family = "ipv4"
    space = Space(family)
    sides = [[IptablesRules(one, space)] for one in (before, after)]
    return changed_box(*sides, space)


def test_only_what_may_differ_is_asked():
    """Of one Service's address, what goes there; of a rule for all, everything."""
    folder = worlds.IPTABLES[0]
    text = (folder / "expected.v4").read_text()
    before = parse(text)
    assert box_between(before, parse(text)) is None
    gone = [line for line in text.splitlines() if "--dport 80 -j KUBE-SVC" not in line]
    assert len(gone) < len(text.splitlines())
    box = dict(box_between(before, parse("\n".join([*gone, ""]))))
    assert box[DPORT] == ((80, 80),)
    assert DADDR in box
    wide = text.replace("-A FORWARD", "-A FORWARD -s 10.9.0.0/16 -j DROP\n-A FORWARD", 1)
    assert box_between(before, parse(wide)) == ()


LOOPED = """\
*nat
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 127.0.0.1 -j SNAT --to-source 192.0.2.1
COMMIT
*filter
:INPUT ACCEPT [0:0]
-A INPUT -s 127.0.0.1 -j DROP
COMMIT
"""


def test_what_comes_back_by_lo_is_asked_there_by_its_new_source():
    hooks = Hooks([IptablesRules(parse(LOOPED), SPACE)], SPACE, Diagrams(SPACE.tops))
    (source,) = asking.sources("node", SPACE, ())
    (to,) = (narrow(whole(SPACE, source), ((DADDR, SPACE.network("192.0.2.1")),)),)
    ends = {
        (leaf.ends.ways[0][0].at, leaf.ends.ways[0][0].state.source)
        for leaf in classes(hooks.ends("OUTPUT", to.region), to.region)
    }
    assert ends == {("delivered", "192.0.2.1"), ("delivered", "")}


def test_what_the_node_sends_comes_in_by_no_link():
    (source,) = asking.sources("node", SPACE, ())
    assert whole(SPACE, source)[IIF] == ((NO_LINK, NO_LINK),)
