"""Where many packets went, against the shares that rules give."""

from __future__ import annotations

from collections.abc import Iterator

from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Hop, Journey
from netlab.trace.counting import End, ends
from netlab.trace.predicted import Prediction, Verdict
from netlab.view import trace_counts

PROBE = ProbePacket(1, "tcp", "10.0.0.1", 1, "10.96.0.1", 80, 1)


def went(at: str, number: int, outcome: str = "reachable") -> Iterator[Journey]:
    hop = Hop("n1", "eth0", "a:1", "b:80")
    for _ in range(number):
        yield Journey(PROBE, outcome, (hop,), delivered=f"{at}:80", delivered_at=at)


def lost(number: int) -> Iterator[Journey]:
    yield from (Journey(PROBE, "timeout") for _ in range(number))


def to(at: str, share: float, verdict: Verdict = "delivered") -> Prediction:
    return Prediction(verdict, share, (), at, "a:1", f"{at}:80")


def test_shares_as_foreseen() -> None:
    found = list(ends([*went("a", 45), *went("b", 55)], [to("a", 0.5), to("b", 0.5)]))
    assert found == [
        End("delivered", "a", "a:80", 45, 0.5),
        End("delivered", "b", "b:80", 55, 0.5),
    ]
    assert list(trace_counts.lines(found)) == [
        "100 packets, each a flow of its own",
        "  packets    seen  foreseen",
        "       45   45.0%     50.0%  delivered a (a:80)",
        "       55   55.0%     50.0%  delivered b (b:80)",
    ]


def test_what_chance_alone_does_not_give_is_a_finding() -> None:
    foreseen = [to("a", 0.5), to("b", 0.5)]
    assert [end.far for end in ends([*went("a", 95), *went("b", 5)], foreseen)] == [True, True]
    few = ends([*went("a", 8)], foreseen)
    assert [end.far for end in few] == [False, False]
    assert [end.far for end in ends([*went("a", 99), *lost(1)], [to("a", 1.0)])] == [True, True]
    affine = ends([*went("a", 100)], foreseen, judged=False)
    assert [end.far for end in affine] == [False, False]


def test_what_a_machine_turns_away_is_seen_to_come_there() -> None:
    (end,) = ends(list(went("n1", 3, "timeout")), [to("n1", 1.0, "lost")])
    assert (end.verdict, end.packets, end.far) == ("lost", 3, False)


def test_what_finds_no_neighbour_is_lost_whether_it_is_said_in_time_or_not() -> None:
    told = Journey(PROBE, "unreachable", note="ICMP type 3 code 1 from 10.0.0.1")
    found = list(ends([told, *lost(2)], [to("n1", 1.0, "lost")]))
    assert found == [End("lost", "", "", 3, 1.0)]
