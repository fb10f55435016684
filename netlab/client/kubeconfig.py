"""Kubeconfigs: which API server their current context means, and who we are to it."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from netlab.client.endpoint import ApiEndpoint
from netlab.errors import InputError, Problem

_UNKNOWN = ("exec", "auth-provider", "username", "proxy-url")
"""What a kubeconfig may ask for that we cannot do."""


def read(path: Path, context: str = "") -> ApiEndpoint:
    """The endpoint of a context, of the current one if none is named.

    `InputError` for a file that is no kubeconfig, or asks for what we cannot do.
    """
    try:
        return _endpoint(_Config(path, context))
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from None
    except (yaml.YAMLError, UnicodeDecodeError, binascii.Error) as error:
        raise _wrong(path, " ".join(str(error).split())) from None


def _wrong(path: Path, what: str) -> InputError:
    return InputError([Problem(str(path), 0, "", what)])


class _Config:
    """The parts of a kubeconfig that a context names."""

    def __init__(self, path: Path, context: str) -> None:
        self.path = path
        found = yaml.safe_load(path.read_text())
        if not isinstance(found, dict) or found.get("kind", "Config") != "Config":
            raise _wrong(path, "this is no kubeconfig")
        self._config = found
        chosen = self._named("context", context or found.get("current-context") or "")
        self.cluster = self._named("cluster", chosen.get("cluster", ""))
        self.user = self._named("user", chosen["user"]) if chosen.get("user") else {}
        for field in _UNKNOWN:
            if field in self.cluster or field in self.user:
                raise _wrong(path, f"{field} is not supported: a certificate or a token is needed")

    def _named(self, what: str, name: str) -> Mapping[str, Any]:
        for entry in self._config.get(f"{what}s") or []:
            if entry.get("name") == name:
                part: Mapping[str, Any] = entry.get(what) or {}
                return part
        raise _wrong(self.path, f'it has no {what} "{name}"')

    def text(self, part: Mapping[str, Any], field: str) -> str:
        """What stands there itself, in base64 under `…-data`, or else in a file of that name."""
        if data := part.get(f"{field}-data"):
            return base64.b64decode(data, validate=True).decode()
        name = part.get(field)
        return (self.path.parent / name).read_text() if name else ""


def _endpoint(config: _Config) -> ApiEndpoint:
    cluster, user = config.cluster, config.user
    url = str(cluster.get("server") or "")
    if not url.startswith(("https://", "http://")):
        raise _wrong(config.path, f'the server "{url}" is no URL')
    return ApiEndpoint(
        url=url.rstrip("/"),
        authority=config.text(cluster, "certificate-authority"),
        certificate=config.text(user, "client-certificate"),
        key=config.text(user, "client-key"),
        token=user.get("token") or _token(config),
        server_name=cluster.get("tls-server-name") or "",
        is_verified=cluster.get("insecure-skip-tls-verify") is not True,
    )


def _token(config: _Config) -> str:
    name = config.user.get("tokenFile")
    return (config.path.parent / name).read_text().strip() if name else ""
