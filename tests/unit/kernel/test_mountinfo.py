"""What is mounted where, whatever people have called it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.kernel import mountinfo

BESIDE = "41 30 0:36 / /run/netlab/a rw,nosuid - tmpfs netlab rw,mode=711\n"


def line(point: bytes, source: bytes = b"none") -> str:
    return os.fsdecode(b"40 30 0:35 / " + point + b" rw shared:1 - tmpfs " + source + b" rw\n")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        (rb"/mnt/a\040b\011c\012d\134e", b"/mnt/a b\tc\nd\\e"),
        (b"/mnt/\xff", b"/mnt/\xff"),
        ("/mnt/ü".encode(), "/mnt/ü".encode()),
        (b"/mnt/a\fb\vc\x1cd\r", b"/mnt/a\fb\vc\x1cd\r"),
        ("/mnt/a\x85b\u2028c".encode(), "/mnt/a\x85b\u2028c".encode()),
        (rb"/mnt/\134040", rb"/mnt/\040"),
    ],
)
def test_a_name_of_any_bytes_is_one_mount_point(written: bytes, name: bytes) -> None:
    first, second = mountinfo.parsed(line(written, written) + BESIDE)
    assert os.fsencode(first.point) == os.fsencode(first.source) == name
    assert first.kind == "tmpfs"
    assert second.point == Path("/run/netlab/a")
    assert (second.device, second.options, second.own_options) == (
        (0, 36),
        "rw,nosuid",
        "rw,mode=711",
    )


def test_a_mount_of_nothing_has_no_source() -> None:
    (found,) = mountinfo.parsed(line(b"/mnt", b""))
    assert (found.source, found.own_options) == ("", "rw")
