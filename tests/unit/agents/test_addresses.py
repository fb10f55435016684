import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.agents.addresses import AddressPool, NodeAddresses
from netlab.errors import NetlabError


def test_the_first_pod_gets_the_address_after_the_bridge():
    assert AddressPool("10.244.1.0/24").take() == "10.244.1.2"


def test_a_released_address_is_used_again_last():
    pool = AddressPool("10.244.1.0/29")  # .2 to .6
    first = [pool.take() for _ in range(3)]
    pool.release(first[0])
    assert pool.take() == "10.244.1.5"
    assert pool.take() == "10.244.1.6"
    assert pool.take() == first[0]


def test_a_full_range_says_so():
    pool = AddressPool("10.244.1.0/30")
    assert pool.take() == "10.244.1.2"
    with pytest.raises(NetlabError, match="no free pod address"):
        pool.take()


def test_reserved_addresses_are_not_given_out():
    pool = AddressPool("10.244.1.0/29")
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
    pool = AddressPool("10.244.1.0/27")
    held: list[str] = []
    for take in steps:
        if take and len(held) < 29:
            address = pool.take()
            assert address not in held
            assert ipaddress.ip_address(address) in pool.network
            held.append(address)
        elif held:
            pool.release(held.pop(0))
