"""Name look-ups as a pod makes them: its search domains, ndots:5, the cluster's DNS."""

from __future__ import annotations

import secrets
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from dnslib import QTYPE, RCODE, DNSError, DNSHeader, DNSQuestion, DNSRecord
from msgspec import Struct
from msgspec.structs import replace

from netlab.kernel import netns as namespaces
from netlab.pathcheck.trial import Trial

_SECONDS = 1.0
_NDOTS = 5


class Asked(Struct, frozen=True):
    """One question and its answer. `answer` is how DNS puts it: NOERROR, NXDOMAIN …, or "" for
    none; `aliases` the names that the answer led through. `wire` is the name as it was sent, in
    upper and lower case at random, which no server on the way changes: its question is known by
    that from everybody else's.
    """

    name: str
    version: int
    server: str
    answer: str = ""
    addresses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    seconds: float = 0.0
    wire: str = ""


class Resolved(Struct, frozen=True):
    """What a look-up found: the name that had the addresses, or why none has; all that was asked
    for it."""

    name: str
    addresses: tuple[str, ...] = ()
    error: str = ""
    asked: tuple[Asked, ...] = ()


def candidates(name: str, namespace: str, domain: str) -> list[str]:
    """The names a resolver tries, in order: with fewer than 5 dots the search domains first."""
    searches = (f"{namespace}.svc.{domain}", f"svc.{domain}", domain)
    return searched(name, searches, _NDOTS)


def searched(name: str, searches: Sequence[str], ndots: int) -> list[str]:
    """The same for a resolver of any search domains; a name that ends with a dot is whole."""
    if name.endswith("."):
        return [name.rstrip(".")]
    longer = [f"{name}.{each}" for each in searches]
    return [name, *longer] if name.count(".") >= ndots else [*longer, name]


def resolve(
    netns: Path | int, servers: Sequence[str], names: Sequence[str], *, version: int = 4
) -> Resolved:
    """Look names up from inside a namespace, in turn, until one has an address.

    Of the servers the first is asked, and the next where that refuses or keeps silent.
    """
    asked: list[Asked] = []
    said: list[str] = []
    for name in names:
        tries, trouble = _ask_any(netns, servers, name, version)
        asked += tries
        if trouble:
            return Resolved(names[-1], error=trouble, asked=tuple(asked))
        last = tries[-1]
        if last.addresses:
            return Resolved(name, last.addresses, asked=tuple(asked))
        said.append(f"{name} {last.answer}")
    error = f"the name does not resolve: {', '.join(said)}"
    return Resolved(names[-1], error=error, asked=tuple(asked))


def look_up(trial: Trial, domain: str) -> Resolved:
    """Look up the name that a trial's target has, as its sender does: pods by their search
    domains, machines as it stands."""
    names = [trial.name.rstrip(".")]
    if trial.place.role == "pod":
        names = candidates(trial.name, trial.check.sender.namespace, domain)
    return resolve(trial.place.netns, trial.name_servers, names, version=trial.version)


def _ask_any(
    netns: Path | int, servers: Sequence[str], name: str, version: int
) -> tuple[list[Asked], str]:
    """All that was asked until there was an answer; why there was none, or ""."""
    tries: list[Asked] = []
    troubles = []
    for server in servers:
        asked = Asked(name, version, server, wire=_in_random_case(name))
        since = time.monotonic()
        try:
            reply = _ask(netns, server, asked.wire, QTYPE.AAAA if version == 6 else QTYPE.A)
        except TimeoutError:
            troubles.append(f"no answer from the DNS server {server} in {_SECONDS:g} s")
        except OSError as error:
            troubles.append(f"the DNS server {server}: {error.strerror}")
        else:
            return [*tries, _answered(asked, reply, time.monotonic() - since)], ""
        tries.append(asked)
    return tries, "; ".join(troubles)


def _in_random_case(name: str) -> str:
    bits = secrets.randbits(len(name) + 1)
    return "".join(c.upper() if bits >> i & 1 else c.lower() for i, c in enumerate(name))


def _answered(asked: Asked, reply: DNSRecord, seconds: float) -> Asked:
    aliases = tuple(str(r.rdata).rstrip(".").lower() for r in reply.rr if r.rtype == QTYPE.CNAME)
    addresses = tuple(str(r.rdata) for r in reply.rr if r.rtype in (QTYPE.A, QTYPE.AAAA))
    return replace(
        asked,
        answer=str(RCODE.get(reply.header.rcode)),
        addresses=addresses,
        aliases=aliases,
        seconds=seconds,
    )


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
