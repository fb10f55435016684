"""Pure: what a container's probes ask, and when their answers count.

https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import quote

from msgspec import Struct, field

from netlab.errors import NetlabError
from netlab.objects import types
from netlab.objects.addresses import bracketed
from netlab.objects.types import Container, HTTPGetAction, IntOrString, LifecycleHandler

ProbeKind = Literal["Startup", "Readiness", "Liveness"]

Action = types.Probe | LifecycleHandler

USER_AGENT = "kube-probe/1.33"

_URL = "!#$%&'()*+,-./:;=?@[]_~"
"""What stands for itself in a path and its query; a blank or a line break would end the path."""

_Field = Literal["startupProbe", "readinessProbe", "livenessProbe"]
_FIELDS: tuple[tuple[ProbeKind, _Field], ...] = (
    ("Startup", "startupProbe"),
    ("Readiness", "readinessProbe"),
    ("Liveness", "livenessProbe"),
)


class Probe(Struct, frozen=True):
    """One probe of a container. Times are seconds; `grace` is how long its victim may take to end.

    `action` is the spec's own: `httpGet`, `tcpSocket`, `exec` or `grpc`.
    """

    kind: ProbeKind
    action: Action
    initial_delay: float
    period: float
    timeout: float
    successes: int
    failures: int
    grace: float | None


def probes_of(container: Container) -> tuple[Probe, ...]:
    """The probes of an entry of `spec.containers`, Kubernetes' defaults filled in."""
    written = ((kind, container.get(name)) for kind, name in _FIELDS)
    return tuple(_probe(kind, spec) for kind, spec in written if spec)


def has_probe(container: Container, kind: ProbeKind) -> bool:
    """Whether the container has a probe of that kind."""
    return any(container.get(name) for known, name in _FIELDS if known == kind)


def _probe(kind: ProbeKind, spec: types.Probe) -> Probe:
    grace = spec.get("terminationGracePeriodSeconds")
    return Probe(
        kind,
        spec,
        initial_delay=float(spec.get("initialDelaySeconds") or 0),
        period=float(spec.get("periodSeconds") or 10),
        timeout=float(spec.get("timeoutSeconds") or 1),
        successes=spec.get("successThreshold") or 1,
        failures=spec.get("failureThreshold") or 3,
        grace=float(grace) if grace is not None else None,
    )


class Streak(Struct):
    """Counts equal answers in a row until there are enough of them to count."""

    successes: int
    failures: int
    _last: bool | None = None
    _run: int = 0

    def add(self, good: bool) -> bool | None:
        """Take an answer; the verdict, or None while there is none yet."""
        self._run = self._run + 1 if good == self._last else 1
        self._last = good
        enough = self.successes if good else self.failures
        return good if self._run >= enough else None


class HttpGet(Struct, frozen=True):
    """Good with a status from 200 to 399; redirects are not followed."""

    host: str
    port: int
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tls: bool = False

    @property
    def url(self) -> str:
        """As Go prints it in the kubelet's messages."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{bracketed(self.host)}:{self.port}{self.path}"


class TcpSocket(Struct, frozen=True):
    """Good when a connection is accepted."""

    host: str
    port: int


class Exec(Struct, frozen=True):
    """Good when the command, run in the container, exits with 0."""

    argv: tuple[str, ...]


Target = HttpGet | TcpSocket | Exec


def target(action: Action, container: Container, ip: str) -> Target:
    """What a probe or a hook with that action reaches for; `NetlabError` when it cannot be had.

    `ip` is the pod's address, for actions that name no host.
    """
    if http := action.get("httpGet"):
        return _http_get(http, container, ip)
    if tcp := action.get("tcpSocket"):
        return TcpSocket(tcp.get("host") or ip, port_number(tcp["port"], container))
    if command := action.get("exec"):
        return Exec(tuple(command.get("command") or ()))
    if "grpc" in action:
        raise NetlabError("gRPC probes are not supported here", hint="use httpGet, tcpSocket, exec")
    raise NetlabError("the action names nothing to do")


def _http_get(http: HTTPGetAction, container: Container, ip: str) -> HttpGet:
    path = http.get("path") or "/"
    headers = {entry["name"]: entry["value"] for entry in http.get("httpHeaders") or ()}
    return HttpGet(
        http.get("host") or ip,
        port_number(http["port"], container),
        quote(path if path.startswith("/") else f"/{path}", safe=_URL),
        headers,
        http.get("scheme") == "HTTPS",
    )


def port_number(port: IntOrString, container: Container) -> int:
    """A port by number, or by its name among the container's ports."""
    if isinstance(port, int) or port.isdigit():
        return int(port)
    for entry in container.get("ports") or ():
        if entry.get("name") == port:
            return entry["containerPort"]
    raise NetlabError(f'couldn\'t find port: "{port}" is no port of container {container["name"]}')


def request(http: HttpGet) -> bytes:
    """The request as it goes over the wire; headers of the spec replace the kubelet's own."""
    headers = {
        "host": f"Host: {bracketed(http.host)}:{http.port}",
        "user-agent": f"User-Agent: {USER_AGENT}",
        "accept": "Accept: */*",
        "connection": "Connection: close",
    }
    headers |= {name.lower(): f"{name}: {value}" for name, value in http.headers.items()}
    lines = (f"GET {http.path} HTTP/1.1", *headers.values(), "", "")
    return "\r\n".join(lines).encode()
