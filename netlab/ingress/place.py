"""Where an Ingress controller's nginx runs."""

from __future__ import annotations

from msgspec import Struct


class Place(Struct, frozen=True):
    """Where nginx runs: the file for its access log, whom it asks for names, if it has IPv6."""

    access_log: str
    resolvers: tuple[str, ...] = ()
    ipv6: bool = False
