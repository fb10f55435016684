"""SQLite behind the store: its objects and its latest events, for the next start.

The database lives on a tmpfs: what matters is that a killed process leaves it whole, not that
it survives a power cut, hence WAL without fsync.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from netlab.errors import NetlabError
from netlab.objects import meta
from netlab.objects.meta import Object
from netlab.store.log import Change

EVENTS_KEPT = 1000
EVENTS_ABOVE = 100  # how many more there may be until the oldest are dropped, all at once

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  kind TEXT, namespace TEXT, name TEXT, body TEXT NOT NULL,
  PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  revision INTEGER PRIMARY KEY, type TEXT NOT NULL, body TEXT NOT NULL, previous TEXT
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT OR IGNORE INTO facts VALUES ('revision', 1), ('clean', 1), ('floor', 1);
"""
# The row that is about to be replaced is the event's previous object.
_EVENT = """
INSERT INTO events VALUES
  (?, ?, ?, (SELECT body FROM objects WHERE kind = ? AND namespace = ? AND name = ?))
"""
_PUT = "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)"
_REMOVE = "DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?"
_FIRST_TOO_OLD = "SELECT revision FROM events ORDER BY revision DESC LIMIT 1 OFFSET ?"
_FACT = "UPDATE facts SET value = ? WHERE name = ?"


@dataclass(frozen=True)
class Saved:
    """What a database holds; `floor` is the revision up to which events may be missing."""

    revision: int
    floor: int
    clean: bool
    objects: list[Object]
    changes: list[Change]


class Database:
    """One open database file; `write` is one transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._added = 0
        path.touch(mode=0o600)  # it holds Secrets
        self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._sql.execute("PRAGMA journal_mode = WAL")
            self._sql.execute("PRAGMA synchronous = OFF")
            self._sql.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise self._unusable(error) from error

    def load(self) -> Saved:
        """Read everything, and mark the file as in use until `close`."""
        try:
            self._forget()
            facts = dict(self._sql.execute("SELECT name, value FROM facts"))
            bodies = self._sql.execute("SELECT body FROM objects")
            objects = [json.loads(body) for (body,) in bodies]
            changes = self._changes()
            self._sql.execute(_FACT, (0, "clean"))
        except (sqlite3.Error, json.JSONDecodeError) as error:
            raise self._unusable(error) from error
        return Saved(facts["revision"], facts["floor"], bool(facts["clean"]), objects, changes)

    def _changes(self) -> list[Change]:
        rows = self._sql.execute("SELECT * FROM events ORDER BY revision")
        return [
            Change(revision, kind, json.loads(body), json.loads(previous) if previous else None)
            for revision, kind, body, previous in rows
        ]

    def write(self, changes: Sequence[Change]) -> None:
        """Append changes, all or none; `sqlite3.Error` when the file cannot take them."""
        with self._transaction():
            for change in changes:
                self._write_one(change)
            self._sql.execute(_FACT, (changes[-1].revision, "revision"))
            self._added += len(changes)
            if self._added >= EVENTS_ABOVE:
                self._forget()
                self._added = 0

    def _write_one(self, change: Change) -> None:
        key = (change.object["kind"], meta.namespace(change.object), meta.name(change.object))
        body = json.dumps(change.object, separators=(",", ":"))
        self._sql.execute(_EVENT, (change.revision, change.type, body, *key))
        if change.type == "DELETED":
            self._sql.execute(_REMOVE, key)
        else:
            self._sql.execute(_PUT, (*key, body))

    def _forget(self) -> None:
        """Keep the latest events only. (Revisions have gaps, so the events must be counted.)"""
        oldest = self._sql.execute(_FIRST_TOO_OLD, (EVENTS_KEPT,)).fetchone()
        if oldest:
            self._sql.execute("DELETE FROM events WHERE revision <= ?", oldest)
            self._sql.execute(_FACT, (*oldest, "floor"))

    def close(self, revision: int) -> None:
        """Note an orderly end and let go of the file."""
        with self._transaction():
            self._sql.execute(_FACT, (revision, "revision"))
            self._sql.execute(_FACT, (1, "clean"))
        self._sql.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Commit at the end, roll back on an error. (sqlite3's own `with` does not begin.)"""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise

    def _unusable(self, error: Exception) -> NetlabError:
        self._sql.close()
        return NetlabError(
            f"the lab's store {self._path} cannot be read: {error}",
            hint="netlab down removes it together with the lab; netlab up starts afresh",
        )
