"""What a lab has told anybody, so that it can be held to it after a kill.

Strangers to the lab write, read and watch, and note each answer and each event. The changes that
the next controller knows of, as its watches tell them, must have them all.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netlab.client.sync import Client
from netlab.errors import ApiError, NetlabError

Json = dict[str, Any]
KINDS = ("ConfigMap", "Pod", "Deployment")
SPACE = "/api/v1/namespaces/default"
CONFIGS, PODS = f"{SPACE}/configmaps", f"{SPACE}/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
MARK = "mark"
"""The object that says where the changes of a kind end."""
NOWHERE = "nowhere"
"""A node that there is not: what is bound to it is left alone."""

_EXPECTED = (404, 409, 422)
"""Failures that come of several who write at once."""


@dataclass(frozen=True)
class Event:
    """A change, as a watch tells it."""

    type: str
    kind: str
    name: str
    revision: int
    object: Json = field(compare=False, hash=False)


@dataclass
class Ledger:
    """All that was told between two kills. `known` is what there was at its beginning."""

    known: dict[str, dict[str, int]]
    since: dict[str, int]
    told: list[str] = field(default_factory=list)
    writes: int = 0
    seen: int = 0
    failures: list[str] = field(default_factory=list)
    _promises: list[tuple[str, Callable[[list[Event]], bool]]] = field(default_factory=list)

    @classmethod
    def opened(cls, client: Client) -> Ledger:
        known, since = {}, {}
        for kind in KINDS:
            answer = client.request("GET", _path(kind))
            known[kind] = {obj["metadata"]["name"]: _revision(obj) for obj in answer["items"]}
            since[kind] = int(answer["metadata"]["resourceVersion"])
        return cls(known, since)

    def wrote(self, what: str, promise: Callable[[list[Event]], bool]) -> None:
        """A write was answered: such a change must be among those that are known later."""
        self.writes += 1
        self._promises.append((f"acknowledged: {what}", promise))

    def wrote_object(self, what: str, kind: str, obj: Json) -> None:
        name, revision = obj["metadata"]["name"], _revision(obj)
        self.wrote(
            f"{what} {kind} {name} at {revision}", lambda events: _at(events, kind, name, revision)
        )

    def saw(self, how: str, kind: str, obj: Json, type_: str = "") -> None:
        """A state was shown to somebody."""
        name, revision = obj["metadata"]["name"], _revision(obj)
        if not type_ and self.known[kind].get(name) == revision:
            return
        self.seen += 1
        self._promises.append(
            (
                f"{how}: {type_} {kind} {name} at {revision}",
                lambda events: _at(events, kind, name, revision, type_),
            )
        )

    def broken(self, client: Client) -> list[str]:
        """What was told and is not so any more, now that another controller answers."""
        events = [event for kind in KINDS for event in changes(client, kind, self.since[kind])]
        lost = [what for what, promise in self._promises if not promise(events)]
        state = dict(self.known["ConfigMap"])
        for event in events:
            if event.kind == "ConfigMap" and event.name != MARK:
                state[event.name] = event.revision
                if event.type == "DELETED":
                    del state[event.name]
        listed = client.list("ConfigMap", "default")
        now = {obj["metadata"]["name"]: _revision(obj) for obj in listed}
        return lost + ([] if now == state else [f"listed {now}, but its changes make {state}"])


def changes(client: Client, kind: str, since: int) -> list[Event]:
    """All changes of a kind after a revision, up to one made for the purpose."""
    last = _mark(client, kind)
    found = []
    for event in client.watch(kind, "default", query={"resourceVersion": since}):
        obj = event["object"]
        made = Event(event["type"], kind, obj["metadata"]["name"], _revision(obj), obj)
        found.append(made)
        if made.revision == last:
            return found
    raise AssertionError(f"the watch of {kind} ended before revision {last}")


def _mark(client: Client, kind: str) -> int:
    """Change an object of the kind; the revision of that."""
    if kind == "Deployment":
        mark = {"metadata": {"annotations": {"mark": str(random.random())}}}
        return _revision(client.request("PATCH", DEPLOYMENT, mark, content_type=MERGE))
    body = pod(MARK) if kind == "Pod" else {"metadata": {"name": MARK}}
    made = _revision(client.request("POST", _path(kind), body))
    client.request("DELETE", f"{_path(kind)}/{MARK}")
    return made


def pod(name: str) -> Json:
    """One that nobody places."""
    container = {"name": "c", "image": "busybox"}
    return {
        "metadata": {"name": name, "labels": {"of": "strangers"}},
        "spec": {"schedulerName": "none", "containers": [container]},
    }


class Strangers:
    """Who write, read and watch until the controller is gone, each in a thread of its own."""

    def __init__(self, socket: Path, ledger: Ledger, seed: int) -> None:
        self._socket, self._ledger = socket, ledger
        works = [self._configs, self._configs, self._pods, self._deployment, self._reads]
        works += [self._watch(kind) for kind in KINDS]
        self._threads = [
            threading.Thread(target=self._until_gone, args=(work, random.Random(seed + number)))
            for number, work in enumerate(works)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive()

    def _until_gone(
        self, work: Callable[[Client, random.Random], None], chance: random.Random
    ) -> None:
        with Client(self._socket) as client:
            while True:
                try:
                    work(client, chance)
                except ApiError as error:
                    if error.code not in _EXPECTED:
                        self._ledger.failures.append(f"{error.code} {error.message}")
                        return
                except (NetlabError, OSError, ValueError):
                    return

    # -- writing ---------------------------------------------------------------------------

    def _configs(self, client: Client, chance: random.Random) -> None:
        name, value = f"c{chance.randrange(12)}", {"n": str(chance.random())}
        path, body = f"{CONFIGS}/{name}", {"metadata": {"name": name}, "data": value}
        match chance.randrange(8):
            case 0 | 1:
                made = client.request("POST", CONFIGS, body)
            case 2:
                named = {"metadata": {"generateName": "g-", "labels": {"of": "many"}}}
                made = client.request("POST", CONFIGS, named)
            case 3:
                made = client.request("PUT", path, {**client.request("GET", path), "data": value})
            case 4:
                made = client.request("PATCH", path, {"data": value}, content_type=MERGE)
            case 5:
                whole = {"apiVersion": "v1", "kind": "ConfigMap", **body}
                query = {"fieldManager": "stranger", "force": "true"}
                made = client.request("PATCH", path, whole, query=query, content_type=APPLY)
            case 6:
                before = _revision(client.request("GET", path))
                client.request("DELETE", path)
                self._ledger.wrote(f"deleted {name}", _gone("ConfigMap", name, before))
                return
            case _:
                gone = client.request("DELETE", CONFIGS, query={"labelSelector": "of=many"})
                for obj in gone["items"]:
                    self._ledger.wrote_object("deleted with others", "ConfigMap", obj)
                return
        self._ledger.wrote_object("wrote", "ConfigMap", made)

    def _pods(self, client: Client, chance: random.Random) -> None:
        """A pod's life: made, given a condition, bound, and evicted or deleted."""
        name = f"p{chance.randrange(10**9)}"
        path = f"{PODS}/{name}"
        made = client.request("POST", PODS, pod(name))
        self._ledger.wrote_object("made", "Pod", made)
        status = {"status": {"conditions": [{"type": "Odd", "status": "True"}]}}
        told = client.request("PATCH", f"{path}/status", status, content_type=MERGE)
        self._ledger.wrote_object("told the status of", "Pod", told)
        revision = _revision(told)
        if chance.random() < 0.5:
            target = {"apiVersion": "v1", "kind": "Node", "name": NOWHERE}
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}}
            client.request("POST", f"{path}/binding", {**body, "target": target})
            self._ledger.wrote(f"bound {name}", _bound(name))
            client.request("DELETE", path, {"gracePeriodSeconds": 0})
        else:
            body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            client.request("POST", f"{path}/eviction", body)
        self._ledger.wrote(f"ended {name}", _gone("Pod", name, revision))

    def _deployment(self, client: Client, chance: random.Random) -> None:
        """Something for the lab's own controllers to do."""
        scale = {"spec": {"replicas": chance.randrange(4)}}
        told = client.request("PATCH", f"{DEPLOYMENT}/scale", scale, content_type=MERGE)
        self._ledger.saw("scaled", "Deployment", told)
        threading.Event().wait(0.1)

    # -- reading ---------------------------------------------------------------------------

    def _reads(self, client: Client, chance: random.Random) -> None:
        kind = chance.choice(KINDS)
        for obj in client.list(kind, "default"):
            self._ledger.saw("listed", kind, obj)
        name = f"c{chance.randrange(12)}"
        self._ledger.saw("read", "ConfigMap", client.request("GET", f"{CONFIGS}/{name}"))

    def _watch(self, kind: str) -> Callable[[Client, random.Random], None]:
        def follow(client: Client, _chance: random.Random) -> None:
            query = {"resourceVersion": self._ledger.since[kind]}
            for event in client.watch(kind, "default", query=query):
                self._ledger.saw("watched", kind, event["object"], event["type"])

        return follow


def _at(events: list[Event], kind: str, name: str, revision: int, type_: str = "") -> bool:
    return any(
        (event.kind, event.name, event.revision) == (kind, name, revision)
        and type_ in ("", event.type)
        for event in events
    )


def _gone(kind: str, name: str, since: int) -> Callable[[list[Event]], bool]:
    def holds(events: list[Event]) -> bool:
        of_it = [e for e in events if (e.kind, e.name) == (kind, name) and e.revision > since]
        return any(event.type == "DELETED" for event in of_it)

    return holds


def _bound(name: str) -> Callable[[list[Event]], bool]:
    def holds(events: list[Event]) -> bool:
        of_it = [e for e in events if (e.kind, e.name) == ("Pod", name)]
        return any(event.object["spec"].get("nodeName") == NOWHERE for event in of_it)

    return holds


def _revision(obj: Json) -> int:
    return int(obj["metadata"]["resourceVersion"])


def _path(kind: str) -> str:
    return {"ConfigMap": CONFIGS, "Pod": PODS, "Deployment": DEPLOYMENT.rpartition("/")[0]}[kind]
