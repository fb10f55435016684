"""Tokens in pods' volumes: asked for when a container is to read them, renewed before they end.

What is known of a token is in the token itself, so a controller that comes back goes on with the
files that it finds.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

from netlab.agents.podrun import PodRun
from netlab.agents.volume_files import Texts, token_paths
from netlab.agents.volumes import Volumes
from netlab.client.protocol import Api
from netlab.objects import meta
from netlab.objects.types import ServiceAccountTokenProjection, Volume

LOOK_EVERY = 30.0
"""Seconds from one look at tokens to the next: the shortest lasts for ten minutes."""

_USED_UP = 0.8
"""The part of its life after which a token is renewed, as a kubelet does."""

_OLDEST = 24 * 3600
"""Seconds after which it is renewed however long it lasts."""


class Tokens:
    """The tokens of pods, as `volumes` have them; `clock` gives epoch seconds."""

    def __init__(self, api: Api, volumes: Volumes, clock: Callable[[], float]) -> None:
        self._api = api
        self._volumes = volumes
        self._clock = clock

    async def of(self, run: PodRun) -> Texts:
        """All tokens of a pod: those in its volumes while they are good, else new ones."""
        texts = {}
        for volume, path, source in _wanted(run):
            text = self._volumes.token(run, volume, path)
            if not self._is_fresh(text):
                text = await self._request(run, source)
            texts[volume["name"], path] = text
        return texts

    async def present(self, run: PodRun) -> Texts | None:
        """`of`, for a pod that has been given its tokens; None for one that needs none yet."""
        return await self.of(run) if any(self._there(run)) else None

    def are_due(self, run: PodRun) -> bool:
        """Whether a token that a pod has is to be renewed."""
        return any(text and not self._is_fresh(text) for text in self._there(run))

    def _there(self, run: PodRun) -> Iterator[str]:
        return (self._volumes.token(run, volume, path) for volume, path, _ in _wanted(run))

    def _is_fresh(self, token: str) -> bool:
        claims = _claims(token)
        began, ends, now = claims.get("iat", 0), claims.get("exp", 0), self._clock()
        return bool(now < min(began + _USED_UP * (ends - began), began + _OLDEST))

    async def _request(self, run: PodRun, source: ServiceAccountTokenProjection) -> str:
        audience = source.get("audience")
        bound = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta.name(run.pod),
            "uid": meta.uid(run.pod),
        }
        answer: dict[str, Any] = await self._api.create(
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenRequest",
                "metadata": {
                    "name": meta.spec(run.pod).get("serviceAccountName") or "default",
                    "namespace": meta.namespace(run.pod),
                },
                "spec": {
                    "audiences": [audience] if audience else [],
                    "expirationSeconds": source.get("expirationSeconds", 3600),
                    "boundObjectRef": bound,
                },
            }
        )
        return str(answer["status"]["token"])


def has_more_than_tokens(run: PodRun) -> bool:
    """Whether a pod has volumes that no token is in."""
    return not all(token_paths(volume) for volume in meta.spec(run.pod).get("volumes") or ())


def _wanted(run: PodRun) -> Iterator[tuple[Volume, str, ServiceAccountTokenProjection]]:
    for volume in meta.spec(run.pod).get("volumes") or ():
        for path, source in token_paths(volume).items():
            yield volume, path, source


def _claims(token: str) -> dict[str, Any]:
    """What a token of ours says; {} for what is none."""
    parts = token.split(".")
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}
