"""Where an API server listens, and who we are to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct


class ApiEndpoint(Struct, frozen=True):
    """An API server as a client reaches it: on a unix socket, or at a URL as a kubeconfig has it.

    `authority` is the PEM text of who must have signed the server's certificate ("": whoever the
    machine trusts), `certificate` and `key` are ours, `token` a bearer's.
    """

    socket: str = ""
    """The socket's path; then the URL's host is only a name."""

    url: str = "http://netlab"
    authority: str = ""
    certificate: str = ""
    key: str = ""
    token: str = ""
    server_name: str = ""
    """What the server's certificate says, where that is not the URL's host."""

    is_verified: bool = True
    """False: whoever answers is believed."""

    def __repr__(self) -> str:
        return f"Endpoint({self.socket or self.url})"  # keys and tokens are for nobody's log

    @property
    def where(self) -> str:
        """The socket's path or the URL, for messages."""
        return self.socket or self.url

    @property
    def host(self) -> str:
        """The host with its port, as in the Host header."""
        return self.url.partition("://")[2].partition("/")[0]

    @property
    def prefix(self) -> str:
        """What all paths begin with."""
        return self.url.partition("://")[2][len(self.host) :].rstrip("/")

    @property
    def headers(self) -> Mapping[str, str]:
        """What each request says of us."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}


Where = ApiEndpoint | str | Path


def endpoint(where: Where) -> ApiEndpoint:
    """An endpoint as it is; a path is that of a unix socket."""
    return where if isinstance(where, ApiEndpoint) else ApiEndpoint(socket=str(where))
