"""Hosts, once all Ingresses have said theirs → the servers and locations that nginx is given."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from netlab.ingress.model import CATCH_ALL, Location, Match, Server
from netlab.ingress.settings import Settings

Note = Callable[[str, str, str], None]
"""Says of an Ingress, by its key, a reason and a text."""


class Host(Struct):
    """A server while it is being put together; `places` are its locations by path and pathType."""

    host: str
    ingress: str
    places: dict[tuple[str, str], Location] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    certificate: str = ""
    has_tls: bool = False
    ciphers: str = ""
    app_root: str = ""
    www: bool = False


def servers(hosts: Mapping[str, Host], settings: Settings, note: Note) -> tuple[Server, ...]:
    """In the order of their names; `note` is told of paths that nginx would take for the same."""
    made = [_server(hosts[name], settings, note) for name in sorted(hosts)]
    return tuple(_without_taken_aliases(made))


def shown(host: str) -> str:
    """A host as it is spoken of."""
    return "" if host == CATCH_ALL else host


def _server(host: Host, settings: Settings, note: Note) -> Server:
    places = sorted(host.places.values(), key=lambda one: one.path, reverse=True)
    places.sort(key=lambda one: len(one.path), reverse=True)
    is_regex = any(_rewrites(one) or one.annotations.use_regex for one in places)
    expanded = places if is_regex else [two for one in places for two in _both(one, places)]
    locations = [replace(one, match="regex") for one in expanded] if is_regex else expanded
    return Server(
        host.host,
        tuple(
            replace(one, redirects_to_https=_redirects(one, settings, has_tls=host.has_tls))
            for one in _unlike(locations, host.host, note)
        ),
        host.aliases,
        host.certificate,
        host.ingress,
        (host.app_root,) if host.app_root else (),
        host.ciphers,
        host.www,
    )


def _unlike(locations: Sequence[Location], host: str, note: Note) -> Iterator[Location]:
    """Without those that nginx would take for the same as another, which is older."""
    seen: dict[tuple[str, Match], Location] = {}
    for one in locations:
        first = seen.setdefault((one.path, one.match), one)
        if first is one:
            yield one
        elif one.ingress:
            text = f'{one.path_type} path "{one.ingress_path}" of host "{shown(host)}" is'
            other = f'{first.path_type} path "{first.ingress_path}" of Ingress "{first.ingress}"'
            note(one.ingress, "PathConflict", f"{text} the same to nginx as {other}")


def _without_taken_aliases(servers: Sequence[Server]) -> Iterator[Server]:
    taken = {server.host for server in servers}
    for server in servers:
        aliases = tuple(sorted(set(server.aliases) - taken))
        taken |= set(aliases)
        yield replace(server, aliases=aliases)


def _redirects(location: Location, settings: Settings, *, has_tls: bool) -> bool:
    excepted = settings.no_tls_redirect_locations.split(",")
    if any(each and location.path.startswith(each) for each in excepted):
        return False
    said = location.annotations
    forced, wanted = said.force_ssl_redirect, said.ssl_redirect
    if settings.force_ssl_redirect if forced is None else forced:
        return True
    return has_tls and (settings.ssl_redirect if wanted is None else wanted)


def _rewrites(location: Location) -> bool:
    target = location.annotations.rewrite_target
    return bool(target) and target != location.path


def _both(location: Location, places: Sequence[Location]) -> Iterator[Location]:
    """`Prefix` /ip is what is below /ip/, and, unless that is said otherwise, /ip itself."""
    if location.path == "/" or location.path_type != "Prefix":
        yield location
        return
    below = location.path if location.path.endswith("/") else f"{location.path}/"
    yield replace(location, path=below)
    if not any(one.match == "exact" and one.path == location.path for one in places):
        yield replace(location, match="exact")
