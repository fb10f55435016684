"""Files in versions: all of a change is in force at once, or none of it."""

from __future__ import annotations

import os
from pathlib import Path

from netlab.workload.published import Published


def test_a_version_is_in_force_once_it_is_published(tmp_path: Path) -> None:
    published = Published(tmp_path / "config")
    assert published.files() == {}
    first = {"main.conf": "include sites/*", "sites/a/one": "1"}
    published.publish(published.prepare(first))
    assert published.files() == first
    prepared = published.prepare({"main.conf": "2"})
    assert published.files() == first
    published.publish(prepared)
    assert published.files() == {"main.conf": "2"}
    assert sorted(each.name for each in published.directory.iterdir()) == ["2", "current"]


def test_what_is_discarded_leaves_nothing(tmp_path: Path) -> None:
    published = Published(tmp_path / "config")
    published.publish(published.prepare({"a": "1"}))
    published.discard(published.prepare({"a": "2"}))
    assert published.files() == {"a": "1"}
    assert sorted(each.name for each in published.directory.iterdir()) == ["1", "current"]


def test_who_reads_the_former_files_finds_the_new_ones_by_the_same_name(tmp_path: Path) -> None:
    published = Published(tmp_path / "config")
    published.publish(published.prepare({"a": "1"}))
    with (published.current / "a").open() as reading:
        published.publish(published.prepare({"a": "2"}))
        assert reading.read() == "1"
    assert (published.current / "a").read_text() == "2"


def test_everybody_may_read_whatever_the_umask(tmp_path: Path) -> None:
    published = Published(tmp_path / "config")
    former = os.umask(0o077)
    try:
        published.publish(published.prepare({"sites/one": "1"}))
    finally:
        os.umask(former)
    modes = [path.stat().st_mode & 0o777 for path in (published.current, published.directory)]
    assert modes == [0o755, 0o755]
    assert (published.current / "sites").stat().st_mode & 0o777 == 0o755
    assert (published.current / "sites" / "one").stat().st_mode & 0o777 == 0o644
