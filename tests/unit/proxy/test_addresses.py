"""Addresses and prefixes in the kernel's spelling."""

import pytest

from netlab.proxy import addresses


@pytest.mark.parametrize(
    "text, family, canonical",
    [
        ("10.0.0.1", "ipv4", "10.0.0.1"),
        ("10.0.0.256", "ipv4", None),
        ("fd00:0:0:1::31", "ipv4", None),
        ("fd00:244:0:0:0:0:0:31", "ipv6", "fd00:244::31"),
        ("10.0.0.1", "ipv6", None),
        (None, "ipv4", None),
    ],
)
def test_addresses(text, family, canonical):
    assert addresses.address(text, family) == canonical


def test_prefixes_lose_their_host_bits():
    assert addresses.prefix("10.1.2.3/8", "ipv4") == "10.0.0.0/8"
    assert addresses.prefix("10.1.2.3", "ipv4") is None
    assert addresses.prefix("10.1.2.3/40", "ipv4") is None
