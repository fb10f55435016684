"""What every namespace is given for its pods, and roles that gather the rules of others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from netlab.client.inprocess import InProcessApi
from netlab.controllers.aggregation import AggregatedRoles
from netlab.controllers.manager import start_controllers
from netlab.controllers.namespaces import Namespaces, RootCertificates, ServiceAccounts
from netlab.errors import NotFound
from netlab.objects import policy
from netlab.objects.lab import lab_from_object
from netlab.store.registry import Registry
from netlab.store.store import Store

LAB = {
    "apiVersion": "netlab/v1",
    "kind": "Lab",
    "metadata": {"name": "t"},
    "spec": {"nodes": 1},
}
ROOT = "kube-root-ca.crt"


class House:
    def __init__(self) -> None:
        self.registry = Registry(Store(None), lab_from_object(LAB))
        self.known = asyncio.Event()
        self.running: Any = None

    async def authority(self) -> str:
        await self.known.wait()
        return "CERTIFICATE"

    def namespace(self, name: str) -> None:
        self.registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def role(self, name: str, labels: dict[str, str], *rules: Any) -> None:
        metadata = {"name": name, "labels": labels}
        kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
        self.registry.create({**kind, "metadata": metadata, "rules": list(rules)})

    def rules(self, name: str) -> Any:
        return self.registry.get("ClusterRole", "", name)["rules"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    made.known.set()
    for obj in policy.objects():
        made.registry.create(obj)
    kinds = (Namespaces, ServiceAccounts, RootCertificates, AggregatedRoles)
    made.running = await start_controllers(
        InProcessApi(made.registry), controllers=kinds, authority=made.authority
    )
    yield made
    await made.running.stop()


async def test_every_namespace_is_given_an_account_and_the_certificate(house: House) -> None:
    house.known.clear()
    house.namespace("n")
    await asyncio.sleep(0.05)
    with pytest.raises(NotFound):
        house.registry.get("ConfigMap", "n", ROOT)
    house.known.set()
    await house.running.wait_idle()
    assert house.registry.get("ConfigMap", "n", ROOT)["data"] == {"ca.crt": "CERTIFICATE"}
    assert house.registry.get("ServiceAccount", "n", "default")


async def test_what_somebody_changes_or_deletes_is_put_back(house: House) -> None:
    house.namespace("n")
    await house.running.wait_idle()
    house.registry.patch("ConfigMap", "n", ROOT, {"data": {"ca.crt": "x"}})
    await house.running.wait_idle()
    assert house.registry.get("ConfigMap", "n", ROOT)["data"] == {"ca.crt": "CERTIFICATE"}
    house.registry.delete("ConfigMap", "n", ROOT)
    await house.running.wait_idle()
    assert house.registry.get("ConfigMap", "n", ROOT)
    house.registry.delete("Namespace", "", "n")
    await house.running.wait_idle()
    with pytest.raises(NotFound):
        house.registry.get("Namespace", "", "n")


async def test_without_an_authority_there_is_none(house: House) -> None:
    registry = Registry(Store(None), lab_from_object(LAB))
    running = await start_controllers(InProcessApi(registry), controllers=(RootCertificates,))
    registry.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    await running.wait_idle()
    assert registry.list("ConfigMap").items == []
    await running.stop()


async def test_the_roles_of_the_beginning_are_as_they_are_kept(house: House) -> None:
    before = {role["metadata"]["name"]: role for role in house.registry.list("ClusterRole").items}
    await house.running.wait_idle()
    after = {role["metadata"]["name"]: role for role in house.registry.list("ClusterRole").items}
    assert before == after


async def test_a_role_gathers_what_its_labels_choose(house: House) -> None:
    rule = {"apiGroups": ["x"], "resources": ["things"], "verbs": ["get"]}
    label = "rbac.authorization.k8s.io/aggregate-to-view"
    house.role("mine", {label: "true"}, rule)
    await house.running.wait_idle()
    for role in ("view", "edit", "admin"):  # each gathers the one before
        assert rule in house.rules(role)
    assert rule not in house.rules("cluster-admin")
    house.registry.delete("ClusterRole", "", "mine")
    await house.running.wait_idle()
    for role in ("view", "edit", "admin"):
        assert rule not in house.rules(role)
    house.registry.patch("ClusterRole", "", "view", {"rules": []})
    await house.running.wait_idle()
    assert house.rules("view")
