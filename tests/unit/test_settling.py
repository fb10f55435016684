"""Whether a lab has settled, of any control plane and any cluster that can be asked."""

import asyncio

import aiohttp
import pytest
from msgspec import Struct

from netlab.serving.http import application, serve_unix
from netlab.settling import Settling


class Saving(Struct):
    is_remote: bool = False
    refusal: str = ""

    @property
    def is_stuck(self):
        return bool(self.refusal)

    def unsaved(self):
        if self.refusal:
            yield self.refusal


class Cluster(Struct):
    failure: str | None = None
    works: int = 0
    pods: dict[str, bool] = {}
    asked: list[object] = []

    def at_work(self, of=None):
        """At work for so many looks."""
        self.asked.append(of)
        self.works -= 1
        if self.works >= 0:
            yield "pods are getting ready"

    def unready(self, of=None):
        return {key: stuck for key, stuck in self.pods.items() if of is None or key in of}

    def lacking(self):
        yield "room"


@pytest.fixture
def ask(tmp_path):
    def asked(saving, cluster, seconds=10, **more):
        return asyncio.run(_asked(tmp_path / "s", saving, cluster, seconds, **more))

    return asked


async def _asked(path, saving, cluster, seconds, method="GET", **more):
    app = application(1 << 20)
    app.router.add_routes(Settling(saving, cluster).routes())
    runner = await serve_unix(app, path)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as http:
            url = "http://lab/netlab/v1/settled"
            params = {"timeoutSeconds": str(seconds)}
            async with http.request(method, url, params=params, **more) as answer:
                return await answer.json()
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("is_remote", [False, True])
def test_it_waits_until_nothing_is_at_work(ask, is_remote):
    cluster = Cluster(works=20)
    answer = ask(Saving(is_remote=is_remote), cluster)
    assert answer == {
        "failed": None, "settled": True, "atWork": [], "unreadyPods": {}, "lacking": ["room"],
    }  # fmt: skip
    assert cluster.works < 0


def test_what_comes_over_a_wire_is_waited_for_longer(ask):
    near, far = Cluster(), Cluster()
    ask(Saving(), near)
    ask(Saving(is_remote=True), far)
    assert far.works < near.works


def test_after_a_while_it_says_what_is_at_work(ask):
    answer = ask(Saving(), Cluster(works=10**9, pods={"default/web": True}), seconds=0.01)
    assert not answer["settled"]
    assert answer["atWork"] == ["pods are getting ready"]
    assert answer["unreadyPods"] == {"default/web": True}


def test_what_cannot_be_saved_or_built_is_not_waited_for(ask):
    stuck = ask(Saving(refusal="no room"), Cluster(works=10**9))
    assert stuck["settled"]
    assert stuck["lacking"] == ["no room", "room"]
    failed = ask(Saving(), Cluster(failure="no such command", works=10**9))
    assert failed["failed"] == "no such command"


def test_who_asks_may_mean_some_objects_alone(ask):
    cluster = Cluster(pods={"mine": True, "other": True})
    answer = ask(Saving(), cluster, method="POST", json={"of": ["mine"]})
    assert answer["unreadyPods"] == {"mine": True}
    assert {*cluster.asked} == {frozenset({"mine"})}


@pytest.mark.parametrize("body", ["", "[]", '{"of": 5}', "{}", "nonsense"])
def test_a_body_that_says_nothing_is_refused(ask, body):
    answer = ask(Saving(), Cluster(), method="POST", data=body)
    assert answer["reason"] == "BadRequest"
