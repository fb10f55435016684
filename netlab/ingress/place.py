"""Where an Ingress controller's nginx runs."""

from __future__ import annotations

from msgspec import Struct

HTTP2_DIRECTIVE = (1, 25, 1)
"""The release of nginx that has a directive for HTTP/2, and warns of it in `listen`."""


class Place(Struct, frozen=True):
    """Where nginx runs: the file for its access log, whom it asks for names, if it has IPv6, and
    which release it is."""

    access_log: str
    resolvers: tuple[str, ...] = ()
    ipv6: bool = False
    release: tuple[int, ...] = ()

    @property
    def has_http2_directive(self) -> bool:
        """Whether nginx is told of HTTP/2 for all its ports at once."""
        return self.release >= HTTP2_DIRECTIVE
