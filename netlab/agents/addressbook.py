"""Remembers when pod addresses were given back, beyond the controller's end.

A file for each podCIDR in the lab's directory: eight bytes for each place in the range, 0 as long
as nobody had it. A write is in force when it returns, whatever becomes of the controller.
"""

from __future__ import annotations

import logging
import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from netlab.agents.addresses import MOST
from netlab.kernel import files

log = logging.getLogger(__name__)

_ENTRY = struct.Struct("=Q")
_GIVEN = 1


class AddressBook:
    """The book of one range; `path` is its file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mapping[int, int]:
        """Places that were ever given out: when each was given back (nanoseconds since the machine
        started), or 0 for one that was not."""
        try:
            with self._path.open("rb") as file:
                data = file.read(MOST * _ENTRY.size)
        except FileNotFoundError:
            return {}
        data = data[: len(data) // _ENTRY.size * _ENTRY.size]
        entries = enumerate(entry for (entry,) in _ENTRY.iter_unpack(data))
        return {place: 0 if when == _GIVEN else when for place, when in entries if when}

    def given(self, place: int) -> None:
        """It is given out."""
        self._write(place, _GIVEN)

    def given_back(self, place: int) -> None:
        """It is given back."""
        self._write(place, time.monotonic_ns())

    def _write(self, place: int, value: int) -> None:
        try:
            descriptor = files.opened(self._path, os.O_WRONLY)
            try:
                os.pwrite(descriptor, _ENTRY.pack(value), place * _ENTRY.size)
            finally:
                os.close(descriptor)
        except OSError as error:  # no space is left: addresses do not rest beyond our end then
            log.warning("%s: %s", self._path, error.strerror)
