"""Which host file a Service's names are in."""

from __future__ import annotations

from collections import Counter

from netlab.dns.shards import FULL, Shards


def put(shards: Shards, *numbers: int) -> list[int]:
    return [shards.put(f"default/s{number}", f"s{number}.default") for number in numbers]


def test_those_that_come_one_after_another_share_a_short_file() -> None:
    places = put(Shards({}), *range(10 * FULL))
    assert places == sorted(places)
    assert set(Counter(places).values()) == {FULL}


def test_one_stays_where_it_is() -> None:
    shards = Shards({})
    first = put(shards, *range(100))
    assert put(shards, *range(100)) == first


def test_those_that_a_former_controller_has_written_stay_there() -> None:
    shards = Shards({f"s{number}.default": number % 7 for number in range(50)})
    assert put(shards, *range(50)) == [number % 7 for number in range(50)]
    assert min(put(shards, *range(100, 110))) == 7


def test_room_is_used_again() -> None:
    shards = Shards({})
    places = put(shards, *range(10 * FULL))
    assert shards.drop("default/s3") == places[3]
    assert "default/s3" not in shards.keys(places[3])
    assert shards.drop("default/s3") is None
    assert put(shards, 1000) == [places[3]]
    assert put(shards, 1001)[0] not in places
