"""Saves of nodes that somebody has damaged: an error, or an answer; never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from netlab.errors import NetlabError
from netlab.pathcheck.world import World
from netlab.saves.inferred import addresses
from netlab.saves.read import read
from netlab.saves.services import services
from netlab.saves.understood import not_understood
from netlab.saves.writers import writers
from netlab.trace.document import document
from netlab.trace.onsave import Node, told
from netlab.trace.packet_words import packet
from netlab.view import trace

EXAMPLES = int(os.environ.get("NETLAB_FUZZ_EXAMPLES", "150"))
SAVES = Path(__file__).parents[1] / "unit" / "saves"
TEXTS = [path.read_text() for path in sorted((SAVES / "recorded").iterdir())]
TEXTS += [path.read_text() for path in sorted((SAVES / "written").iterdir())]
ODD = ["", "!", "{", "}", '"', ":", "-j", "-A X", "--to-destination", ":0", "vmap", "@", "65536"]
ODD += ["999.1.1.1/99", "map { 0 :", "goto", "xt target", "-m set --match-set", "*nat", "COMMIT"]

damage = st.tuples(st.floats(0, 1, allow_nan=False), st.integers(0, 12), st.sampled_from(ODD))
packets = st.sampled_from(
    [
        "tcp 192.168.1.77:40000 > 10.96.31.10:80", "tcp 10.0.0.5 > 10.96.0.10:80",
        "tcp 192.168.1.77 > 192.168.1.5:30080", "udp 10.0.0.5 > 192.168.1.5:53",
        "icmp 10.0.0.5 > 10.244.0.21", "tcp [fd00::5]:1 > [fd00::10]:80", "icmp fd00::5 > fd00::6",
    ]
)  # fmt: skip


def damaged(text: str, places: list[tuple[float, int, str]]) -> str:
    for where, length, instead in places:
        at = int(where * len(text))
        text = text[:at] + instead + text[at + length :]
    return text


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(TEXTS), st.lists(damage, min_size=1, max_size=4), packets)
def test_damaged_saves_are_refused_or_told(
    text: str, places: list[tuple[float, int, str]], words: str
) -> None:
    probe = packet(words)
    try:
        save = read([("node.save", damaged(text, places))])
        for rules in save.families.values():
            list(not_understood(rules))
            writers(rules)
            services(rules)
        rules_ = save.of(probe.dst)
        if rules_ is None:
            return
        said = addresses(rules_)
        node = Node("node", said.own, said.foreign, networks=said.networks)
        story = told(probe, rules_, node, World({}), save.files)
    except NetlabError as error:
        assert error.message
        return
    assert list(trace.lines(story, explain=True))
    assert document(story)["verdict"] in ("delivered", "refused", "lost", "open")
