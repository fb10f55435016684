"""Ingresses → servers and locations, as ingress-nginx merges them.

- A host is a server, whoever speaks of it. The oldest Ingress comes first: what two want, it has.
- A path is a location. `Prefix` /ip is two: exactly /ip, and all below /ip/; /ipx is neither.
- Longer paths come before shorter ones. That decides where paths are regular expressions, which
  all paths of a host are as soon as one of its Ingresses rewrites or says so; else nginx takes the
  exact one, and then the longest.

Source: getBackendServers, createServers and updateServerLocations in ingress-nginx'
internal/ingress/controller; docs/user-guide/ingress-path-matching.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from netlab.ingress.affinities import EWMA, affinity, balance, canary
from netlab.ingress.annotations import NONE, Annotations
from netlab.ingress.annotations import parse as parse_annotations
from netlab.ingress.backends import Unresolved, backend
from netlab.ingress.classes import ours
from netlab.ingress.model import (
    CATCH_ALL,
    NOT_FOUND,
    UNAVAILABLE,
    Backend,
    Configuration,
    IngressProblem,
    Location,
    Match,
    World,
)
from netlab.ingress.options import Options
from netlab.ingress.quoting import is_plain
from netlab.ingress.secrets import Secrets
from netlab.ingress.servers import Host, servers, shown
from netlab.ingress.settings import parse as parse_settings
from netlab.ingress.streams import streams
from netlab.objects import meta
from netlab.objects.types import (
    HTTPIngressPath,
    Ingress,
    IngressBackend,
    IngressRule,
    IngressServiceBackend,
)


class Compiled(Struct, frozen=True):
    """The configuration, whose Ingresses it serves, and what is wrong with any of them."""

    configuration: Configuration
    served: tuple[Ingress, ...]
    problems: tuple[IngressProblem, ...]


def compile_(world: World, options: Options) -> Compiled:
    """What a controller of these options serves."""
    return _Compilation(world, options).run()


class _Compilation:
    """One run; everything is found out once, and what is wrong is noted where it is seen."""

    def __init__(self, world: World, options: Options) -> None:
        self._world = world
        self._options = options
        self._settings, wrong = parse_settings(world.data)
        self._problems: dict[IngressProblem, None] = {}
        for text in wrong:
            self._note(options.configmap, "SettingIgnored", text, kind="ConfigMap")
        if self._settings.load_balance == "ewma":
            text = f"load-balance: {EWMA}"
            self._note(options.configmap, "Approximated", text, kind="ConfigMap")
        self._secrets = Secrets(world, self._note)
        self._annotations: dict[str, Annotations] = {}
        self._hosts: dict[str, Host] = {}

    def run(self) -> Compiled:
        """Put all of it together."""
        watches, ingresses = self._world.watches, self._world.ingresses
        watched = [one for one in ingresses if watches(meta.namespace(one))]
        candidates = ours(watched, self._world.classes, self._options)
        served = [ingress for ingress in candidates if self._is_sound(ingress)]
        plain = [ingress for ingress in served if not self._of(ingress).canary]
        self._hosts[CATCH_ALL] = Host(CATCH_ALL, "")
        self._hosts[CATCH_ALL].places["/", "default"] = self._default_location()
        for ingress in plain:
            self._open_hosts(ingress)
        for ingress in plain:
            self._fill(ingress)
        for ingress in served:
            if self._of(ingress).canary:
                self._add_canary(ingress)
        made = servers(self._hosts, self._settings, self._note)
        default = self._secrets.default(self._options.default_certificate)
        led, wrong = streams(self._world, self._options)
        self._problems |= dict.fromkeys(wrong)
        configuration = Configuration(
            made,
            self._settings,
            {**default, **self._secrets.files},
            led,
            self._world.stream_module or "",
        )
        return Compiled(configuration, tuple(served), tuple(self._problems))

    # -- what is said of an Ingress --------------------------------------------------------

    def _note(self, about: str, reason: str, message: str, *, kind: str = "Ingress") -> None:
        self._problems[IngressProblem(about, reason, message, kind)] = None

    def _of(self, ingress: Ingress) -> Annotations:
        return self._annotations[meta.key(ingress)]

    def _is_sound(self, ingress: Ingress) -> bool:
        """Read its annotations; False for one that ingress-nginx would not let in."""
        key = meta.key(ingress)
        found, wrong = parse_annotations(meta.annotations(ingress), self._options.prefix)
        self._annotations[key] = found
        for text in wrong:
            self._note(key, "AnnotationIgnored", text)
        if found.load_balance == "ewma":
            self._note(key, "Approximated", f"load-balance: {EWMA}")
        strict = self._settings.strict_validate_path_type
        strict = self._options.strict_paths if strict is None else strict
        refused = [
            text
            for rule in meta.spec(ingress).get("rules") or ()
            for path in _paths(rule)
            if (text := _refusal(path, strict=strict))
        ]
        for text in refused:
            self._note(key, "Rejected", f"ingress contains invalid paths: {text}")
        return not refused

    # -- hosts -----------------------------------------------------------------------------

    def _default_location(self) -> Location:
        """For what is nobody's: the controller's default backend, or 404."""
        found = None
        if key := self._options.default_backend:
            namespace, _, name = key.partition("/")
            service = self._world.service(key)
            ports = meta.spec(service).get("ports") or () if service else ()
            if ports:
                named: IngressServiceBackend = {
                    "name": name,
                    "port": {"number": ports[0]["port"]},
                }
                found = self._resolved(named, namespace, "")
        found = found if found and found.is_there else None
        quiet = replace(
            NONE,
            enable_access_log=self._settings.enable_access_log_for_default_backend,
        )
        return Location("/", "prefix", found, annotations=quiet)

    def _open_hosts(self, ingress: Ingress) -> None:
        """See to it that each host has a server, whose / is for what no path of it takes."""
        key, spec = meta.key(ingress), meta.spec(ingress)
        default = self._backend(spec.get("defaultBackend"), ingress)
        if default and not spec.get("rules"):
            self._catch_all(ingress, default)
        for rule in spec.get("rules") or ():
            host = rule.get("host") or CATCH_ALL
            if host not in self._hosts:
                self._hosts[host] = Host(host, key)
                location = self._location(ingress, "/", "prefix", default)
                if default is None:
                    general = self._hosts[CATCH_ALL].places.get(("/", "default"))
                    backend_ = general.backend if general and not general.ingress else None
                    location = replace(location, backend=backend_, status=NOT_FOUND)
                self._hosts[host].places["/", "default"] = location
        self._configure_hosts(ingress)

    def _catch_all(self, ingress: Ingress, default: Backend) -> None:
        """An Ingress of a backend and no rule takes what is nobody's; the oldest of them."""
        places = self._hosts[CATCH_ALL].places
        there = places["/", "default"]
        if there.ingress:
            text = f'"/" of all other hosts is already that of Ingress "{there.ingress}"'
            self._note(meta.key(ingress), "PathConflict", text)
            return
        location = self._location(ingress, "/", "prefix", default)
        plain = replace(location.annotations, rewrite_target="", use_regex=False, app_root="")
        places["/", "default"] = replace(location, annotations=plain)

    def _configure_hosts(self, ingress: Ingress) -> None:
        """What belongs to the whole host: certificate, other names, ciphers."""
        said = self._of(ingress)
        for rule in meta.spec(ingress).get("rules") or ():
            server = self._hosts[rule.get("host") or CATCH_ALL]
            server.aliases = server.aliases or said.server_alias
            server.ciphers = server.ciphers or said.ssl_ciphers
            server.app_root = server.app_root or said.app_root
            server.www = server.www or said.from_to_www_redirect
            if server.host != CATCH_ALL and meta.spec(ingress).get("tls") and not server.has_tls:
                server.has_tls = True
                server.certificate = self._secrets.certificate_for(server.host, ingress)

    # -- paths -----------------------------------------------------------------------------

    def _fill(self, ingress: Ingress) -> None:
        for rule in meta.spec(ingress).get("rules") or ():
            server = self._hosts[rule.get("host") or CATCH_ALL]
            for entry in _paths(rule):
                self._add(server, ingress, entry)

    def _add(self, server: Host, ingress: Ingress, entry: HTTPIngressPath) -> None:
        path, kind = entry.get("path") or "/", entry["pathType"]
        there = server.places.get((path, kind))
        if there is not None:
            self._conflict(server, path, ingress, there)
            return
        found = self._backend(entry["backend"], ingress)
        if found is None:
            return
        if path == "/" and kind != "Exact":
            server.places.pop(("/", "default"), None)
        match: Match = "exact" if kind == "Exact" else "prefix"
        server.places[path, kind] = self._location(ingress, path, match, found, kind)

    def _conflict(self, server: Host, path: str, ingress: Ingress, there: Location) -> None:
        text = f'host "{shown(server.host)}" and path "{path}" is already defined in ingress'
        self._note(meta.key(ingress), "PathConflict", f"{text} {there.ingress}, which keeps it")

    def _location(
        self,
        ingress: Ingress,
        path: str,
        match: Match,
        found: Backend | None,
        path_type: str = "Prefix",
    ) -> Location:
        said = self._of(ingress)
        location = Location(
            path,
            match,
            found if found and found.is_there else None,
            UNAVAILABLE,
            ingress=meta.key(ingress),
            ingress_path=path,
            path_type=path_type,
            annotations=said,
            affinity=affinity(said, path),
        )
        if said.auth_type:
            return self._guarded(location, meta.namespace(ingress))
        return location

    def _guarded(self, location: Location, namespace: str) -> Location:
        """With a password; a location whose passwords are not there lets nobody in."""
        name = self._secrets.passwords(location.ingress, namespace, location.annotations)
        if not name:
            return replace(location, backend=None, status=UNAVAILABLE)
        return replace(location, password_file=name)

    def _backend(self, named: IngressBackend | None, ingress: Ingress) -> Backend | None:
        if named is None:
            return None
        if "service" not in named:
            other = named.get("resource")
            shown = f"{other['kind']}/{other['name']}" if other else "nothing"
            text = f"backend {shown} is no Service"
            self._note(meta.key(ingress), "BackendIgnored", f"{text}: the default backend is used")
            return None
        return self._resolved(named["service"], meta.namespace(ingress), meta.key(ingress))

    def _resolved(self, named: IngressServiceBackend, namespace: str, about: str) -> Backend:
        said = self._annotations.get(about, NONE)
        by_cluster_ip = said.service_upstream
        if by_cluster_ip is None:
            by_cluster_ip = self._settings.service_upstream
        try:
            found = backend(named, namespace, self._world, by_cluster_ip=by_cluster_ip)
        except Unresolved as error:
            if about:
                self._note(about, error.reason, f"{error}: its paths answer 503")
            return error.backend
        if found.external and not self._options.external_names:
            return replace(found, external="")
        return replace(found, balance=balance(said, self._settings.load_balance))

    def _add_canary(self, ingress: Ingress) -> None:
        """Part of the requests to paths that another Ingress has go to this one's backend."""
        said, key = self._of(ingress), meta.key(ingress)
        for rule in meta.spec(ingress).get("rules") or ():
            server = self._hosts.get(rule.get("host") or CATCH_ALL)
            for entry in _paths(rule):
                place = entry.get("path") or "/", entry["pathType"]
                found = self._backend(entry["backend"], ingress)
                there = server.places.get(place) if server else None
                if there is None or there.backend is None or found is None:
                    text = f'unable to find real backend for path "{place[0]}" of this canary'
                    self._note(key, "CanaryIgnored", text)
                elif there.canary is not None:
                    self._note(key, "CanaryIgnored", f'path "{place[0]}" has a canary already')
                elif server and found.is_there and found.name != there.backend.name:
                    server.places[place] = replace(there, canary=canary(said, found))


_PLAIN_PATH = re.compile(r"/[A-Za-z0-9._\-/]*")


def _refusal(entry: HTTPIngressPath, *, strict: bool) -> str:
    """Why a path cannot be served; "" if it can."""
    path = entry.get("path") or "/"
    if not is_plain(path):
        return f"path {path!r} has a control character"
    if strict and entry["pathType"] != "ImplementationSpecific" and not _PLAIN_PATH.fullmatch(path):
        return f"path {path} cannot be used with pathType {entry['pathType']}"
    return ""


def _paths(rule: IngressRule) -> Sequence[HTTPIngressPath]:
    http = rule.get("http")
    return http["paths"] if http else ()
