"""What stands outside of servers for single locations: counters of requests, maps for CORS."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

from netlab.ingress.annotations import Annotations
from netlab.ingress.model import Configuration, Location
from netlab.ingress.page import Page
from netlab.ingress.quoting import literal, quoted


def shared(page: Page, configuration: Configuration) -> None:
    """Write each once, however many locations want it."""
    written: set[str] = set()
    for server in configuration.servers:
        for location in server.locations:
            with page.of(location.ingress):
                _zones(page, location, written)
                if location.annotations.enable_cors:
                    _cors(page, location.annotations, written)


# -- limits --------------------------------------------------------------------------------


def zone(location: Location, kind: str) -> str:
    """The name of the memory in which an Ingress' requests are counted."""
    return f"{location.ingress.replace('/', '_')}_{kind}"


def _zones(page: Page, location: Location, written: set[str]) -> None:
    said = location.annotations
    for kind, rate, unit in (("rps", said.limit_rps, "s"), ("rpm", said.limit_rpm, "m")):
        if rate and _is_new(zone(location, kind), written):
            where = f"zone={zone(location, kind)}:1m"
            page.say("limit_req_zone", "$binary_remote_addr", where, f"rate={rate}r/{unit}")
    if said.limit_connections and _is_new(zone(location, "conn"), written):
        page.say("limit_conn_zone", "$binary_remote_addr", f"zone={zone(location, 'conn')}:1m")


def _is_new(name: str, written: set[str]) -> bool:
    if name in written:
        return False
    written.add(name)
    return True


# -- CORS ----------------------------------------------------------------------------------


def cors_headers(said: Annotations) -> Iterator[tuple[str, str]]:
    """What a browser is to hear: each header, and the variable with it, which is empty for pages
    of origins that are not welcome."""
    yield "Access-Control-Allow-Origin", f"$cors_{_mark(said)}"
    for name, _ in _values(said):
        short = name.removeprefix("Access-Control-").lower().replace("-", "_")
        yield name, f"$cors_{short}_{_mark(said)}"


def preflight(said: Annotations) -> str:
    """The variable that is 1 for the question of a browser whether it may ask."""
    return f"$cors_preflight_{_mark(said)}"


def _values(said: Annotations) -> Iterator[tuple[str, str]]:
    if said.cors_allow_credentials:
        yield "Access-Control-Allow-Credentials", "true"
    yield "Access-Control-Allow-Methods", said.cors_allow_methods
    yield "Access-Control-Allow-Headers", said.cors_allow_headers
    if said.cors_expose_headers:
        yield "Access-Control-Expose-Headers", said.cors_expose_headers
    yield "Access-Control-Max-Age", str(said.cors_max_age)


def _mark(said: Annotations) -> str:
    """The same for those who say the same."""
    return f"{zlib.crc32(repr((said.cors_allow_origin, *_values(said))).encode()):08x}"


def _cors(page: Page, said: Annotations, written: set[str]) -> None:
    (_, origin), *others = cors_headers(said)
    if not _is_new(origin, written):
        return
    if said.cors_allow_origin.strip() == "*":
        page.table("$http_origin", origin, iter((("default", '"*"'),)))
    else:
        page.table("$http_origin", origin, _origins(said.cors_allow_origin))
    for (_, variable), (_, value) in zip(others, _values(said), strict=True):
        page.table(origin, variable, iter((('""', '""'), ("default", literal(value)))))
    asked = (("default", "0"), ('"~^OPTIONS ."', "1"))
    page.table(f'"$request_method {origin}"', preflight(said), iter(asked))


def _origins(text: str) -> Iterator[tuple[str, str]]:
    yield "default", '""'
    for each in filter(None, (part.strip() for part in text.split(","))):
        pattern = re.escape(each).replace(r"\*", "[A-Za-z0-9-]+")
        yield quoted(f"~*^{pattern}$"), "$http_origin"
