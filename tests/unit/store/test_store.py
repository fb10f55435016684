from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import AlreadyExists, Conflict, NetlabError, NotSaved
from netlab.store.journal import EVENTS_KEPT, GROWTH
from netlab.store.log import Change, FellBehind, KindLog
from netlab.store.store import Store


def _config(name: str, space: str = "default", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": space}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _version(store: Store, name: str) -> str:
    found = store.get("ConfigMap", "default", name)
    return str(found["metadata"]["resourceVersion"]) if found else ""


def test_revisions_are_global_and_rise_by_one() -> None:
    store = Store(None)
    first = store.write(_config("a"), expected="")
    second = store.write({**_config("a"), "kind": "Secret"}, expected="")
    assert (first["metadata"]["resourceVersion"], second["metadata"]["resourceVersion"]) == (
        "2",
        "3",
    )
    assert store.revision == 3


def test_compare_and_set() -> None:
    store = Store(None)
    store.write(_config("a"), expected="")
    with pytest.raises(AlreadyExists):
        store.write(_config("a"), expected="")
    with pytest.raises(Conflict, match="the object has been modified"):
        store.write(_config("a"), expected="99")
    with pytest.raises(Conflict):
        store.remove(_config("a"), expected="99")
    assert store.revision == 2
    store.write(_config("a", x="1"), expected="2")
    assert store.get("ConfigMap", "default", "a") == {
        **_config("a", x="1"),
        "metadata": {"name": "a", "namespace": "default", "resourceVersion": "3"},
    }


def test_lists_come_by_namespace_and_name() -> None:
    store = Store(None)
    for space, name in (("b", "y"), ("a", "z"), ("b", "x"), ("a", "c")):
        store.write(_config(name, space), expected="")
    names = [(o["metadata"]["namespace"], o["metadata"]["name"]) for o in store.list("ConfigMap")]
    assert names == [("a", "c"), ("a", "z"), ("b", "x"), ("b", "y")]
    assert [o["metadata"]["name"] for o in store.list("ConfigMap", "b")] == ["x", "y"]
    assert store.list("ConfigMap", "none") == []


def test_a_removed_object_leaves_a_change_with_the_removals_revision() -> None:
    store = Store(None)
    written = store.write(_config("a"), expected="")
    last = store.remove(written, expected="2")
    assert written["metadata"]["resourceVersion"] == "2", "the shared object was changed"
    change = store.log("ConfigMap").read(1)
    assert change is not None
    assert (change.type, change.revision, change.object, change.previous) == (
        "DELETED",
        3,
        last,
        written,
    )


def test_the_log_forgets_the_oldest_and_says_so() -> None:
    store = Store(None, log_kept=4)
    for number in range(8):
        store.write(_config(f"c{number}"), expected="")
    with pytest.raises(FellBehind):
        store.log("ConfigMap").read(3)
    with pytest.raises(FellBehind):
        store.position_after("ConfigMap", 4)
    position = store.position_after("ConfigMap", 5)
    change = store.log("ConfigMap").read(position)
    assert change is not None and change.revision == 6


def test_a_revision_from_the_future_is_not_known() -> None:
    with pytest.raises(FellBehind):
        Store(None).position_after("ConfigMap", 100)


def test_the_past_is_known_as_far_as_the_log_goes(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    store.write(_config("a", x="1"), expected="")
    store.write(_config("b"), expected="")
    then = store.revision
    store.write(_config("a", x="2"), expected="2")
    store.write(_config("c"), expected="")
    store.remove(_config("b"), expected="3")
    store.write(_config("b", "elsewhere"), expected="")
    for known in (store, Store(tmp_path / "store")):  # and by the journal
        past = known.list_at("ConfigMap", "default", then)
        assert [(obj["metadata"]["name"], obj["data"]) for obj in past] == [
            ("a", {"x": "1"}), ("b", {})
        ]  # fmt: skip
        assert len(known.list_at("ConfigMap", None, then)) == 2
        assert known.list_at("ConfigMap", None, known.revision) == known.list("ConfigMap")
        for unknown in (0, known.revision + 1):
            with pytest.raises(FellBehind):
                known.list_at("ConfigMap", None, unknown)


def test_objects_and_events_outlive_the_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.journal")
    store.write(_config("a", x="1"), expected="")
    store.write(_config("a", x="2"), expected="2")
    store.write(_config("b"), expected="")
    store.remove(_config("b"), expected="4")
    store.close()

    again = Store(tmp_path / "store.journal")
    assert again.revision == 5
    assert [o["data"] for o in again.list("ConfigMap")] == [{"x": "2"}]
    position = again.position_after("ConfigMap", 2)
    change = again.log("ConfigMap").read(position)
    assert change is not None and change.previous is not None
    assert (change.type, change.previous["data"]) == ("MODIFIED", {"x": "1"})
    gone = again.log("ConfigMap").read(position + 2)
    assert gone is not None and gone.type == "DELETED" and gone.previous is not None
    again.close()


def test_only_the_last_thousand_events_are_saved(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.journal")
    for number in range(EVENTS_KEPT + 50):
        store.write(_config("a", x=str(number)), expected=_version(store, "a"))
    store.close()
    again = Store(tmp_path / "store.journal")
    with pytest.raises(FellBehind):
        again.position_after("ConfigMap", 50)
    assert again.log("ConfigMap").end() == EVENTS_KEPT
    assert again.position_after("ConfigMap", again.revision - 10) == EVENTS_KEPT - 10
    again.close()


def test_what_was_written_outlives_a_kill_at_once(tmp_path: Path) -> None:
    """Nothing has to happen after `write`: no turn of an event loop, no end in good order."""
    killed = Store(tmp_path / "store.journal")
    killed.write(_config("a"), expected="")
    survivor = Store(tmp_path / "store.journal")  # the first one was never closed
    assert [o["metadata"]["name"] for o in survivor.list("ConfigMap")] == ["a"]
    assert survivor.revision == killed.revision == 2
    assert survivor.position_after("ConfigMap", 2) == 1
    with pytest.raises(FellBehind):
        survivor.position_after("ConfigMap", 3)
    survivor.close()
    killed.close()


def test_a_write_is_in_the_file_before_anybody_can_hear_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store.journal")
    told: list[str] = []

    def append(log: KindLog, change: Change) -> None:
        told.append((tmp_path / "store.journal").read_text().splitlines()[-1].partition(" ")[0])

    monkeypatch.setattr(KindLog, "append", append)
    store.write(_config("a"), expected="")
    store.write(_config("a", x="1"), expected="2")
    store.remove(_config("a"), expected="3")
    assert told == ["ADDED", "MODIFIED", "DELETED"]
    store.close()


@pytest.mark.parametrize("cut", [1, 10, 100])
def test_a_line_that_a_kill_cut_off_is_dropped(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "store.journal"
    store = Store(path)
    store.write(_config("a"), expected="")
    store.write(_config("b"), expected="")
    store.close()
    os.truncate(path, path.stat().st_size - cut)
    for name in ("c", "d"):
        survivor = Store(path)
        assert survivor.get("ConfigMap", "default", "b") is None
        survivor.write(_config(name), expected="")
        survivor.close()
    again = Store(path)
    assert [o["metadata"]["name"] for o in again.list("ConfigMap")] == ["a", "c", "d"]
    assert again.revision == 4
    again.close()


def test_the_file_is_written_anew_when_it_has_grown(tmp_path: Path) -> None:
    path = tmp_path / "store.journal"
    store = Store(path)
    store.write(_config("kept"), expected="")
    text = "x" * 20_000
    for number in range(EVENTS_KEPT + 100):
        store.write(_config("a", x=text + str(number)), expected=_version(store, "a"))
        assert path.stat().st_size < GROWTH + 3 * EVENTS_KEPT * len(text)
    assert path.stat().st_size < (EVENTS_KEPT + 110) * (len(text) + 200)
    store.write(_config("b"), expected="")
    store.close()
    again = Store(path)
    assert [o["metadata"]["name"] for o in again.list("ConfigMap")] == ["a", "b", "kept"]
    assert again.position_after("ConfigMap", again.revision - 10) == EVENTS_KEPT - 10
    again.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["store.journal"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_junk_instead_of_a_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "store.journal").write_bytes(b"junk" * 1000)
    with pytest.raises(NetlabError, match="cannot be read") as error:
        Store(tmp_path / "store.journal")
    assert error.value.hint


@pytest.mark.parametrize(
    "line", ["ADDED {", "ADDED {}", "ADDED []", "GONE {}", "", 'ADDED {"kind": "ConfigMap"}']
)
def test_a_broken_line_is_explained(tmp_path: Path, line: str) -> None:
    store = Store(tmp_path / "store.journal")
    store.write(_config("a"), expected="")
    store.close()
    with (tmp_path / "store.journal").open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(NetlabError, match="cannot be read"):
        Store(tmp_path / "store.journal")


def test_what_cannot_be_saved_has_not_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "store.journal")
    before = store.write(_config("a"), expected="")
    written = (tmp_path / "store.journal").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", _nearly_full)
        for attempt in (
            lambda: store.write(_config("b"), expected=""),
            lambda: store.write(_config("a", x="1"), expected="2"),
            lambda: store.remove(_config("a"), expected="2"),
        ):
            with pytest.raises(NotSaved, match="No space left on device") as error:
                attempt()
            assert error.value.code == 507
            assert str(tmp_path) in str(error.value.hint)
        assert "No space left on device" in store.refusal()
    assert (tmp_path / "store.journal").read_bytes() == written
    assert store.list("ConfigMap") == [before]
    assert (store.revision, store.log("ConfigMap").end()) == (2, 1)

    store.write(_config("b"), expected="")
    assert not store.refusal()
    store.close()
    again = Store(tmp_path / "store.journal")
    assert [o["metadata"]["name"] for o in again.list("ConfigMap")] == ["a", "b"]
    assert again.revision == 3
    again.close()


_write = os.write


def _nearly_full(descriptor: int, data: memoryview) -> int:
    """Takes ten bytes, then no more."""
    if len(data) > 100:
        return _write(descriptor, data[:10])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
