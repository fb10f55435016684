"""Whether the stories agree; and what rules leave open."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey
from netlab.simulation.packet import Hit, Outcome, Packet
from netlab.trace.agreement import agree
from netlab.trace.passages import MetRule, Passage
from netlab.trace.predicted import Prediction, Stay

PROBE = ProbePacket(7, "tcp", "10.0.0.1", 4000, "10.0.0.2", 80, 1)
WENT = Journey(PROBE, "reachable", delivered="10.0.0.2:80", delivered_at="default/web")
LOST = Journey(PROBE, "timeout", delivered="10.0.0.2:80", delivered_at="n1")


def predicted(verdict: str, *numbers: int, unknown: tuple[str, ...] = ()) -> Prediction:
    packet = Packet("10.0.0.1", "10.0.0.2")
    hits = tuple(Hit("filter", "FORWARD", number, "-j X") for number in numbers)
    outcome = Outcome("ACCEPT", "FORWARD", False, False, packet, 1.0, hits, unknown)
    stays = (Stay("n1", "PREROUTING", packet, outcome),)
    at = "n1" if verdict == "lost" else "default/web"
    return Prediction(verdict, 1.0, stays, at, "10.0.0.1:4000", "10.0.0.2:80", unknown)  # type: ignore[arg-type]


def seen(*numbers: int) -> list[Passage]:
    met = tuple(MetRule("filter", "FORWARD", number, "-j X", "continue") for number in numbers)
    ends = ("10.0.0.1:4000", "10.0.0.2:80")
    return [Passage("n1", "filter", "FORWARD", *ends, "", "", 0, False, met, "")]


def test_the_same_rules_and_end_agree() -> None:
    found = agree(seen(1, 2), WENT, [predicted("delivered", 1), predicted("delivered", 1, 2)])
    assert (found.steps, found.difference, found.open) == (2, "", ())


def test_another_rule_or_end_is_a_difference() -> None:
    found = agree(seen(1, 3), WENT, [predicted("delivered", 1, 2)])
    assert found.difference == (
        "the kernel met rule 3 of filter FORWARD on n1, "
        "the simulator rule 2 of filter FORWARD on n1"
    )
    assert [str(step) for step in (*found.kernel, *found.simulator)] == [
        "rule 3 of filter FORWARD on n1", "rule 2 of filter FORWARD on n1",
    ]  # fmt: skip
    ends = agree(seen(1), WENT, [predicted("lost", 1)])
    assert "is lost by the rules" in ends.difference
    assert (ends.kernel, ends.simulator) == ((), ())
    more = agree(seen(1), WENT, [predicted("delivered", 1, 2, 3)])
    assert (more.steps, more.kernel) == (1, ())
    assert [step.number for step in more.simulator] == [2, 3]


def test_what_nobody_understands_is_open_and_no_difference() -> None:
    open_ = predicted("open", 1, unknown=("ip ttl 7",))
    for numbers in ((1,), (1, 5), (2,)):
        found = agree(seen(*numbers), WENT, [open_])
        assert (found.difference, found.open) == ("", ("ip ttl 7",))
    whole = agree(seen(1, 2), WENT, [open_, predicted("delivered", 1, 2)])
    assert (whole.difference, whole.open) == ("", ())  # one way explains it all


def test_a_rule_that_nobody_foresaw_leaves_it_open() -> None:
    gone = replace(LOST, delivered=None, delivered_at=None)
    found = agree(seen(1), gone, [predicted("delivered", 1)], ["rule 4 of strange fw on n1"])
    assert (found.difference, found.open) == ("", ("rule 4 of strange fw on n1",))


@pytest.mark.parametrize("note", ["", "no answer, as UDP may"])
def test_without_the_kernels_word_silence_is_told_by_the_rules(note: str) -> None:
    """Captures see a packet that comes to its end before the rules there do."""
    silent = replace(LOST, outcome="reachable" if note else "timeout", note=note)
    assert agree(None, silent, [predicted("lost", 1)]).difference == ""
    answered = replace(LOST, outcome="reachable", note="")
    assert "is lost by the rules" in agree(None, answered, [predicted("lost", 1)]).difference


@pytest.mark.parametrize(
    ("to", "note"), [("10.0.0.2", "ICMP type 3 code 1"), ("fd00::2", "ICMP type 1 code 3")]
)
def test_who_finds_no_neighbour_says_so_late_or_not_in_time(to: str, note: str) -> None:
    probe = replace(PROBE, dst=to)
    told = Journey(probe, "unreachable", note=f"{note} from 10.0.0.1")
    assert agree(None, told, [predicted("lost")]).difference == ""
    assert "was refused" in agree(None, told, [predicted("delivered")]).difference
    other = replace(told, note="ICMP type 3 code 13 from 10.0.0.1")
    assert "was refused" in agree(None, other, [predicted("lost")]).difference
    by_rule = predicted("refused")
    assert agree(None, told, [by_rule]).difference == ""
