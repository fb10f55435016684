"""Which addresses Ingresses are said to have."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from netlab.agents.ingress_rights import ControllerLog
from netlab.agents.ingress_status import IngressStatus
from netlab.ingress.options import Options

pytestmark = pytest.mark.anyio

SERVICE = "ingress-nginx/controller"


class Informer:
    def __init__(self, **objects: dict[str, Any]) -> None:
        self.objects = objects

    def get(self, key: str) -> dict[str, Any] | None:
        return self.objects.get(key)

    def add_listener(self, listener: object) -> None:
        pass


class Informers(dict[str, Informer]):
    """Of one controller on w1, whose pod is ready; `written` is what the Ingress was told."""

    def __init__(self, service: dict[str, Any] | None = None, *, ready: bool = True) -> None:
        status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        self.pod = {
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "n", "uid": "u"},
            "spec": {"nodeName": "w1"},
            "status": status,
        }
        addresses = [("InternalIP", "10.0.0.1"), ("ExternalIP", "192.0.2.1"), ("Hostname", "w1")]
        node = {"status": {"addresses": [{"type": t, "address": a} for t, a in addresses]}}
        super().__init__(
            Ingress=Informer(**{"default/web": {"metadata": {"name": "web"}, "status": {}}}),
            Service=Informer(**({SERVICE: service} if service else {})),
            Pod=Informer(**{"n/p": self.pod}),
            Node=Informer(w1=node),
        )
        self.written: list[Any] = []
        self.told = asyncio.Event()

    async def patch_status(self, obj: dict[str, Any], status: dict[str, Any]) -> None:
        obj["status"] = status
        self.written.append(status["loadBalancer"]["ingress"])
        self.told.set()


class Rights:
    """Of an account that may do all, but for what is said here."""

    def __init__(self, lease: str = "", status: str = "") -> None:
        self.lease, self.status = lease, status

    def without_status(self) -> str:
        return self.lease

    def without_status_of(self, namespace: str) -> str:  # noqa: ARG002
        return self.status


def follow(
    status: IngressStatus,
    uid: str,
    options: Options,
    informers: Informers,
    rights: Rights,
    log: Path = Path("/dev/null"),
) -> None:
    served: Any = {"default/web": {}}
    pod: Any = informers.pod
    status.follow(uid, options, pod, served, rights, ControllerLog(log))  # type: ignore[arg-type]


async def told(
    informers: Informers,
    options: Options,
    rights: Rights | None = None,
    log: Path = Path("/dev/null"),
) -> Any:
    status = IngressStatus(informers)  # type: ignore[arg-type]
    follow(status, "u", options, informers, rights or Rights(), log)
    async with asyncio.timeout(10):
        while not status.idle:
            await asyncio.sleep(0.01)
    await status.stop()
    return informers.written[-1] if informers.written else None


def published(**spec: Any) -> dict[str, Any]:
    status = spec.pop("status", {})
    return {"metadata": {"name": "controller"}, "spec": spec, "status": status}


BALANCED = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}]}}


@pytest.mark.parametrize(
    ("options", "service", "addresses"),
    [
        (Options(), None, [{"ip": "192.0.2.1"}]),
        (Options(internal_addresses=True), None, [{"ip": "10.0.0.1"}]),
        (
            Options(publish_addresses=("lb.example", "192.0.2.7")),
            None,
            [{"hostname": "lb.example"}, {"ip": "192.0.2.7"}],
        ),
        (
            Options(publish_service=SERVICE),
            published(type="LoadBalancer", status=BALANCED, externalIPs=["192.0.2.8"]),
            [{"ip": "192.0.2.8"}, {"ip": "192.0.2.9"}],
        ),
        (
            Options(publish_service=SERVICE),
            published(type="NodePort", clusterIP="10.96.0.5"),
            [{"ip": "10.96.0.5"}],
        ),
        (
            Options(publish_service=SERVICE),
            published(type="ExternalName", externalName="lb.example"),
            [{"hostname": "lb.example"}],
        ),
        (Options(publish_service=SERVICE), None, None),
        (Options(updates_status=False), None, None),
    ],
)
async def test_addresses(options: Options, service: Any, addresses: Any) -> None:
    assert await told(Informers(service), options) == addresses


async def test_a_pod_that_is_not_ready_has_none() -> None:
    assert await told(Informers(ready=False), Options()) is None


@pytest.mark.parametrize("lacking", [Rights("no lease for him"), Rights(status="no status")])
async def test_who_may_not_write_it_says_so(lacking: Rights, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert await told(Informers(), Options(), lacking, log) is None
    assert (lacking.lease or lacking.status) in log.read_text()


async def test_who_takes_nothing_back_leaves_them() -> None:
    informers = Informers()
    status = IngressStatus(informers)  # type: ignore[arg-type]
    follow(status, "u", Options(takes_status_back=False), informers, Rights())
    async with asyncio.timeout(10):
        await informers.told.wait()
    await status.forget("u")
    await status.stop()
    assert informers.written == [[{"ip": "192.0.2.1"}]]


async def test_the_last_controller_takes_its_addresses_with_it() -> None:
    informers = Informers()
    status = IngressStatus(informers)  # type: ignore[arg-type]
    for uid in ("u", "v"):
        follow(status, uid, Options(), informers, Rights())
    async with asyncio.timeout(10):
        await informers.told.wait()
    await status.forget("v")
    assert informers.written == [[{"ip": "192.0.2.1"}]]
    await status.forget("u")
    assert informers.written[-1] is None
    await status.stop()
