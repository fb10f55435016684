"""The link of a node's cache: a dummy where the kernel has such, else a bridge."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from netlab.errors import KernelRefused
from netlab.network import cachelink, names


class Kernel:
    """Takes requests, but for links of a kind that it lacks."""

    def __init__(self, lacks: bytes = b"", refusal: int = errno.EOPNOTSUPP) -> None:
        self.lacks, self.refusal = lacks, refusal
        self.taken: list[bytes] = []

    def request(self, messages: Any) -> None:
        for each in messages:
            if self.lacks and self.lacks in each.body:
                raise KernelRefused(each.what, self.refusal)
            self.taken.append(each.body)


def made(kernel: Kernel) -> bytes:
    socket: Any = kernel
    cachelink._add(socket)
    (body,) = kernel.taken
    assert names.NODE_CACHE_LINK.encode() in body
    return body


def test_it_is_a_dummy() -> None:
    assert b"dummy" in made(Kernel())


def test_without_dummies_it_is_a_bridge() -> None:
    assert b"bridge" in made(Kernel(lacks=b"dummy"))


def test_any_other_refusal_is_told() -> None:
    with pytest.raises(KernelRefused):
        made(Kernel(lacks=b"dummy", refusal=errno.EPERM))
