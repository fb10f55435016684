"""Changes as text for iptables-restore."""

import pytest
from unit.proxy.objects import NODE, endpoint_slice, service

from netlab.proxy.iptables.compile import compile
from netlab.proxy.iptables.foreign_rules import difference
from netlab.proxy.iptables.model import RulesetChange
from netlab.proxy.iptables.render import edits, render_change


def test_a_change_as_text():
    old = compile([service("one", 1)], [endpoint_slice("one", "10.244.0.1")], NODE)
    new = compile([service("one", 1)], [], NODE)
    lines = render_change(difference(old, new)).splitlines()
    assert [line for line in lines if line.startswith("-X")] == sorted(
        line for line in lines if line.startswith("-X")
    )
    assert sum(line.startswith("-X KUBE-SEP") for line in lines) == 1
    assert lines.count("COMMIT") == 2
    assert render_change(difference(new, new)) == ""


CHAIN = tuple(f"-d 10.96.0.{number}/32 -j X" for number in range(200))


def test_a_long_chain_of_which_little_changes_is_edited():
    after = (*CHAIN[:5], "new", *CHAIN[6:], "last")
    assert edits("C", CHAIN, after) == [f"-D C {CHAIN[5]}", "-I C 6 new", "-A C last"]
    change = RulesetChange()
    change.note(("nat", "C"), CHAIN, after)
    lines = render_change(change).splitlines()
    assert lines == ["*nat", f"-D C {CHAIN[5]}", "-I C 6 new", "-A C last", "COMMIT"]


def test_one_to_which_as_much_comes_as_there_was_is_edited_too():
    more = tuple(f"-d 10.97.0.{number}/32 -j X" for number in range(200))
    assert edits("C", CHAIN, CHAIN + more) == [f"-A C {rule}" for rule in more]


@pytest.mark.parametrize(
    "before, after",
    [
        (CHAIN, CHAIN[:100]),
        (CHAIN, (*CHAIN, *(f"-d 10.97.0.{number}/32 -j X" for number in range(201)))),
        (CHAIN, CHAIN[::-1]),
        (CHAIN[:50], CHAIN[:49]),
        ((*CHAIN, CHAIN[0]), CHAIN),
        (CHAIN, None),
        (None, CHAIN),
        (CHAIN, ()),
    ],
    ids=["much goes", "much comes", "order", "short", "twice", "gone", "new", "emptied"],
)
def test_other_chains_are_written_anew(before, after):
    assert edits("C", before, after) == []
