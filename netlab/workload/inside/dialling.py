"""What agnhost's programs send to others: HTTP requests and datagrams, and how they fail."""

from __future__ import annotations

import socket
from urllib.parse import quote

from netlab.workload.inside import web

SECONDS = 5.0
_SAFE = "/?&=%:@+,;~!$'()*[]#"


def split(destination: str) -> tuple[str, int]:
    """Host and port of `host:port`; `ValueError` says what is wrong with it, in Go's words."""
    host, colon, port = destination.rpartition(":")
    if not colon:
        raise ValueError(f"address {destination}: missing port in address")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError(f"address {destination}: too many colons in address")
    return host, port_number(port)


def port_number(text: str) -> int:
    """A port by its number or its name."""
    if text.isdigit():
        if int(text) > 65535:
            raise ValueError(f"address {text}: invalid port")
        return int(text)
    try:
        return socket.getservbyname(text)
    except OSError:
        raise ValueError(f"lookup tcp/{text}: unknown port") from None


def resolved(host: str, port: int, kind: int = socket.SOCK_STREAM) -> tuple[str, int]:
    """The first address of a name, IPv4 before others; `OSError` with Go's words."""
    if not host:
        return "127.0.0.1", port
    try:
        found = socket.getaddrinfo(host, port, type=kind)
    except OSError:
        raise OSError(f"lookup {host}: no such host") from None
    addresses = [(str(each[4][0]), port) for each in sorted(found, key=_is_ipv6)]
    return addresses[0]


def _is_ipv6(entry: tuple[object, ...]) -> bool:
    return entry[0] == socket.AF_INET6


def http(host: str, port: int, request: str) -> str:
    """The body that `http://host:port/request` answers."""
    target = "/" + quote(request, safe=_SAFE).partition("#")[0]
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return web.get(host, port, target, seconds=SECONDS)[1].decode(errors="replace")
    except TimeoutError:
        raise OSError(
            f'Get "http://{where}{target}": context deadline exceeded'
            " (Client.Timeout exceeded while awaiting headers)"
        ) from None
    except OSError as problem:
        raise OSError(
            f'Get "http://{where}{target}": {spoken("dial tcp", where, problem)}'
        ) from None


def datagram(host: str, port: int, request: str, *, seconds: float = SECONDS) -> str:
    """What a datagram is answered with."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        asking.settimeout(seconds or None)
        asking.connect((host, port))
        asking.send(request.encode())
        return asking.recv(2048).decode(errors="replace")


def spoken(deed: str, where: str, problem: OSError) -> str:
    """What went wrong, nearly as Go says it."""
    if isinstance(problem, TimeoutError):
        return f"{deed} {where}: i/o timeout"
    reason = (problem.strerror or str(problem)).lower()
    return f"{deed} {where}: connect: {reason}"
