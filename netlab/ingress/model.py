"""What an Ingress controller is to serve: servers by their hosts, locations, upstreams.

Ingress, IngressClass, Service, EndpointSlice, Secret → `compile` → Configuration → `render`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from msgspec import Struct, field

from netlab.ingress.annotations import NONE, Annotations
from netlab.ingress.settings import Settings
from netlab.objects.types import EndpointSlice, Ingress, IngressClass, Service

CATCH_ALL = "_"
"""The host of the server that answers for all hosts that have none."""

NOT_FOUND, UNAVAILABLE = 404, 503

Match = Literal["exact", "prefix", "regex"]


class Certificate(Struct, frozen=True):
    """A certificate with its key, as one PEM text, and the DNS names that it is for."""

    pem: str
    names: tuple[str, ...] = ()


class World(Struct, frozen=True):
    """All that is known, for `compile`. Keys are `namespace/name`; `data` is a ConfigMap's.

    `watches` says of a namespace whether its Ingresses may be anybody's. `tcp_services` and
    `udp_services` are those of ConfigMaps, `stream_module` is a file that nginx needs for them
    ("": none, None: it is not there). `classes` is None for who may not see them, and goes by names
    alone. `certificate` and `password_file` say in a text what is wrong with a Secret.
    """

    ingresses: Sequence[Ingress]
    classes: Sequence[IngressClass] | None
    service: Callable[[str], Service | None]
    slices: Callable[[str], Sequence[EndpointSlice]]
    certificate: Callable[[str], Certificate | str]
    password_file: Callable[[str], Mapping[str, str] | str]
    data: Mapping[str, str] = field(default_factory=dict)
    tcp_services: Mapping[str, str] | None = None
    udp_services: Mapping[str, str] | None = None
    stream_module: str | None = ""
    watches: Callable[[str], bool] = lambda _: True


class IngressProblem(Struct, frozen=True, order=True):
    """What is wrong with an Ingress (or what `kind` says) of that key, as its Event says it."""

    about: str
    reason: str
    message: str
    kind: str = "Ingress"


class Stream(Struct, frozen=True):
    """A port that leads to the endpoints of a Service (`10.244.1.2:80`), or to a name outside.

    `takes_proxy` and `sends_proxy`: the PROXY protocol says whose a connection is, coming or going.
    """

    port: int
    protocol: Literal["TCP", "UDP"]
    shown: str
    servers: tuple[str, ...] = ()
    external: str = ""
    external_port: int = 0
    takes_proxy: bool = False
    sends_proxy: bool = False


class Backend(Struct, frozen=True):
    """Where requests go: the addresses (`10.244.1.2:80`) behind a Service's port.

    `name` is unlike all others'; `shown` is what logs and nginx' variables have.
    """

    name: str
    namespace: str
    service: str
    port: str
    servers: tuple[str, ...] = ()
    external: str = ""
    """A name (`example.com:80`) to be asked for with each request, of type ExternalName."""
    balance: str = ""
    """The directive that says which endpoint is next, unless it is each in turn."""

    @property
    def shown(self) -> str:
        """As ingress-nginx calls it."""
        return f"{self.namespace}-{self.service}-{self.port}"

    @property
    def is_there(self) -> bool:
        """Whether anybody would answer."""
        return bool(self.servers or self.external)


class SessionAffinity(Struct, frozen=True):
    """A cookie that brings a client back to the endpoint which it had before."""

    cookie: str
    attributes: str
    secure: bool | None = None
    """Whether it is sent over TLS alone; None: if it was set over TLS."""
    change_on_failure: bool = False
    is_balanced: bool = True
    """Whether some sessions move to an endpoint that is new."""


class Canary(Struct, frozen=True):
    """A second backend for some of the requests: by header, else by cookie, else by chance."""

    backend: Backend
    header: str = ""
    header_value: str = ""
    header_pattern: str = ""
    cookie: str = ""
    weight: int = 0
    total: int = 100
    is_sticky: bool = True
    """Whether a client's cookie brings him back to it, too."""


class Location(Struct, frozen=True):
    """What becomes of the requests to a path.

    They go to `backend`, or are answered with `status`. `ingress` (`namespace/name`) is whose.
    """

    path: str
    match: Match
    backend: Backend | None = None
    status: int = NOT_FOUND
    ingress: str = ""
    ingress_path: str = ""
    path_type: str = "Prefix"
    annotations: Annotations = NONE
    redirects_to_https: bool = False
    password_file: str = ""
    affinity: SessionAffinity | None = None
    canary: Canary | None = None


class Server(Struct, frozen=True):
    """A host: `_`, `example.com`, `*.example.com`. `certificate` is the file of its own, if any."""

    host: str
    locations: tuple[Location, ...]
    aliases: tuple[str, ...] = ()
    certificate: str = ""
    ingress: str = ""
    app_roots: tuple[str, ...] = ()
    ciphers: str = ""
    www: bool = False
    """Whether its name with `www.` before it, or without, leads here."""


class Configuration(Struct, frozen=True):
    """All of it. `files` are the texts that it names, by their names beside it."""

    servers: tuple[Server, ...]
    settings: Settings
    files: Mapping[str, str] = field(default_factory=dict)
    streams: tuple[Stream, ...] = ()
    stream_module: str = ""
