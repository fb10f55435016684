"""Tables of options as libxtables has them in memory, before 1.8.11 and since."""

import ctypes

import pytest

from netlab.proxy.iptables.option_tables import entries

HEAD = [
    ("name", ctypes.c_char_p),
    ("type", ctypes.c_int),
    *((name, ctypes.c_uint) for name in ("id", "excl", "also", "flags", "ptroff")),
    ("size", ctypes.c_size_t),
]


class Narrow(ctypes.Structure):
    """As python-iptables has it."""

    _fields_ = [*HEAD, ("min", ctypes.c_uint), ("max", ctypes.c_uint)]


class Wide(ctypes.Structure):
    _fields_ = [*HEAD, ("min", ctypes.c_ulonglong), ("max", ctypes.c_ulonglong)]


def found(kind, *options):
    """The names and ids that are found in a table of `(name, largest value)`."""
    names = b"\0".join(name for name, _ in options) + b"\0"
    words = ctypes.create_string_buffer(names)  # side by side, as in a shared object
    table = (kind * (len(options) + 1))()
    at = ctypes.addressof(words)
    for number, (name, most) in enumerate(options):
        entry = table[number]
        ctypes.c_size_t.from_address(ctypes.addressof(entry)).value = at
        entry.id, entry.max = number, most & (2 ** (8 * type(entry).max.size) - 1)
        at += len(name) + 1
    pointer = ctypes.cast(table, ctypes.POINTER(Narrow))
    return [(each.name, each.id) for each in entries(pointer)]


@pytest.mark.parametrize("kind", [Narrow, Wide])
@pytest.mark.parametrize("most", [0, 1, 65535, 2**32 - 1, 2**64 - 1])
def test_all_options_are_found_whatever_their_bounds(kind, most):
    names = [b"mode", b"probability", b"every", b"packet"]
    options = [(name, most) for name in names]
    assert found(kind, *options) == [(name, number) for number, name in enumerate(names)]
    assert found(kind, options[0]) == [(b"mode", 0)]
    assert found(kind, *options[:2]) == [(b"mode", 0), (b"probability", 1)]
