"""Name look-ups as a pod makes them: its search domains, ndots:5, the cluster's DNS."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from dnslib import QTYPE, RCODE, DNSError, DNSHeader, DNSQuestion, DNSRecord
from msgspec import Struct

from netlab.kernel import netns as namespaces
from netlab.pathcheck.trial import Trial

_SECONDS = 1.0
_NDOTS = 5


class Resolved(Struct, frozen=True):
    """What a look-up found: the name that had the addresses, or why none has."""

    name: str
    addresses: tuple[str, ...] = ()
    error: str = ""


def candidates(name: str, namespace: str, domain: str) -> list[str]:
    """The names a resolver tries, in order: with fewer than 5 dots the search domains first."""
    if name.endswith("."):
        return [name.rstrip(".")]
    searched = [f"{name}.{each}" for each in (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)]
    return [name, *searched] if name.count(".") >= _NDOTS else [*searched, name]


def resolve(
    netns: Path | int,
    servers: Sequence[str],
    name: str,
    *,
    namespace: str,
    domain: str,
    version: int = 4,
) -> Resolved:
    """Look a name up from inside a namespace; the first candidate with an address counts.

    Of the servers the first is asked, and the next where that refuses or keeps silent.
    """
    said: list[str] = []
    for candidate in candidates(name, namespace, domain):
        reply = _ask_any(netns, servers, candidate, QTYPE.AAAA if version == 6 else QTYPE.A)
        if isinstance(reply, str):
            return Resolved(name, error=reply)
        addresses = [str(r.rdata) for r in reply.rr if r.rtype in (QTYPE.A, QTYPE.AAAA)]
        if addresses:
            return Resolved(candidate, tuple(addresses))
        said.append(f"{candidate} {RCODE.get(reply.header.rcode)}")
    return Resolved(name, error=f"the name does not resolve: {', '.join(said)}")


def look_up(trial: Trial, domain: str) -> Resolved:
    """Look up the name that a trial's target has, as its sender does."""
    return resolve(
        trial.place.netns,
        trial.name_servers,
        trial.name,
        namespace=trial.check.sender.namespace,
        domain=domain,
        version=trial.version,
    )


def _ask_any(netns: Path | int, servers: Sequence[str], name: str, qtype: int) -> DNSRecord | str:
    """The first answer that there is, or why there is none."""
    troubles = []
    for server in servers:
        try:
            return _ask(netns, server, name, qtype)
        except TimeoutError:
            troubles.append(f"no answer from the DNS server {server} in {_SECONDS:g} s")
        except OSError as error:
            troubles.append(f"the DNS server {server}: {error.strerror}")
    return "; ".join(troubles)


def _ask(netns: Path | int, server: str, name: str, qtype: int) -> DNSRecord:
    query = DNSRecord(DNSHeader(id=secrets.randbits(16)), q=DNSQuestion(name, qtype))
    with namespaces.entered(netns):
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
    deadline = time.monotonic() + _SECONDS
    with sock:
        sock.connect((server, 53))
        sock.send(query.pack())
        while True:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            reply = _parse(sock.recv(4096))
            if reply is not None and reply.header.id == query.header.id:
                return reply


def _parse(packet: bytes) -> DNSRecord | None:
    try:
        return DNSRecord.parse(packet)
    except DNSError:
        return None
