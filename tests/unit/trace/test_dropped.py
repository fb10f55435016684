"""The kernel's reason for a drop is told where there is one, and it is this packet's."""

import pytest

from netlab.kernel.drops import Drop
from netlab.trace.dropped import said, the_reason


@pytest.mark.parametrize(
    ("drops", "reason"),
    [
        ([], ""),
        ([Drop(1, "NETFILTER_DROP")], "NETFILTER_DROP"),
        ([Drop(2, "NO_SOCKET"), Drop(1, "NO_SOCKET")], "NO_SOCKET"),
        ([Drop(0, "NO_SOCKET")], ""),  # a canary
        ([Drop(1, "OTHERHOST"), Drop(1, "NETFILTER_DROP")], ""),
        ([Drop(1, "PACKET_SOCK_ERROR"), Drop(1, "NETFILTER_DROP")], "NETFILTER_DROP"),
    ],
)
def test_one_that_is_certain_is_told(drops: list[Drop], reason: str) -> None:
    assert the_reason(drops) == reason


def test_a_reason_is_said_as_the_kernel_has_it_and_in_words_where_there_are_any() -> None:
    assert said("NETFILTER_DROP") == "NETFILTER_DROP: a rule said so"
    assert said("FULL_RING") == "FULL_RING"
