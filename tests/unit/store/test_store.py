from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from netlab.errors import AlreadyExists, Conflict, NetlabError
from netlab.store.database import EVENTS_KEPT
from netlab.store.log import FellBehind
from netlab.store.store import REVISIONS_SKIPPED, Store


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


def test_objects_and_events_outlive_the_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.write(_config("a", x="1"), expected="")
    store.write(_config("a", x="2"), expected="2")
    store.write(_config("b"), expected="")
    store.remove(_config("b"), expected="4")
    store.close()

    again = Store(tmp_path / "store.db")
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
    store = Store(tmp_path / "store.db")
    for number in range(EVENTS_KEPT + 50):
        store.write(_config("a", x=str(number)), expected=_version(store, "a"))
    store.close()
    again = Store(tmp_path / "store.db")
    with pytest.raises(FellBehind):
        again.position_after("ConfigMap", 50)
    assert again.log("ConfigMap").end() == EVENTS_KEPT
    assert again.position_after("ConfigMap", again.revision - 10) == EVENTS_KEPT - 10
    again.close()


def test_a_killed_process_loses_no_settled_write_and_no_revision_is_given_twice(
    tmp_path: Path,
) -> None:
    killed = Store(tmp_path / "store.db")
    killed.write(_config("a"), expected="")
    survivor = Store(tmp_path / "store.db")  # the first one was never closed
    assert [o["metadata"]["name"] for o in survivor.list("ConfigMap")] == ["a"]
    assert survivor.revision == 2 + REVISIONS_SKIPPED
    assert survivor.position_after("ConfigMap", 2) == 1
    with pytest.raises(FellBehind):  # given out by the killed process, perhaps, and lost
        survivor.position_after("ConfigMap", 3)
    survivor.close()
    assert killed._database
    killed._database._sql.close()


def test_the_revisions_skipped_after_a_kill_cost_no_saved_events(tmp_path: Path) -> None:
    for name in ("a", "b"):
        store = Store(tmp_path / "store.db")
        store.write(_config(name), expected="")
        assert store._database
        store._database._sql.close()  # killed
    survivor = Store(tmp_path / "store.db")
    assert survivor.position_after("ConfigMap", 2) == 1
    assert survivor.log("ConfigMap").end() == 2
    survivor.close()


def test_writes_of_one_turn_of_the_loop_are_one_transaction(tmp_path: Path) -> None:
    def saved() -> int:
        with sqlite3.connect(tmp_path / "store.db") as sql:
            (count,) = sql.execute("SELECT count(*) FROM objects").fetchone()
        sql.close()
        return int(count)

    async def burst() -> tuple[int, int]:
        for number in range(10):
            store.write(_config(f"c{number}"), expected="")
        before = saved()
        await asyncio.sleep(0)
        return before, saved()

    store = Store(tmp_path / "store.db")
    assert asyncio.run(burst()) == (0, 10)
    store.close()


def test_junk_instead_of_a_database_is_explained(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"junk" * 1000)
    with pytest.raises(NetlabError, match="cannot be read") as error:
        Store(tmp_path / "store.db")
    assert error.value.hint


def test_a_broken_row_is_explained(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    store.write(_config("a"), expected="")
    store.close()
    with sqlite3.connect(tmp_path / "store.db") as sql:
        sql.execute("UPDATE objects SET body = '{'")
    sql.close()
    with pytest.raises(NetlabError, match="cannot be read"):
        Store(tmp_path / "store.db")


def test_a_refused_transaction_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "store.db")
    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", _refuse)
        store.write(_config("a"), expected="")
    assert "disk is full" in caplog.text
    store.write(_config("b"), expected="")
    store.close()
    again = Store(tmp_path / "store.db")
    assert [o["metadata"]["name"] for o in again.list("ConfigMap")] == ["a", "b"]
    again.close()


def _refuse(*_: object, **__: object) -> str:
    raise sqlite3.OperationalError("database or disk is full")
