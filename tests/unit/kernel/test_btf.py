"""A kernel's description of its types: read, and refused where it is none."""

import struct

import pytest

from netlab.kernel.btf import Types

STRINGS = b"\0packet\0head\0len\0reason\0NONE\0LOST\0"


def at(name):
    return STRINGS.index(f"\0{name}\0".encode()) + 1


def kind(number, members, has_sizes=False):
    return number << 24 | members | has_sizes << 31


def described(magic=0xEB9F):
    """An int, a struct with an unnamed union in it, an enumeration."""
    words = [
        *(0, kind(1, 0), 4, 32),
        *(0, kind(5, 1), 4, at("len"), 1, 32),
        *(at("packet"), kind(4, 2), 16, at("head"), 1, 0, 0, 2, 64),
        *(at("reason"), kind(6, 2), 4, at("NONE"), 0, at("LOST"), 7),
    ]
    types = struct.pack(f"={len(words)}I", *words)
    head = struct.pack("=HBBIIIII", magic, 1, 0, 24, 0, len(types), len(types), len(STRINGS))
    return head + types + STRINGS


def test_members_have_their_places_and_values_their_names():
    types = Types(described())
    assert (types.offset("packet", "head"), types.offset("packet", "len")) == (0, 12)
    assert types.values("reason") == {0: "NONE", 7: "LOST"}


def test_what_is_not_there_is_said():
    types = Types(described())
    for asked in (
        lambda: types.offset("packet", "tail"),
        lambda: types.offset("reason", "head"),
        lambda: types.offset("socket", "head"),
        lambda: types.values("packet"),
    ):
        with pytest.raises(KeyError):
            asked()


@pytest.mark.parametrize("data", [b"", b"\x9f\xeb", described(magic=0x1234), b"x" * 100])
def test_other_data_is_refused(data):
    with pytest.raises(ValueError, match="no BTF"):
        Types(data)
