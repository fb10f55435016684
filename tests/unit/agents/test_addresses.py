import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.agents.addressbook import AddressBook
from netlab.agents.addresses import NodeAddresses, PodAddressPool
from netlab.errors import NetlabError


def test_the_first_pod_gets_the_address_after_the_bridge():
    assert PodAddressPool("10.244.1.0/24").take() == "10.244.1.2"


def test_a_released_address_is_used_again_last():
    pool = PodAddressPool("10.244.1.0/29")  # .2 to .6
    first = [pool.take() for _ in range(3)]
    pool.release(first[0])
    assert pool.take() == "10.244.1.5"
    assert pool.take() == "10.244.1.6"
    assert pool.take() == first[0]


def test_a_full_range_says_so():
    pool = PodAddressPool("10.244.1.0/30")
    assert pool.take() == "10.244.1.2"
    with pytest.raises(NetlabError, match="no free pod address"):
        pool.take()


def test_reserved_addresses_are_not_given_out():
    pool = PodAddressPool("10.244.1.0/29")
    pool.reserve("10.244.1.3")
    assert [pool.take() for _ in range(4)] == [
        "10.244.1.4", "10.244.1.5", "10.244.1.6", "10.244.1.2",
    ]  # fmt: skip


def test_dual_stack_takes_one_of_each_or_none():
    addresses = NodeAddresses(["10.244.1.0/30", "fd00:1::/64"])
    assert addresses.take() == ("10.244.1.2", "fd00:1::2")
    with pytest.raises(NetlabError):
        addresses.take()
    addresses.release(["10.244.1.2"])
    assert addresses.take() == ("10.244.1.2", "fd00:1::3")


@given(st.lists(st.booleans(), max_size=60))
def test_no_address_is_ever_given_out_twice(steps):
    pool = PodAddressPool("10.244.1.0/27")
    held: list[str] = []
    for take in steps:
        if take and len(held) < 29:
            address = pool.take()
            assert address not in held
            assert ipaddress.ip_address(address) in pool.network
            held.append(address)
        elif held:
            pool.release(held.pop(0))


def test_addresses_are_used_again_in_the_order_they_were_given_back():
    pool = PodAddressPool("10.244.1.0/29")  # .2 to .6
    taken = [pool.take() for _ in range(5)]
    order = [taken[2], taken[0], taken[4]]
    for address in order:
        pool.release(address)
    assert [pool.take() for _ in range(3)] == order


def test_one_that_another_had_is_known_for_that():
    addresses = NodeAddresses(["10.244.1.0/30"])
    first = addresses.take()
    assert not addresses.reused(first)
    addresses.release(first)
    assert addresses.reused(addresses.take())


def test_addresses_rest_beyond_the_end_of_a_controller(tmp_path):
    """Whatever it came to: said that one was given back, or not even that."""
    book = AddressBook(tmp_path / "10.244.1.0-29")
    pool = PodAddressPool("10.244.1.0/29", book)
    two, three, four = (pool.take() for _ in range(3))
    pool.release(three)
    pool.release(two)
    again = PodAddressPool("10.244.1.0/29", book)  # `four` ended with the controller
    assert [again.take() for _ in range(5)] == ["10.244.1.5", "10.244.1.6", three, two, four]
    third = PodAddressPool("10.244.1.0/29", book)
    for address in (two, four):
        third.reserve(address)
    assert third.take() == three
    assert third.is_reused(three)


def test_the_book_takes_no_more_than_it_holds(tmp_path):
    pool = PodAddressPool("fd00:1::/64", AddressBook(tmp_path / "book"))
    assert pool.take() == "fd00:1::2"
    pool.reserve("fd00:1::ffff")
    assert pool.take() == "fd00:1::3", "behind the last come those that rest"
    assert (tmp_path / "book").stat().st_size <= 8 * 65536


def test_a_book_that_cannot_be_written_stops_nobody(tmp_path):
    pool = PodAddressPool("10.244.1.0/29", AddressBook(tmp_path / "missing" / "book"))
    assert pool.take() == "10.244.1.2"
    pool.release("10.244.1.2")


def test_addresses_that_are_not_the_nodes_are_nothing_to_it(tmp_path):
    """Whoever may write a pod's status may write any address into it."""
    path = tmp_path / "book"
    node = NodeAddresses(["10.244.1.0/24"], lambda _: AddressBook(path))
    for foreign in ("250.0.0.1", "10.244.0.9", "10.244.1.1", "10.244.1.255", "fd00::1"):
        assert not node.are_own([foreign])
        node.reserve([foreign])
        assert not node.reused([foreign])
        node.release([foreign])
    assert node.take() == ("10.244.1.2",)
    assert path.stat().st_size == 3 * 8
    assert node.are_own(["10.244.1.2"])
