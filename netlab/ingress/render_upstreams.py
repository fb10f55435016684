"""Upstreams, and the maps by which a request finds its own.

Where an Ingress asks for a cookie, each endpoint is an upstream by itself too: the cookie names it,
or (`affinity-mode: balanced`) a bucket that is its now. Who has none, or that of an endpoint that
has gone, is sent to any, and told who answered him.

    map $http_cookie $endpoint_1 { default default.web.80;
                                   "~…INGRESSCOOKIE=4f1c…" default.web.80@4f1c…; }
    map "$endpoint_1=$upstream_addr" $cookie_1 { … }      what Set-Cookie says, if anything
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from netlab.ingress.model import Backend, Canary, Configuration, Location, Server, SessionAffinity
from netlab.ingress.page import Page
from netlab.ingress.quoting import quoted
from netlab.ingress.sessions import BUCKETS, owners, value
from netlab.ingress.settings import Settings


class Choice(Struct, frozen=True):
    """How a location names its upstream (`default.web.80`, `$endpoint_3`), and the variable of the
    cookie that is to be set, if there may be one."""

    upstream: str
    cookie: str = ""


Choices = Mapping[tuple[str, str, str], Choice]
"""Of each location, by host, path and match."""


def place(server: Server, location: Location) -> tuple[str, str, str]:
    """The key of a location."""
    return server.host, location.path, location.match


def upstreams(page: Page, configuration: Configuration) -> Choices:
    """Write every upstream and every map; how each location is to name its own."""
    writer = _Writer(page, configuration.settings)
    choices = {}
    for server in configuration.servers:
        for location in server.locations:
            if location.backend is not None:
                with page.of(location.ingress):
                    choices[place(server, location)] = writer.choice(location, location.backend)
    return choices


class _Writer:
    def __init__(self, page: Page, settings: Settings) -> None:
        self._page = page
        self._settings = settings
        self._written: set[str] = set()
        self._count = 0
        self._known: dict[tuple[object, ...], Choice] = {}

    def choice(self, location: Location, backend: Backend) -> Choice:
        if backend.external:
            return Choice(f"${{external}}:{backend.external.rpartition(':')[2]}")
        self._upstream(_name(backend), backend.balance, backend.servers)
        alike = backend, location.canary, location.affinity
        if alike not in self._known:
            self._known[alike] = self._choice(backend, location.canary, location.affinity)
        return self._known[alike]

    def _choice(
        self, backend: Backend, canary: Canary | None, affinity: SessionAffinity | None
    ) -> Choice:
        chosen, backends = _name(backend), [backend]
        if canary is None and affinity is None:
            return Choice(chosen)
        self._count += 1
        if canary and canary.backend.servers:
            self._upstream(_name(canary.backend), canary.backend.balance, canary.backend.servers)
            chosen = self._canary(chosen, canary)
            if canary.is_sticky:
                backends.append(canary.backend)
        if affinity is None:
            return Choice(chosen)
        return self._sticky(chosen, affinity, backends)

    def _upstream(self, name: str, balance: str, servers: Sequence[str], after: str = "") -> None:
        if name in self._written:
            return
        self._written.add(name)
        settings, page = self._settings, self._page
        with page.block("upstream", name):
            if balance:
                page.say(balance)
            for server in servers:
                # One that refuses is tried again with the next request, as it may just be starting.
                backup = ("backup",) if after and server != after else ()
                page.say("server", server, "max_fails=0", *backup)
            if settings.upstream_keepalive_connections:
                page.say("keepalive", settings.upstream_keepalive_connections)
                page.say("keepalive_requests", settings.upstream_keepalive_requests)
                page.say("keepalive_timeout", f"{settings.upstream_keepalive_timeout}s")

    # -- canaries --------------------------------------------------------------------------

    def _canary(self, main: str, canary: Canary) -> str:
        """By header, else by cookie, else by chance; each falls back upon the next."""
        other = _name(canary.backend)
        decided = self._chance(main, other, canary)
        if canary.cookie:
            decided = self._map(
                "$http_cookie",
                "by_cookie",
                decided,
                (
                    (_cookie_is(canary.cookie, "always"), other),
                    (_cookie_is(canary.cookie, "never"), main),
                ),
            )
        if canary.header:
            source = f"$http_{canary.header.lower().replace('-', '_')}"
            decided = self._map(
                source, "by_header", decided, tuple(_by_header(main, other, canary))
            )
        return decided

    def _chance(self, main: str, other: str, canary: Canary) -> str:
        percent = f"{100 * canary.weight / canary.total:.2f}"
        if float(percent) in (0.0, 100.0):
            return other if float(percent) else main
        variable = f"$by_chance_{self._count}"
        with self._page.block("split_clients", '"$request_id"', variable):
            self._page.say(f"{percent}%", other)
            self._page.say("*", main)
        return variable

    # -- cookies ---------------------------------------------------------------------------

    def _sticky(
        self, chosen: str, affinity: SessionAffinity, backends: Sequence[Backend]
    ) -> Choice:
        ways = [
            _Way(backend, server, self._way(backend, server, affinity))
            for backend in backends
            for server in backend.servers
        ]
        if affinity.is_balanced:
            upstream, values = self._balanced(chosen, affinity, ways)
        else:
            values = {way: cookie_value(way.backend, way.server) for way in ways}
            entries = [(_cookie_is(affinity.cookie, values[way]), way.upstream) for way in ways]
            upstream = self._map("$http_cookie", "endpoint", chosen, entries)
        told = []
        for way in ways:
            told.append((quoted(f"~^{re.escape(f'{way.upstream}={way.server}')}$"), '""'))
        for way in ways:
            said = f"{affinity.cookie}={values[way]}; {affinity.attributes}"
            said += {None: "$cookie_secure", True: "; Secure", False: ""}[affinity.secure]
            told.append((_answered(way.server), quoted(said)))
        return Choice(upstream, self._map(f'"{upstream}=$upstream_addr"', "cookie", '""', told))

    def _way(self, backend: Backend, server: str, affinity: SessionAffinity) -> str:
        """The upstream of one endpoint; with all others behind it, if it may be changed."""
        name = f"{_name(backend)}@{cookie_value(backend, server)}"
        if affinity.change_on_failure:
            self._upstream(f"{name}+", "", backend.servers, after=server)
            return f"{name}+"
        self._upstream(name, "", (server,))
        return name

    def _balanced(
        self, chosen: str, affinity: SessionAffinity, ways: Sequence[_Way]
    ) -> tuple[str, Mapping[_Way, str]]:
        """How the upstream is named, and, for each endpoint, the variable with the value of a new
        cookie: it is one of its buckets', another each time."""
        said = f"said_{self._count}"
        pattern = rf"~(?:^|; *){re.escape(affinity.cookie)}=(?<{said}>[0-9a-f]{{32}})(?:;|$)"
        session = self._map("$http_cookie", "session", '""', ((quoted(pattern), f"${said}"),))
        entries, new = [], []
        for number, way in enumerate(ways):
            of_server = owners(way.backend.servers)
            mine = [
                value(way.backend.name, bucket)
                for bucket in range(BUCKETS)
                if of_server[bucket] == way.server
            ]
            entries += [(each, way.upstream) for each in mine]
            new += [(f"{number}-{digit:x}", mine[digit % len(mine)]) for digit in range(16) if mine]
        upstream = self._map(session, "endpoint", chosen, entries)
        answered = [(_answered(way.server), str(number)) for number, way in enumerate(ways)]
        answering = self._map('"=$upstream_addr"', "answering", '""', answered)
        variable = self._map(f'"{answering}-{self._spread()}"', "new", '""', new)
        return upstream, dict.fromkeys(ways, variable)

    def _spread(self) -> str:
        """A hexadecimal digit, another with each request."""
        if "$spread" not in self._written:
            self._written.add("$spread")
            digit = (("default", "0"), ('"~^(?<first_digit>.)"', "$first_digit"))
            self._page.table("$request_id", "$spread", iter(digit))
        return "$spread"

    def _map(self, source: str, name: str, default: str, entries: Sequence[tuple[str, str]]) -> str:
        variable = f"${name}_{self._count}"
        self._page.table(source, variable, iter((("default", default), *entries)))
        return variable


class _Way(Struct, frozen=True):
    """An endpoint, and the upstream by which it is asked for."""

    backend: Backend
    server: str
    upstream: str


def _answered(server: str) -> str:
    """Whether, of the endpoints that were asked, this was the last."""
    return quoted(rf"~(?:=|, ){re.escape(server)}$")


def cookie_value(backend: Backend, server: str) -> str:
    """What the cookie of an endpoint says: the same in every life of the controller."""
    return hashlib.sha256(f"{backend.name} {server}".encode()).hexdigest()[:32]


def _name(backend: Backend) -> str:
    """The name of its upstream; those of one Service that are balanced differently are several."""
    if not backend.balance:
        return backend.name
    return f"{backend.name}+{zlib.crc32(backend.balance.encode()):08x}"


def _cookie_is(name: str, value: str) -> str:
    return quoted(f"~(?:^|; *){re.escape(name)}={re.escape(value)}(?:;|$)")


def _by_header(main: str, other: str, canary: Canary) -> Iterator[tuple[str, str]]:
    if canary.header_value:
        yield quoted(f"~^{re.escape(canary.header_value)}$"), other
    elif canary.header_pattern:
        yield quoted(f"~{canary.header_pattern}"), other
    else:
        yield '"always"', other
        yield '"never"', main
