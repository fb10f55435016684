"""A Service's rules, and a trace, as pictures."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from netlab.graph.journey import journey
from netlab.graph.model import Picture, boxes
from netlab.graph.rules import Tree, rules
from netlab.trace.saved import read
from netlab.trace.story import Story
from netlab.view.rules import Branch

SAVED = Path(__file__).parents[1] / "trace/service.json"

ENDS = [
    Branch("nat", "SVC", "", f"1/2 → SEP-{n} (10.244.1.{n}:80)", n, 0.5, f"SEP-{n}",
           [Branch("nat", f"SEP-{n}", "", f"send to 10.244.1.{n}:80 (DNAT)", n)])
    for n in (1, 2)
]  # fmt: skip
SERVICE = Branch("nat", "KUBE-SERVICES", "", "to 10.96.0.7 → SVC", 3, None, "SVC", ENDS)
NODE_PORT = Branch("nat", "KUBE-NODEPORTS", "", "tcp port 30080 → EXT", 0, None, "EXT",
                   [Branch("nat", "EXT", "", "mark for masquerade", 0),
                    Branch("nat", "EXT", "", "→ SVC", 0, None, "SVC", ENDS)])  # fmt: skip


def _end(story: Story) -> str:
    (end,) = (one for one in boxes(journey(story)) if one.key == "end")
    return end.kind


def arrows(picture: Picture) -> list[tuple[str, str, str]]:
    names = {one.key: one.lines[0] for one in boxes(picture)}
    return [(names[one.tail], names[one.head], one.label) for one in picture.arrows]


def test_chains_with_chances_and_counters() -> None:
    picture = rules("t", [Tree("n1", [SERVICE, NODE_PORT])])
    assert arrows(picture) == [
        ("nat KUBE-SERVICES", "SVC", "to 10.96.0.7, 3 packets"),
        ("SVC", "SEP-1", "50%, 1 packet"),
        ("SVC", "SEP-2", "50%, 2 packets"),
        ("nat KUBE-NODEPORTS", "EXT", "tcp port 30080, 0 packets"),
        ("EXT", "SVC", "0 packets"),
    ]
    by_name = {one.lines[0]: one for one in boxes(picture)}
    assert by_name["SEP-2"].lines[1] == "2 packets: send to 10.244.1.2:80 (DNAT)"
    assert by_name["SEP-2"].kind == "end"
    assert by_name["EXT"].lines[1] == "0 packets: mark for masquerade"


def test_nftables_draws() -> None:
    """A draw has no chain of its own: its ends are those of the chain that draws."""
    ends = [
        Branch("kube-proxy", "svc", "", f"1/2 → 10.244.1.{n}:80 = pod w{n}", None, 0.5)
        for n in (1, 2)
    ]
    drawn = Branch("kube-proxy", "svc", "", "send to one of 2 (DNAT)", None, None, "", ends)
    entry = Branch(
        "kube-proxy", "map service-ips", "", "to 10.96.0.7 → svc", None, None, "svc", [drawn]
    )
    picture = rules("t", [Tree("n1", [entry]), Tree("n2", [])])
    assert arrows(picture) == [
        ("kube-proxy map service-ips", "svc", "to 10.96.0.7"),
        ("svc", "10.244.1.1:80 = pod w1", "50%"),
        ("svc", "10.244.1.2:80 = pod w2", "50%"),
    ]
    assert [one.lines for one in picture.groups[1].boxes] == [("no rules",)]


def test_a_journey() -> None:
    picture = journey(read(SAVED.read_bytes(), "t").story)
    found = {one.key: one for one in boxes(picture)}
    way = [found[arrow.head].lines for arrow in picture.arrows if arrow.kind == "way"]
    assert way[0][0].startswith("2. veth")
    assert any("KUBE-SERVICES, rule 1 of 6" in line for line in way[1]), "before the new address"
    assert way[2][1].endswith(" → 10.244.1.3:80")
    assert way[-1][0].startswith("delivered to default/hostname-")
    assert [group.title for group in picture.groups] == ["worker002", "worker001"]
    back = [arrow for arrow in picture.arrows if arrow.kind == "answer"]
    assert found[back[0].tail].lines[0].startswith("default/hostname-")
    assert found[back[-1].head].lines[0] == "default/client-pod"
    assert len(back) == 7


def test_a_journey_to_where_nobody_listens_ends_badly() -> None:
    story = read(SAVED.read_bytes(), "t").story
    assert _end(story) == "good"
    assert _end(replace(story, journey=replace(story.journey, outcome="refused"))) == "bad"
    nowhere = replace(story.journey, outcome="timeout", delivered=None, hops=())
    (end,) = boxes(journey(replace(story, journey=nowhere)))
    assert end.lines[0] == "lost before it left"
