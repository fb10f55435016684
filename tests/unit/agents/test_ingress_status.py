"""Which addresses Ingresses are said to have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from netlab.agents.ingress_status import IngressStatus
from netlab.errors import ApiError, NotFound
from netlab.ingress.options import Options

pytestmark = pytest.mark.anyio

SERVICE = "ingress-nginx/controller"


class Informer:
    def __init__(self, **objects: dict[str, Any]) -> None:
        self.objects = objects

    def get(self, key: str) -> dict[str, Any] | None:
        return self.objects.get(key)

    def items(self) -> Any:
        return self.objects.values()

    def add_listener(self, listener: object) -> None:
        pass


class Informers(dict[str, Informer]):
    """Of one controller on w1, whose pod is ready; `written` is what the Ingress was told."""

    def __init__(self, service: dict[str, Any] | None = None, *, ready: bool = True) -> None:
        status = {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}
        self.pod = {
            "kind": "Pod",
            "metadata": {"name": "p", "namespace": "n", "uid": "u", "labels": {"app": "x"}},
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


class Log:
    """What a controller has to say."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str, level: str) -> None:  # noqa: ARG002
        self.said.append(text)

    def tell(self, topic: str, texts: list[str], level: str = "") -> None:  # noqa: ARG002
        self.said += texts


class Leases:
    """An API that has a Lease which is nobody's yet; or is not to be had."""

    def __init__(self, refused: str) -> None:
        self.refused = refused

    async def get(self, *_: str) -> Any:
        raise ApiError(self.refused) if self.refused else NotFound("lease")

    async def create(self, obj: Any) -> None:
        pass


class Rights:
    """Of an account that may do all, but for what is said here."""

    def __init__(self, lease: str = "", status: str = "", address: str = "") -> None:
        self.lease, self.status, self.address = lease, status, address
        self.account = Leases(lease)

    def without_address(self) -> str:
        return self.address

    def without_status_of(self, namespace: str) -> str:  # noqa: ARG002
        return self.status


def follow(
    status: IngressStatus,
    uid: str,
    options: Options,
    informers: Informers,
    rights: Rights,
    log: Log | None = None,
) -> None:
    served: Any = {"default/web": {}}
    pod: Any = informers.pod
    status.follow(uid, options, pod, served, rights, log or Log())  # type: ignore[arg-type]


async def told(
    informers: Informers,
    options: Options,
    rights: Rights | None = None,
    log: Log | None = None,
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
        (Options(elects=False), None, None),
    ],
)
async def test_addresses(options: Options, service: Any, addresses: Any) -> None:
    assert await told(Informers(service), options) == addresses


async def test_a_pod_that_is_not_ready_has_none() -> None:
    assert await told(Informers(ready=False), Options()) is None


@pytest.mark.parametrize(
    "lacking", [Rights("no lease for him"), Rights(status="no status"), Rights(address="no nodes")]
)
async def test_who_may_not_write_it_says_so(lacking: Rights) -> None:
    log = Log()
    assert await told(Informers(), Options(), lacking, log) is None
    assert any((lacking.lease or lacking.status or lacking.address) in text for text in log.said)


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
