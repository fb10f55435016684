"""Jumps in a circle: no kernel loads them, so a save that has them is none."""

from itertools import pairwise

import pytest

from netlab.errors import InputError
from netlab.saves.read import read

CIRCLE = """*filter
:FORWARD ACCEPT [0:0]
:A - [0:0]
:B - [0:0]
{hooked}
-A A -j B
-A B -p udp -j ACCEPT
-A B -s 10.0.0.1/32 {closing}
COMMIT
"""
LISTED = """table ip f {{
	map m {{
		type ipv4_addr : verdict
		elements = {{ 10.0.0.1 : {closing} }}
	}}
	chain a {{
		tcp dport 80 goto b
	}}
	chain b {{
		ip saddr vmap @m
	}}
	chain fw {{
		type filter hook forward priority filter; policy accept;
		jump a
	}}
}}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (CIRCLE.format(hooked="-A FORWARD -j A", closing="-j A"), "node.save:8: table filter"),
        (CIRCLE.format(hooked="-A FORWARD -g A", closing="-g A"), "circle: A → B → A"),
        (CIRCLE.format(hooked="-A FORWARD -j A", closing="-j B"), "circle: B → B"),
        (LISTED.format(closing="goto a"), "node.save:10: table f: jumps lead in a circle: a → b"),
    ],
)
def test_a_circle_is_refused_with_the_line_that_closes_it(text, said):
    with pytest.raises(InputError) as refused:
        read([("node.save", text)], complete=False)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        CIRCLE.format(hooked="-A FORWARD -j A", closing="-j RETURN"),
        CIRCLE.format(hooked="-A FORWARD -p udp -j A", closing='-m comment --comment " -j A"'),
        # A kernel looks where hooks lead to.
        CIRCLE.format(hooked="-A FORWARD -p udp", closing="-j A"),
        LISTED.format(closing="drop"),
    ],
)
def test_what_leads_in_no_circle_is_read(text):
    assert read([("node.save", text)], complete=False).families


def test_a_long_way_is_no_circle():
    chains = [f"C{at}" for at in range(3000)]
    jumps = [f"-A {one} -j {other}\n" * 2 for one, other in pairwise(chains)]
    declared = [f":{chain} - [0:0]\n" for chain in chains]
    begin = "*filter\n:FORWARD ACCEPT [0:0]\n"
    text = "".join([begin, *declared, "-A FORWARD -j C0\n", *jumps, "COMMIT\n"])
    assert read([("node.save", text)]).families
