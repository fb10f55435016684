"""Whether all has settled, asked of API servers that know and of others."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.client import settled
from netlab.client.sync import Client
from netlab.errors import NetlabError


class Answering(Client):
    """A client whose server says this."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("/nowhere")
        self.answer = answer
        self.asked: tuple[Any, ...] = ()

    def request(self, *asked: Any, **more: Any) -> dict[str, Any]:
        self.asked = (*asked, more)
        return self.answer


def test_what_is_awaited() -> None:
    client = Answering(
        {
            "failed": None,
            "settled": False,
            "atWork": ["pods: 1 to be made"],
            "unreadyPods": {"default/web": True},
            "lacking": ["no address"],
        }
    )
    assert settled.look(client, 2.5) == settled.State(
        False, ("pods: 1 to be made",), {"default/web": True}, ("no address",)
    )
    assert client.asked == ("GET", "/netlab/v1/settled", {"query": {"timeoutSeconds": "2.5"}})


def test_what_comes_of_some_objects_is_asked_for_by_their_uids() -> None:
    client = Answering({"failed": ""})
    settled.look(client, of=["a", "b"])
    query = {"query": {"timeoutSeconds": "0"}}
    assert client.asked == ("POST", "/netlab/v1/settled", {"of": ["a", "b"]}, query)


def test_an_older_server_says_less() -> None:
    assert settled.look(Answering({"failed": ""})) == settled.State(True, (), {}, ())


def test_a_lab_that_could_not_be_built() -> None:
    with pytest.raises(NetlabError, match="could not be built: no room"):
        settled.look(Answering({"failed": "no room"}))


def test_a_server_that_is_none_of_netlabs_is_named(server: Any) -> None:
    """The fixture's serves Kubernetes' paths alone."""
    with Client(server.socket) as client, pytest.raises(NetlabError) as refused:
        settled.look(client)
    said = str(refused.value)
    assert said.startswith(f"the API server at {server.socket} does not say when all has settled")
    assert "hint: netlab wait" in said
