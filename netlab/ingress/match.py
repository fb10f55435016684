"""Which server and location nginx gives a request to, as its documentation says. Pure.

A server by its exact name, else by the one whose `*` stands for the name's first label, else the
default. A location by its exact path, else the longest prefix; where paths are regular expressions,
the first that matches.

Source: nginx.org, server_names and ngx_http_core_module (location).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netlab.ingress.model import CATCH_ALL, Configuration, Location, Server
from netlab.workload.inside.linear import Expression


def server_for(configuration: Configuration, host: str) -> Server | None:
    """The server of a host's name, in any case; None if there is not even a default."""
    name = host.lower().rstrip(".")
    wild = f"*.{name.partition('.')[2]}"
    for wanted in (name, wild, CATCH_ALL):
        for server in configuration.servers:
            if wanted in _names(server):
                return server
    return None


def _names(server: Server) -> Iterator[str]:
    yield from (each.lower() for each in (server.host, *server.aliases))


def location_for(server: Server, path: str) -> Location | None:
    """The location of a path without its query; None if no one has it."""
    path = path.partition("?")[0].partition("#")[0]
    if any(each.match == "regex" for each in server.locations):
        return next((each for each in server.locations if _matches(each, path)), None)
    for each in server.locations:
        if each.match == "exact" and each.path == path:
            return each
    prefixes = [
        each for each in server.locations if each.match == "prefix" and path.startswith(each.path)
    ]
    return max(prefixes, key=lambda each: len(each.path), default=None)


def _matches(location: Location, path: str) -> bool:
    try:
        return Expression(f"^(?:{location.path})").search(path) is not None
    except re.error:
        return _matches_as_perl(location, path)


def _matches_as_perl(location: Location, path: str) -> bool:
    """What looks ahead or back, as nginx' dialect may. Only who traces waits for it."""
    try:
        return re.match(location.path, path, re.IGNORECASE) is not None
    except re.error:
        return False
