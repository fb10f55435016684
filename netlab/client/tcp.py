"""Connections to API servers at URLs. Loads `ssl`, which takes its time: the CLI does without."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

from netlab.client.endpoint import ApiEndpoint

_PORTS = {"https": 443, "http": 80}


class _Socket(ssl.SSLSocket):
    """One that says what other sockets say when it would have to wait."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """As other sockets' `recv`."""
        try:
            return super().recv(buflen, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None

    def send(self, data: bytes | bytearray, flags: int = 0) -> int:  # type: ignore[override]
        """As other sockets' `send`."""
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise BlockingIOError from None


def connect(endpoint: ApiEndpoint, seconds: float) -> socket.socket:
    """A connection, with TLS where the URL says so; `OSError` as connect(2) and `ssl` give."""
    url = urlsplit(endpoint.url)
    host = url.hostname or ""
    sock = socket.create_connection((host, url.port or _PORTS[url.scheme]), seconds)
    if url.scheme != "https":
        return sock
    try:
        return context(endpoint).wrap_socket(sock, server_hostname=endpoint.server_name or host)
    except BaseException:
        sock.close()
        raise


def context(endpoint: ApiEndpoint) -> ssl.SSLContext:
    """Whom we trust, and who we are."""
    made = ssl.create_default_context(cadata=endpoint.authority or None)
    made.sslsocket_class = _Socket
    if not endpoint.is_verified:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if endpoint.certificate:
        with _as_file(endpoint.certificate) as certificate, _as_file(endpoint.key) as key:
            made.load_cert_chain(certificate, key)
    return made


@contextlib.contextmanager
def _as_file(text: str) -> Iterator[str]:
    """The path of a file that no directory holds: `ssl` reads keys from nothing else."""
    with os.fdopen(os.memfd_create("pem"), "w") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"
