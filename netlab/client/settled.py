"""The one question that is netlab's own: whether all has settled. Kubernetes' API has no such."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from msgspec import Struct

from netlab.client.sync import Client, Query
from netlab.errors import NetlabError, NotFound
from netlab.objects.meta import Object

PATH = "/netlab/v1/settled"


class State(Struct, frozen=True):
    """A lab at one moment: what is being done, which pods are not ready (True: and will not be by
    waiting), and what else only somebody can change."""

    settled: bool
    """True when nothing changes by itself any more."""

    at_work: tuple[str, ...]
    unready: dict[str, bool]
    lacking: tuple[str, ...]


def look(client: Client, seconds: float = 0.0, of: Sequence[str] | None = None) -> State:
    """How the lab is, once it is settled or so many seconds have passed.

    Only pods count that come `of` objects with these uids, and the lab's own; None: all do.
    `NetlabError` when the lab itself could not be built, or the API server is none of netlab's.
    """
    query = {"timeoutSeconds": f"{seconds:g}"}
    try:
        answer = _answer(client, query, of)
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


def _answer(client: Client, query: Query, of: Sequence[str] | None) -> Object:
    """A controller that is older than we are knows of nothing but all."""
    if of is not None:
        with contextlib.suppress(NotFound):
            return client.request("POST", PATH, {"of": list(of)}, query=query)
    return client.request("GET", PATH, query=query)
