"""TLS for programs in pods; what comes with agnhost is `/localhost.crt` and `/localhost.key`."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

_SECONDS = 10.0
_REQUEST = 64 * 1024
_HANDSHAKE = b"\x16"
_PLAIN = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


def server(certificate: str, key: str) -> Callable[[socket.socket], socket.socket]:
    """Makes a server's connection one over TLS. `OSError` if there is no such file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key or None)

    def wrap(connection: socket.socket) -> socket.socket:
        connection.settimeout(_SECONDS)
        if connection.recv(1, socket.MSG_PEEK) != _HANDSHAKE:
            connection.recv(_REQUEST)  # what is left unread when we close resets the connection
            connection.sendall(_PLAIN)
            raise OSError("that is no TLS")
        return context.wrap_socket(connection, server_side=True)

    return wrap


def client(authority: str) -> Callable[[socket.socket], socket.socket]:
    """Makes a connection one over TLS to somebody whom this CA vouches for."""
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False  # asked by address, which the certificate may not have
    return context.wrap_socket
