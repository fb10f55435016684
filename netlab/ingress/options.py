"""What a controller was started with: the flags of its container.

Source: ingress-nginx' docs/user-guide/cli-arguments.md.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from netlab.errors import BadRequest
from netlab.ingress import flags
from netlab.ingress.annotations import PREFIX
from netlab.ingress.flags import Said
from netlab.ingress.quoting import is_plain
from netlab.objects.fields import parse_address
from netlab.objects.selectors import EVERYTHING, Selector, parse
from netlab.objects.times import duration

ELECTION_TTL = 30.0
"""Seconds for which the Lease of who leads holds, unless he renews it."""


class Options(Struct, frozen=True):
    """Which Ingresses are a controller's, where it listens, what it tells of itself.

    It takes Ingresses for its own that lie in its `namespace`, or in one whose labels its
    `namespace_selector` selects. `before_version_1` controllers took an Ingress without a class for
    theirs. `undone` says what was asked for and is not done, a line each.
    """

    ingress_class: str = "nginx"
    controller_class: str = "k8s.io/ingress-nginx"
    by_name: bool = False
    without_class: bool = False
    namespace: str = ""
    namespace_selector: Selector = EVERYTHING
    configmap: str = ""
    tcp_services: str = ""
    udp_services: str = ""
    default_backend: str = ""
    default_certificate: str = ""
    publish_service: str = ""
    publish_addresses: tuple[str, ...] = ()
    internal_addresses: bool = False
    updates_status: bool = True
    takes_status_back: bool = True
    election: str = "ingress-controller-leader"
    elects: bool = True
    election_ttl: float = ELECTION_TTL
    http_port: int = 80
    https_port: int = 443
    health_host: str = ""
    health_port: int = 10254
    health_path: str = "/healthz"
    prefix: str = PREFIX
    strict_paths: bool = True
    external_names: bool = True
    catches_all: bool = True
    tells_of_syncs: bool = True
    before_version_1: bool = False
    undone: tuple[str, ...] = ()


_TEXTS = {
    "ingress_class": "ingress-class",
    "controller_class": "controller-class",
    "namespace": "watch-namespace",
    "configmap": "configmap",
    "tcp_services": "tcp-services-configmap",
    "udp_services": "udp-services-configmap",
    "default_backend": "default-backend-service",
    "default_certificate": "default-ssl-certificate",
    "publish_service": "publish-service",
    "election": "election-id",
    "prefix": "annotations-prefix",
}
_SWITCHES = {
    "by_name": "ingress-class-by-name",
    "without_class": "watch-ingress-without-class",
    "internal_addresses": "report-node-internal-ip-address",
    "updates_status": "update-status",
    "takes_status_back": "update-status-on-shutdown",
}
_SWITCHED_OFF = {
    "elects": "disable-leader-election",
    "external_names": "disable-svc-external-name",
    "catches_all": "disable-catch-all",
    "tells_of_syncs": "disable-sync-events",
}
_PORTS = {"http_port": "http-port", "https_port": "https-port", "health_port": "healthz-port"}

_VERSION = re.compile(r"(?:nginx-)?v?([0-9]+)\.([0-9]+)")


def options(arguments: Sequence[str], tag: str = "") -> Options:
    """What arguments say, in an image of that tag, which is its version. `flags.Unusable` for what
    no controller starts with."""
    said = flags.said(arguments)
    found = _VERSION.match(tag)
    version = (int(found[1]), int(found[2])) if found else (1, 12)
    flags.check(said, is_old=version < (1, 0))
    return Options(
        **_plainly_said(said),
        namespace_selector=_selector(said.get("watch-namespace-selector", "")),
        publish_addresses=tuple(
            filter(None, re.split(r",\s*", said.get("publish-status-address", "")))
        ),
        election_ttl=_seconds(said.get("election-ttl", "")),
        health_host=_address(said.get("healthz-host", "")),
        health_path=_plain(said.get("health-check-path", "")) or "/healthz",
        strict_paths=version >= (1, 12),
        before_version_1=version < (1, 0),
        undone=tuple(flags.without_effect(said)),
    )


def _plainly_said(said: Said) -> dict[str, Any]:
    """The fields that are one flag's each; what is not said, or not to be used, is left out."""
    texts = {field: said.get(flag) for field, flag in _TEXTS.items()}
    ports = {field: _port(said.get(flag, "")) for field, flag in _PORTS.items()}
    given = {field: value for field, value in {**texts, **ports}.items() if value}
    on = {field: flags.is_on(said, flag) for field, flag in _SWITCHES.items() if flag in said}
    off = {field: not flags.is_on(said, flag) for field, flag in _SWITCHED_OFF.items()}
    return {**given, **on, **off}


def _selector(text: str) -> Selector:
    try:
        return parse(text)
    except BadRequest as error:
        problem = f"failed to parse --watch-namespace-selector={text}, error: {error.message}"
        raise flags.Unusable(problem, 255) from None


def _seconds(text: str) -> float:
    found = duration(text)
    return found if found is not None and found > 0 else ELECTION_TTL


def _address(text: str) -> str:
    return str(parse_address(text) or "")


def _plain(text: str) -> str:
    return text if is_plain(text) else ""


def _port(text: str) -> int:
    return int(text) if text.isdecimal() and 0 < int(text) < 65536 else 0
