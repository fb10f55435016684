"""`/coredns`: a name server that goes by a Corefile, as far as one of names and servers goes.

What its plugins are, and what becomes of a file, is in `dnszones`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from netlab.workload.http1 import Request
from netlab.workload.inside import dnscache, dnswire, web
from netlab.workload.inside.corefile import Malformed
from netlab.workload.inside.dnsplugins import framed
from netlab.workload.inside.dnsrewrite import within
from netlab.workload.inside.dnswire import Query
from netlab.workload.inside.dnszones import Reading, Zone, read
from netlab.workload.inside.web import in_background

VERSION = "1.11.3"
_SECONDS = 5.0

Place = tuple[str, int]
"""Where it listens: an address, "" for all, and a port."""

_AT_ONCE, _CONNECTIONS = 64, 256


def main(words: Sequence[str]) -> None:
    """Answer by the file that `-conf` names until somebody ends it."""
    parser = argparse.ArgumentParser("coredns", allow_abbrev=False)
    parser.add_argument("-conf", "--conf", default="Corefile")
    parser.add_argument("-dns.port", "--dns.port", dest="port", type=int, default=53)
    parser.add_argument("-version", "--version", action="version", version=f"CoreDNS-{VERSION}")
    given = parser.parse_args(words)
    file = Path(given.conf)
    if not file.exists() and given.conf == "Corefile":
        serve(f".:{given.port} {{\n whoami\n log\n}}\n", given.port)
    try:
        text = file.read_text()
    except OSError as error:
        _fail(f"loading Caddyfile via flag: open {given.conf}: {(error.strerror or '').lower()}")
    serve(text, given.port, file)


def serve(text: str, port: int = 53, file: Path | None = None) -> None:
    """Answer by a Corefile, and by what becomes of the `file` it is, if it says so."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    program = Program(port)
    try:
        program.take(text)
    except Malformed as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"Listen: listen: bind: {(error.strerror or '').lower()}")
    for zone in program.zones:
        print(f"{zone.name}:{zone.port}")
    print(f"CoreDNS-{VERSION}\nnetlab's stand-in", flush=True)
    if file is not None:
        in_background(program.look_at, file, text)
    while True:
        signal.pause()


def _fail(text: str) -> None:
    print(text, file=sys.stderr)
    sys.exit(1)


# -- answering ---------------------------------------------------------------------------------


class Program:
    """The server: what it goes by now, and where it listens. `port` is that of zones without."""

    def __init__(self, port: int = 53) -> None:
        self.zones: list[Zone] = []
        self._port = port
        self._reading = Reading([], {}, [], [], [])
        self._open: set[tuple[str, int]] = set()
        self._shown: set[int] = set()
        self._workers = ThreadPoolExecutor(_AT_ONCE)
        self._connections = threading.BoundedSemaphore(_CONNECTIONS)
        self._asked: Counter[tuple[str, str, str]] = Counter()
        """By zone, protocol and type."""
        self._told: Counter[tuple[str, str]] = Counter()
        """By zone and code."""

    def take(self, text: str) -> None:
        """Go by a file; `Malformed`, and it goes on as it did."""
        reading = read(text, self._port, self._whole, self.metrics)
        for cluster in reading.clusters:
            cluster.watch()
        for place in sorted({(at, zone.port) for zone in reading.zones for at in zone.places}):
            if place not in self._open:
                self._listen(*place)
        self._reading, self.zones = reading, reading.zones
        for port, _ in reading.pages:
            if port not in self._shown:
                self._shown.add(port)
                in_background(web.Server(web.listening(port), self._page(port)).run)

    def _page(self, port: int) -> Callable[[Request], web.Answer]:
        def page(request: Request) -> web.Answer:
            shown = self._reading.pages.get((port, request.target.partition("?")[0]))
            return shown() if shown else web.Answer("404 page not found\n", 404)

        return page

    def look_at(self, file: Path, text: str) -> None:
        """Go by what becomes of a file, as long as `reload` is in it."""
        while self._reading.reloads:
            time.sleep(min(self._reading.reloads))
            try:
                if (found := file.read_text()) == text:
                    continue
                text = found
                print("[INFO] Reloading", flush=True)
                self.take(text)
                print("[INFO] Reloading complete", flush=True)
            except (OSError, Malformed) as error:
                print(f"[ERROR] Restart failed: {error}", flush=True)

    def _listen(self, host: str, port: int) -> None:
        datagrams = web.listening(port, host, socket.SOCK_DGRAM)
        streams = web.listening(port, host)
        self._open.add((host, port))
        in_background(self._datagrams, datagrams, (host, port))
        in_background(self._streams, streams, (host, port))

    def _datagrams(self, opened: socket.socket, place: Place) -> None:
        while True:
            message, client = opened.recvfrom(65535)
            self._workers.submit(self._answer_datagram, opened, message, client[:2], place)

    def _answer_datagram(
        self, opened: socket.socket, message: bytes, client: tuple[str, int], place: Place
    ) -> None:
        with contextlib.suppress(OSError, ValueError):
            query = dnswire.read(message, client)
            opened.sendto(dnswire.fitting(query, self.answered(query, place)), client)

    def _streams(self, opened: socket.socket, place: Place) -> None:
        while True:
            self._connections.acquire()
            in_background(self._answer_stream, *opened.accept(), place)

    def _answer_stream(
        self, connection: socket.socket, client: tuple[str, int], place: Place
    ) -> None:
        connection.settimeout(_SECONDS)
        try:
            with connection, contextlib.suppress(OSError, ValueError):
                while message := framed(connection):
                    query = dnswire.read(message, client[:2], stream=True)
                    said = self.answered(query, place)
                    connection.sendall(len(said).to_bytes(2, "big") + said)
        finally:
            self._connections.release()

    def answered(self, query: Query, place: Place) -> bytes:
        """The answer of the zone with the longest name; a name that is in none is refused."""
        began = time.monotonic()
        zone = self._zone(query, place)
        if zone is None:
            return dnswire.answer(query, dnswire.REFUSED)
        try:
            said = zone.ask(query)
        except ValueError:  # a name that is too long, say, after it was rewritten
            said = dnswire.answer(query, dnswire.SERVFAIL)
        if zone.logs:
            _log(query, said, began)
        kind = dnswire.TYPES.get(query.kind, "other")
        self._asked[zone.name, "tcp" if query.stream else "udp", kind] += 1
        self._told[zone.name, dnswire.code_of(said)] += 1
        return said

    def _zone(self, query: Query, place: Place) -> Zone | None:
        host, port = place
        ours = (zone for zone in self.zones if zone.port == port and host in zone.places)
        return next((zone for zone in ours if within(query.name, zone.name)), None)

    def _whole(self, query: Query) -> bytes:
        """As anybody is answered; by the port that has the first zone for it."""
        zone = next((zone for zone in self.zones if within(query.name, zone.name)), None)
        return zone.ask(query) if zone else dnswire.answer(query, dnswire.REFUSED)

    def metrics(self) -> str:
        """What it counts, as CoreDNS names it for Prometheus."""
        lines = [*_family("coredns_build_info", "gauge", [(f'version="{VERSION}"', 1)])]
        server = 'server="dns://:53"'
        asked = [
            (f'{server},zone="{zone}",proto="{proto}",type="{kind}"', count)
            for (zone, proto, kind), count in sorted(self._asked.items())
        ]
        told = [
            (f'{server},zone="{zone}",rcode="{code}"', count)
            for (zone, code), count in sorted(self._told.items())
        ]
        lines += _family("coredns_dns_requests_total", "counter", asked)
        lines += _family("coredns_dns_responses_total", "counter", told)
        counts, sizes = Counter[str](), Counter[str]()
        for cache in self._reading.caches:
            counts.update(cache.counts)
            sizes.update(cache.sizes())
        sorts = (dnscache.SUCCESS, dnscache.DENIAL)
        hits = [(f'{server},type="{sort}"', counts[sort]) for sort in sorts]
        kept = [(f'{server},type="{sort}"', sizes[sort]) for sort in sorts]
        if self._reading.caches:
            lines += _family("coredns_cache_entries", "gauge", kept)
            lines += _family("coredns_cache_hits_total", "counter", hits)
            lines += _family("coredns_cache_misses_total", "counter", [(server, counts["miss"])])
        return "".join(f"{line}\n" for line in lines)


def _family(name: str, kind: str, samples: Sequence[tuple[str, int]]) -> list[str]:
    return [f"# TYPE {name} {kind}", *(f"{name}{{{labels}}} {value}" for labels, value in samples)]


def _log(query: Query, said: bytes, began: float) -> None:
    host = query.client[0].removeprefix("::ffff:")
    place = f"[{host}]:{query.client[1]}" if ":" in host else f"{host}:{query.client[1]}"
    asked = f"{dnswire.TYPES.get(query.kind, f'TYPE{query.kind}')} IN {query.name}"
    sizes = f"{'tcp' if query.stream else 'udp'} {len(query.message)} false {query.size}"
    seconds = f"{time.monotonic() - began:.9f}s"
    end = f"{dnswire.code_of(said)} qr,aa,rd {len(said)} {seconds}"
    print(f'[INFO] {place} - {query.id} "{asked} {sizes}" {end}', flush=True)
