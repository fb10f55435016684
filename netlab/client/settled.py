"""The one question that is netlab's own: whether all has settled. Kubernetes' API has no such."""

from __future__ import annotations

from msgspec import Struct

from netlab.client.sync import Client
from netlab.errors import NetlabError, NotFound

PATH = "/netlab/v1/settled"


class State(Struct, frozen=True):
    """A lab at one moment: what is being done, which pods are not ready (True: and will not be by
    waiting), and what else only somebody can change."""

    settled: bool
    """True when nothing changes by itself any more."""

    at_work: tuple[str, ...]
    unready: dict[str, bool]
    lacking: tuple[str, ...]


def look(client: Client, seconds: float = 0.0) -> State:
    """How the lab is, once it is settled or so many seconds have passed.

    `NetlabError` when the lab itself could not be built, or the API server is none of netlab's.
    """
    try:
        answer = client.request("GET", PATH, query={"timeoutSeconds": f"{seconds:g}"})
    except NotFound:
        raise NetlabError(
            f"the API server at {client.endpoint.where} does not say when all has settled: "
            f"it has no {PATH}, which netlab's own has",
            hint="netlab wait asks any API server for the conditions of its objects",
        ) from None
    if answer["failed"]:
        raise NetlabError(f"the lab could not be built: {answer['failed']}")
    # The controller may be older than we are: it goes on until it ends.
    at_work, lacking = answer.get("atWork") or (), answer.get("lacking") or ()
    settled = answer.get("settled", True)
    return State(settled, tuple(at_work), answer.get("unreadyPods") or {}, tuple(lacking))
