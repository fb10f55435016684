"""The store against a dictionary: whatever is done to it, a watch and a restart agree with it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from netlab.errors import AlreadyExists, ApiError, Conflict, NotFound
from netlab.objects.lab import Lab, lab_from_object
from netlab.store.allocate import holding
from netlab.store.patch import json_patched, merge_patched
from netlab.store.registry import Registry
from netlab.store.store import Store
from netlab.store.watch import Watch

NAMES = st.sampled_from(["a", "b", "c"])
SPACES = st.sampled_from(["default", "other"])
LABELS = st.dictionaries(st.just("app"), st.sampled_from(["web", "db"]))
DATA = st.dictionaries(st.sampled_from(["x", "y"]), st.text("01", max_size=2))
SELECTORS = ("", "app=web", "app!=web", "!app")

Key = tuple[str, str]


def _lab() -> Lab:
    return lab_from_object(
        {"apiVersion": "netlab/v1", "kind": "Lab", "metadata": {"name": "x"}, "spec": {"nodes": 1}}
    )


def _selects(selector: str, obj: dict[str, Any]) -> bool:
    app = obj["metadata"].get("labels", {}).get("app")
    chosen = {"": True, "app=web": app == "web", "app!=web": app != "web", "!app": app is None}
    return bool(chosen[selector])


class Follower:
    """A watch and what its events add up to."""

    def __init__(self, registry: Registry, selector: str, space: str | None) -> None:
        self.selector, self.space = selector, space
        self.state: dict[Key, dict[str, Any]] = {}
        found = registry.list("ConfigMap", space, label_selector=selector)
        for obj in found.items:
            self.state[_key(obj)] = obj
        self.version = found.resource_version
        self.watch = self._watch(registry)

    def _watch(self, registry: Registry) -> Watch:
        return registry.watch(
            "ConfigMap", self.space, resource_version=self.version, label_selector=self.selector
        )

    def resume(self, registry: Registry) -> None:
        self.watch.close()
        self.watch = self._watch(registry)

    def catch_up(self) -> None:
        while (event := self.watch.poll()) is not None:
            assert event.type != "ERROR", event.object
            key, version = _key(event.object), event.object["metadata"]["resourceVersion"]
            assert int(version) > int(self.version), "events came out of order"
            self.version = version
            assert (event.type == "ADDED") == (key not in self.state)
            if event.type == "DELETED":
                del self.state[key]
            else:
                self.state[key] = event.object


def _key(obj: dict[str, Any]) -> Key:
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


class StoreMachine(RuleBasedStateMachine):
    """ConfigMaps in a registry on disk, and the dictionary they should equal."""

    @initialize()
    def start(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="netlab-fuzz-"))
        self.registry = Registry(Store(self.directory / "store.journal"), _lab())
        for name in ("default", "other"):
            self.registry.create(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            )
        self.model: dict[Key, dict[str, Any]] = {}
        self.followers = [Follower(self.registry, one, None) for one in SELECTORS]
        self.followers.append(Follower(self.registry, "app=web", "other"))

    @rule(space=SPACES, name=NAMES, labels=LABELS, data=DATA)
    def create(self, space: str, name: str, labels: dict[str, str], data: dict[str, str]) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": space, "labels": labels},
            "data": data,
        }
        if (space, name) in self.model:
            with pytest.raises(AlreadyExists):
                self.registry.create(body)
        else:
            self.registry.create(body)
            self.model[space, name] = {"labels": labels, "data": data}

    @rule(space=SPACES, name=NAMES, labels=LABELS, data=DATA, stale=st.booleans())
    def update(
        self, space: str, name: str, labels: dict[str, str], data: dict[str, str], stale: bool
    ) -> None:
        def change() -> None:
            old = self.registry.get("ConfigMap", space, name)
            version = "1" if stale else old["metadata"]["resourceVersion"]
            metadata = {**old["metadata"], "labels": labels, "resourceVersion": version}
            self.registry.update({**old, "metadata": metadata, "data": data})

        wanted = {"labels": labels, "data": data}
        self._expect(change, (space, name), wanted, Conflict if stale else None)

    @rule(space=SPACES, name=NAMES, data=DATA)
    def patch(self, space: str, name: str, data: dict[str, str]) -> None:
        old = self.model.get((space, name), {})
        self._expect(
            lambda: self.registry.patch("ConfigMap", space, name, {"data": data}),
            (space, name),
            {**old, "data": {**old.get("data", {}), **data}},
            None,
        )

    @rule(space=SPACES, name=NAMES)
    def delete(self, space: str, name: str) -> None:
        self._expect(
            lambda: self.registry.delete("ConfigMap", space, name), (space, name), None, None
        )

    def _expect(
        self,
        change: Callable[[], object],
        key: Key,
        wanted: dict[str, Any] | None,
        error: type[ApiError] | None,
    ) -> None:
        """Do it; the revision moves only if the model does."""
        before, revision = self.model.get(key), self.registry.store.revision
        if before is None:
            error = NotFound
        if error:
            with pytest.raises(error):
                change()
        else:
            change()
            self.model.pop(key)
            if wanted is not None:
                self.model[key] = wanted
        changed = self.model.get(key) != before
        assert self.registry.store.revision - revision == (1 if changed else 0)

    @rule(orderly=st.booleans())
    def restart(self, orderly: bool) -> None:
        """Stop in order, or be killed; watches resume where they were either way."""
        for follower in self.followers:
            follower.catch_up()
        self._stop(orderly)
        self.registry = Registry(Store(self.directory / "store.journal"), _lab())
        for follower in self.followers:
            follower.resume(self.registry)

    def _stop(self, orderly: bool) -> None:
        store = self.registry.store
        if orderly:
            store.close()
        elif store._journal:
            store._journal.close()

    @rule(index=st.integers(0, 4))
    def catch_up(self, index: int) -> None:
        self.followers[index].catch_up()

    @invariant()
    def the_list_is_the_model(self) -> None:
        items = self.registry.list("ConfigMap").items
        assert [_key(obj) for obj in items] == sorted(self.model)
        for obj in items:
            wanted = self.model[_key(obj)]
            assert (obj["metadata"].get("labels", {}), obj["data"]) == (
                wanted["labels"],
                wanted["data"],
            )

    def teardown(self) -> None:
        if not hasattr(self, "directory"):
            return
        try:
            self._compare()
        finally:
            self._stop(orderly=True)
            shutil.rmtree(self.directory)

    def _compare(self) -> None:
        """What watching led to is what a list shows."""
        for follower in self.followers:
            follower.catch_up()
            kept = {
                _key(obj): obj
                for obj in self.registry.list("ConfigMap", follower.space).items
                if _selects(follower.selector, obj)
            }
            assert follower.state == kept


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=30)


PORTS = st.lists(st.sampled_from([80, 81, 82]), min_size=1, max_size=3, unique=True)
TYPES = st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"])
ADDRESSES = st.sampled_from([None, "None", "10.96.0.5", "10.96.0.6"])
NODE_PORTS = st.sampled_from([None, 30001, 30002])


class ServiceMachine(RuleBasedStateMachine):
    """However Services change, what the allocator counts is what the stored Services hold."""

    @initialize()
    def start(self) -> None:
        self.registry = Registry(Store(None), _lab())
        self.registry.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}
        )

    @rule(name=NAMES, type_=TYPES, ports=PORTS, address=ADDRESSES, node_port=NODE_PORTS)
    def put(
        self, name: str, type_: str, ports: list[int], address: str | None, node_port: int | None
    ) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {
                "type": type_,
                "clusterIP": address,
                "selector": {"app": "web"},
                "externalName": "example.com" if type_ == "ExternalName" else None,
                "ports": [{"name": f"p{port}", "port": port} for port in ports],
            },
        }
        body["spec"]["ports"][0]["nodePort"] = node_port  # type: ignore[index]
        write = self.registry.update if self._exists(name) else self.registry.create
        try:
            write(body)
        except ApiError as error:
            assert error.code in (409, 422), error

    @rule(name=NAMES, type_=TYPES)
    def change_type(self, name: str, type_: str) -> None:
        outside = "example.com" if type_ == "ExternalName" else None
        try:
            self.registry.patch(
                "Service", "default", name, {"spec": {"type": type_, "externalName": outside}}
            )
        except ApiError as error:
            assert error.code in (404, 422), error

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self._exists(name):
            self.registry.delete("Service", "default", name)

    def _exists(self, name: str) -> bool:
        return self.registry.store.get("Service", "default", name) is not None

    @invariant()
    def what_is_taken_is_what_services_hold(self) -> None:
        services = self.registry.list("Service").items if hasattr(self, "registry") else []
        holdings = [holding(service) for service in services]
        addresses = [one for each in holdings for one in each.addresses]
        ports = [one for each in holdings for one in each.ports]
        assert len(addresses) == len(set(addresses)) and len(ports) == len(set(ports))
        if services:
            assert self.registry._services._addresses == set(addresses)
            assert self.registry._services._ports == set(ports)
        for service in services:
            needs = service["spec"]["type"] != "ExternalName"
            assert bool(service["spec"].get("clusterIP")) == needs


TestServices = ServiceMachine.TestCase
TestServices.settings = settings(max_examples=60, stateful_step_count=20)

JSON = st.recursive(
    st.booleans() | st.integers(-2, 2) | st.text("ab/~", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


def _operations(old: Any, new: Any, path: str = "") -> list[dict[str, Any]]:
    """A JSON patch from one document to another, mapping by mapping."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        same = old == new and type(old) is type(new)
        return [] if same else [{"op": "replace", "path": path, "value": new}]
    made = []
    for key in {*old, *new}:
        here = f"{path}/{key.replace('~', '~0').replace('/', '~1')}"
        if key not in new:
            made.append({"op": "remove", "path": here})
        elif key not in old:
            made.append({"op": "add", "path": here, "value": new[key]})
        else:
            made += _operations(old[key], new[key], here)
    return made


@given(JSON, JSON)
def test_a_json_patch_leads_from_any_document_to_any_other(old: Any, new: Any) -> None:
    assert json_patched(old, _operations(old, new)) == new


def _difference(old: Any, new: Any) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    gone = {key: None for key in old if key not in new}
    return gone | {key: _difference(old.get(key), new[key]) for key in new}


@given(JSON, JSON)
def test_a_merge_patch_leads_from_any_document_to_any_other(old: Any, new: Any) -> None:
    assert merge_patched(old, _difference(old, new)) == new
