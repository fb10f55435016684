"""Journeys from observations written by hand: a client, node n1, node n2, a pod on n2."""

from __future__ import annotations

from netlab.pathcheck.decode import CapturedPacket, Observation
from netlab.pathcheck.packets import ProbePacket
from netlab.pathcheck.path import Journey, Sightings, describe, journey
from netlab.pathcheck.protocols import ACK, RST, SYN

KEY = 77
CLIENT, POD = "172.16.110.100", "10.244.2.5"
ADDRESSES = {"client": frozenset({CLIENT}), "pod": frozenset({POD}), "n1": frozenset({"10.0.0.1"})}


class Film:
    """Observations in the order in which they are told."""

    def __init__(self, proto: str = "tcp") -> None:
        self.proto = proto
        self.sightings = Sightings()
        self._time = 0

    def see(
        self,
        place: str,
        ifname: str,
        src: str,
        dst: str,
        *,
        out: bool = False,
        flags: int = SYN,
        key: int | None = KEY,
        answers: int | None = None,
        icmp: tuple[int, int] | None = None,
    ) -> None:
        self._time += 1
        sides = [side.rsplit(":", 1) for side in (src, dst)]
        packet = CapturedPacket(
            4, sides[0][0], sides[1][0], "icmp" if icmp else self.proto,  # type: ignore[arg-type]
            int(sides[0][1]), int(sides[1][1]), flags, 1, key, answers, icmp,
        )  # fmt: skip
        self.sightings.add([Observation(place, ifname, out, self._time, packet)])

    def journey(self, src: str = f"{CLIENT}:4000", dst: str = "172.16.110.11:30080") -> Journey:
        (source, sport), (target, dport) = (side.rsplit(":", 1) for side in (src, dst))
        proto = "udp" if self.proto == "udp" else "tcp"
        probe = ProbePacket(KEY, proto, source, int(sport), target, int(dport), 1)
        return journey(probe, "client", self.sightings, ADDRESSES)


def node_port(film: Film) -> None:
    film.see("client", "eth0", f"{CLIENT}:4000", "172.16.110.11:30080", out=True)
    film.see("n1", "eth1", f"{CLIENT}:4000", "172.16.110.11:30080")
    film.see("n1", "eth0", "10.0.0.1:5555", f"{POD}:80", out=True)
    film.see("n2", "eth0", "10.0.0.1:5555", f"{POD}:80")
    film.see("n2", "cni0", "10.0.0.1:5555", f"{POD}:80", out=True)
    film.see("pod", "eth0", "10.0.0.1:5555", f"{POD}:80")


def answer(film: Film, src: str, flags: int = SYN | ACK) -> None:
    film.see("client", "eth0", src, f"{CLIENT}:4000", flags=flags, key=None, answers=KEY)


def test_a_node_port_journey() -> None:
    film = Film()
    node_port(film)
    answer(film, "172.16.110.11:30080")
    seen = film.journey()
    assert seen.outcome == "reachable"
    assert (seen.delivered, seen.delivered_at, seen.seen_source) == (f"{POD}:80", "pod", "10.0.0.1")
    assert [change.place for change in (*seen.dnats, *seen.snats)] == ["n1", "n1"]
    assert describe(seen) == (
        "client eth0 → n1 eth1 → DNAT to 10.244.2.5:80 → masquerade as 10.0.0.1 → eth0"
        " → n2 eth0 → cni0 → pod eth0"
    )


def test_a_reset_refuses() -> None:
    film = Film()
    node_port(film)
    answer(film, "172.16.110.11:30080", flags=RST | ACK)
    assert film.journey().outcome == "refused"


def test_an_answer_from_elsewhere_is_no_answer_and_is_told() -> None:
    film = Film()
    node_port(film)
    answer(film, f"{POD}:80")
    seen = film.journey()
    assert seen.outcome == "timeout"
    assert seen.note == "the answer came from 10.244.2.5:80 instead of 172.16.110.11:30080"


def test_an_icmp_error_refuses_but_only_at_the_sender() -> None:
    film = Film()
    film.see("n1", "eth1", f"{CLIENT}:4000", "172.16.110.11:30080")
    error = {"key": None, "answers": KEY, "icmp": (3, 3)}
    film.see("n1", "eth1", "172.16.110.11:0", f"{CLIENT}:0", out=True, **error)  # type: ignore[arg-type]
    assert film.journey().outcome == "timeout"
    film.see("client", "eth0", "172.16.110.11:0", f"{CLIENT}:0", **error)  # type: ignore[arg-type]
    assert film.journey().outcome == "refused"


def test_a_probe_that_vanishes_was_last_seen_somewhere() -> None:
    film = Film()
    assert film.journey().last == "nowhere"
    film.see("n1", "eth1", f"{CLIENT}:4000", "172.16.110.11:30080")
    seen = film.journey()
    assert (seen.outcome, seen.last, seen.delivered) == ("timeout", "n1 eth1", None)


def test_what_a_node_sent_on_has_not_arrived_there() -> None:
    film = Film()
    film.see("n1", "eth1", f"{CLIENT}:4000", "10.0.0.1:30080")
    assert film.journey(dst="10.0.0.1:30080").delivered_at == "n1"
    film.see("n1", "eth0", "10.0.0.1:5555", f"{POD}:80", out=True)
    assert film.journey(dst="10.0.0.1:30080").delivered is None


def test_a_udp_echo_is_an_answer_and_no_part_of_the_path() -> None:
    film = Film("udp")
    node_port(film)
    film.see("pod", "eth0", f"{POD}:80", "10.0.0.1:5555", out=True, flags=0, answers=KEY)
    assert len(film.journey().hops) == 6
    film.see("client", "eth0", "172.16.110.11:30080", f"{CLIENT}:4000", flags=0, answers=KEY)
    seen = film.journey()
    assert (seen.outcome, seen.note, len(seen.hops)) == ("reachable", "", 6)


def test_a_udp_answer_without_the_token_counts() -> None:
    film = Film("udp")
    node_port(film)
    film.see("client", "eth0", "172.16.110.11:30080", f"{CLIENT}:4000", flags=0, key=None)
    seen = film.journey()
    assert (seen.outcome, seen.note) == ("reachable", "")


def test_udp_that_arrived_and_got_no_answer_is_reachable_with_a_note() -> None:
    film = Film("udp")
    node_port(film)
    assert film.journey().note == "no answer, as UDP may"


def test_the_senders_own_nat_is_told_before_its_first_interface() -> None:
    film = Film()
    film.see("client", "eth0", f"{CLIENT}:4000", f"{POD}:80", out=True)
    film.see("pod", "eth0", f"{CLIENT}:4000", f"{POD}:80")
    film.see(
        "client", "eth0", f"{POD}:80", f"{CLIENT}:4000", flags=SYN | ACK, key=None, answers=KEY
    )
    seen = film.journey(dst="10.96.0.7:80")
    assert (seen.outcome, seen.dnats[0].place) == ("reachable", "client")
    assert describe(seen) == "client DNAT to 10.244.2.5:80 → eth0 → pod eth0"
