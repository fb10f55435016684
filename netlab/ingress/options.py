"""What a controller was started with: the flags of its container.

Source: ingress-nginx' docs/user-guide/cli-arguments.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

from netlab.ingress.annotations import PREFIX


class Options(Struct, frozen=True):
    """Which Ingresses are a controller's, where it listens, what it tells of itself.

    `before_version_1` controllers took an Ingress without a class for theirs.
    """

    ingress_class: str = "nginx"
    controller_class: str = "k8s.io/ingress-nginx"
    by_name: bool = False
    without_class: bool = False
    namespace: str = ""
    configmap: str = ""
    default_backend: str = ""
    default_certificate: str = ""
    publish_service: str = ""
    publish_addresses: tuple[str, ...] = ()
    internal_addresses: bool = False
    updates_status: bool = True
    http_port: int = 80
    https_port: int = 443
    health_port: int = 10254
    health_path: str = "/healthz"
    prefix: str = PREFIX
    strict_paths: bool = True
    external_names: bool = True
    before_version_1: bool = False


_FLAGS = frozenset(
    (
        "ingress-class-by-name", "watch-ingress-without-class", "report-node-internal-ip-address",
        "update-status", "disable-svc-external-name", "enable-ssl-passthrough",
        "enable-ssl-chain-completion", "enable-metrics", "profiling", "disable-catch-all",
        "enable-annotation-validation", "deep-inspect", "update-status-on-shutdown",
        "disable-leader-election", "enable-topology-aware-routing", "metrics-per-host",
        "force-namespace-isolation", "enable-prometheus-metrics", "metrics-per-undefined-host",
    )
)  # fmt: skip
"""Those that need no value."""

_VERSION = re.compile(r"(?:nginx-)?v?([0-9]+)\.([0-9]+)")


def options(arguments: Sequence[str], tag: str = "") -> Options:
    """What arguments say, in an image of that tag, which is its version."""
    said = dict(_said(arguments))
    found = _VERSION.match(tag)
    version = (int(found[1]), int(found[2])) if found else (1, 12)
    return Options(
        ingress_class=said.get("ingress-class") or "nginx",
        controller_class=said.get("controller-class") or "k8s.io/ingress-nginx",
        by_name=_is_on(said, "ingress-class-by-name"),
        without_class=_is_on(said, "watch-ingress-without-class"),
        namespace=said.get("watch-namespace", ""),
        configmap=said.get("configmap", ""),
        default_backend=said.get("default-backend-service", ""),
        default_certificate=said.get("default-ssl-certificate", ""),
        publish_service=said.get("publish-service", ""),
        publish_addresses=tuple(
            filter(None, re.split(r",\s*", said.get("publish-status-address", "")))
        ),
        internal_addresses=_is_on(said, "report-node-internal-ip-address"),
        updates_status=said.get("update-status", "true") != "false",
        http_port=_port(said, "http-port", 80),
        https_port=_port(said, "https-port", 443),
        health_port=_port(said, "healthz-port", 10254),
        prefix=said.get("annotations-prefix") or PREFIX,
        strict_paths=version >= (1, 12),
        external_names=not _is_on(said, "disable-svc-external-name"),
        before_version_1=version < (1, 0),
    )


def _said(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """`--name=value`, `--name value`, `--flag`; the program's own name is among them."""
    words = iter(arguments)
    for word in words:
        if word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            if not equals:
                value = "true" if name in _FLAGS else next(words, "")
            yield name, value


def _is_on(said: dict[str, str], name: str) -> bool:
    return said.get(name, "false") in ("true", "1", "t")


def _port(said: dict[str, str], name: str, otherwise: int) -> int:
    text = said.get(name, "")
    return int(text) if text.isdecimal() and 0 < int(text) < 65536 else otherwise
