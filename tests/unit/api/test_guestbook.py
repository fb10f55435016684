"""Who makes room for whom at the API's inner door."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.api.guestbook import ASKING, Full, Guest, holder_of, leaver
from netlab.objects.rbac import ANONYMOUS, MASTERS, User

NOBODY: Any = None


def guests(*said: tuple[str, float]) -> list[Guest]:
    return [Guest(NOBODY, "10.0.0.1", holder, since) for holder, since in said]


def test_there_is_room() -> None:
    assert leaver([], "10.0.0.1", 5, 2) is None
    assert leaver(guests(("10.0.0.1", 1), ("a", 1), ("a", 2)), "10.0.0.1", 5, 2) is None


def test_of_strangers_at_one_address_the_longest_idle_goes() -> None:
    here = guests(("10.0.0.1", ASKING), ("10.0.0.1", 7), ("10.0.0.1", 5), ("pod", 1))
    assert leaver(here, "10.0.0.1", 9, 3) is here[2]
    assert leaver(here, "10.0.0.2", 9, 3) is None
    with pytest.raises(Full):
        leaver(guests(("10.0.0.1", ASKING), ("10.0.0.1", ASKING)), "10.0.0.1", 9, 2)


def test_who_has_most_makes_room_for_who_has_less() -> None:
    here = guests(("a", 9), ("b", 1), ("a", 8), ("a", ASKING), ("", 0), ("", 0), ("", 0), ("", 0))
    assert leaver(here, "10.0.0.1", 8, 5) is here[2]
    busy = guests(("a", ASKING), ("a", ASKING), ("b", 1))
    assert leaver(busy, "10.0.0.1", 3, 5) is busy[0]


def test_where_all_have_the_same_nobody_does() -> None:
    with pytest.raises(Full):
        leaver(guests(("a", 1), ("b", 1), ("", 0)), "10.0.0.1", 3, 5)
    with pytest.raises(Full):
        leaver(guests(("", 0), ("", 0)), "10.0.0.1", 2, 5)


def test_for_whom_a_connection_counts() -> None:
    bound = {"authentication.kubernetes.io/pod-uid": ["u-1"]}
    assert holder_of(ANONYMOUS, "10.0.0.1") == "10.0.0.1"
    assert holder_of(User("system:serviceaccount:a:b", (), "u", bound), "10.0.0.1") == "u-1"
    assert (
        holder_of(User("system:serviceaccount:a:b", (), "u", {}), "h")
        == "system:serviceaccount:a:b"
    )
    assert holder_of(User("admin", (MASTERS,)), "10.0.0.1") == ""
