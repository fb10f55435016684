"""Kubeconfigs: which API server a context of theirs means, and who we are to it."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from netlab import given
from netlab.client import tcp
from netlab.client.endpoint import ApiEndpoint
from netlab.errors import InputError, Problem
from netlab.objects import yamltext
from netlab.objects.problems import did_you_mean, render_path

VARIABLE = "KUBECONFIG"

_UNKNOWN = ("exec", "auth-provider", "username", "proxy-url")
"""What a kubeconfig may ask for that we cannot do."""


class Context(Struct, frozen=True):
    """An API server, and the namespace that is meant there unless another is named."""

    endpoint: ApiEndpoint
    namespace: str = "default"


def usual_files() -> list[Path]:
    """Those that kubectl reads if none is named: of KUBECONFIG, else ~/.kube/config."""
    named = [Path(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]
    there = [path for path in named if path.exists()]  # kubectl passes over the others, too
    return there or named or [Path.home() / ".kube" / "config"]


def read(paths: Sequence[Path], context: str = "") -> Context:
    """A context of these files, their current one if none is named.

    What several of them have is taken from the first. `InputError`, with file and line, for a file
    that is no kubeconfig, or asks for what we cannot do.
    """
    files = [_file(path) for path in paths]
    chosen = _context(files, context)
    cluster, user = _referred(files, chosen, "cluster"), _Part(chosen.file, ())
    if chosen.text("user"):
        user = _referred(files, chosen, "user")
    found = _endpoint(cluster, user)
    return Context(found, chosen.text("namespace") or "default")


def contexts(paths: Sequence[Path]) -> list[str]:
    """The names of the contexts in these files."""
    return [name for path in paths for name, _ in _file(path).named("context")]


class _File(Struct, frozen=True):
    path: Path
    document: yamltext.Document

    def wrong(self, what: str, hint: str | None, path: tuple[str | int, ...] = ()) -> InputError:
        """What is wrong with the field at the path."""
        line = self.document.line(path) if path else 0
        return InputError([Problem(str(self.path), line, render_path(path), what, hint)])

    def at(self, path: tuple[str | int, ...], kind: type) -> Any:
        """The value at the path, which must be of that type; None if there is none."""
        found = self.document.value
        for part in path:
            if found is not None:
                found = found[part] if isinstance(part, int) else found.get(part)
        if found is not None and not isinstance(found, kind):
            raise self.wrong(f"must be {_WORDS[kind]}", None, path)
        return found

    def named(self, what: str) -> Iterator[tuple[str, int]]:
        """The names of all clusters, users or contexts, with their places."""
        for number in range(len(self.at((f"{what}s",), list) or ())):
            self.at((f"{what}s", number), dict)
            yield self.at((f"{what}s", number, "name"), str) or "", number


_WORDS = {str: "text", dict: "a mapping", list: "a list", bool: "true or false"}


class _Part(Struct, frozen=True):
    """A cluster, user or context: the mapping at a path of a file, or an empty one."""

    file: _File
    path: tuple[str | int, ...]

    def get(self, field: str, kind: type = str) -> Any:
        """A field's value, None if it is not there."""
        return self.file.at((*self.path, field), kind) if self.path else None

    def text(self, field: str) -> str:
        """A field's text, "" if it is not there."""
        return self.get(field) or ""

    def wrong(self, what: str, hint: str | None = None, field: str = "") -> InputError:
        """What is wrong with a field, or with all of it."""
        return self.file.wrong(what, hint, (*self.path, field) if field else self.path)

    def content(self, field: str) -> str:
        """What stands there itself, in base64 under `…-data`, or else in a file of that name."""
        if data := self.text(f"{field}-data"):
            try:
                return base64.b64decode(data, validate=True).decode()
            except (binascii.Error, UnicodeDecodeError):
                raise self.wrong("is not base64 of a PEM text", _AGAIN, f"{field}-data") from None
        return self.file_named_by(field)

    def file_named_by(self, field: str) -> str:
        """The text of the file that a field names, "" if it names none."""
        if not (name := self.text(field)):
            return ""
        path = self.file.path.parent / name
        try:
            return _text(path)
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise self.wrong(f"{path} cannot be read: {why}", None, field) from None


_AGAIN = "write the kubeconfig anew, such as by `netlab kubeconfig`"
_OTHER = "`netlab kubeconfig --path` prints where that of a lab is"


def _text(path: Path) -> str:
    with given.opened(path) as stream:
        return stream.read().decode()


def _file(path: Path) -> _File:
    try:
        documents, troubles = yamltext.read(_text(path))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        what = "there is no such file" if missing else f"cannot be read: {error.strerror}"
        raise InputError([Problem(str(path), 0, "", what, _OTHER)]) from None
    except ValueError:
        raise InputError([Problem(str(path), 0, "", "is no text", _OTHER)]) from None
    troubles += [trouble for document in documents for trouble in document.troubles]
    if troubles:
        raise InputError(
            [Problem(str(path), one.line, "", one.message, one.hint) for one in troubles]
        )
    found: Mapping[str, Any] | object = documents[0].value if len(documents) == 1 else None
    if not isinstance(found, dict) or found.get("kind", "Config") != "Config":
        raise InputError([Problem(str(path), 0, "", "is no kubeconfig", _OTHER)])
    return _File(path, documents[0])


def _context(files: Sequence[_File], name: str) -> _Part:
    current = next((one for file in files if (one := file.at(("current-context",), str))), "")
    if found := _named(files, "context", name or current):
        return found
    if not name and not current:
        raise files[0].wrong(
            "has no current-context", f"--context NAME; {_choice(files, 'context')}"
        )
    raise files[0].wrong(
        f'has no context "{name or current}"', _choice(files, "context", name or current)
    )


def _referred(files: Sequence[_File], context: _Part, what: str) -> _Part:
    """The cluster or user that a context names."""
    name = context.text(what)
    if found := _named(files, what, name):
        return found
    missing = f'there is no {what} "{name}"' if name else f"names no {what}"
    raise context.wrong(missing, _choice(files, what, name), what if name else "")


def _named(files: Sequence[_File], what: str, name: str) -> _Part | None:
    for file in files:
        for other, number in file.named(what):
            if other and other == name:
                path = (f"{what}s", number, what)
                return _Part(file, path if file.at(path, dict) is not None else path[:2])
    return None


def _choice(files: Sequence[_File], what: str, meant: str = "") -> str:
    known = [name for file in files for name, _ in file.named(what)]
    if near := did_you_mean(meant, known):
        return f"did you mean {near}?"
    return f"there are: {', '.join(known) or 'none'}"


def _endpoint(cluster: _Part, user: _Part) -> ApiEndpoint:
    for part in (cluster, user):
        for field in _UNKNOWN:
            if part.get(field, object) is not None:
                raise part.wrong("is not supported", "a certificate or a token is needed", field)
    url = cluster.text("server")
    if not _is_url(url):
        raise cluster.wrong(f'"{url}" is no URL', "such as https://127.0.0.1:6443", "server")
    trusting = ApiEndpoint(
        url=url.rstrip("/"),
        authority=cluster.content("certificate-authority"),
        server_name=cluster.text("tls-server-name"),
        is_verified=cluster.get("insecure-skip-tls-verify", bool) is not True,
    )
    _check(trusting, cluster, "certificate-authority")
    known = replace(
        trusting,
        certificate=user.content("client-certificate"),
        key=user.content("client-key"),
        token=user.text("token") or user.file_named_by("tokenFile").strip(),
    )
    _check(known, user, "client-certificate")
    return known


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0
    except ValueError:  # such a port, or half an IPv6 address
        return False


def _check(endpoint: ApiEndpoint, part: _Part, field: str) -> None:
    """Refuse what TLS could not use, before anybody is asked with it."""
    try:
        tcp.context(endpoint)
    except (ssl.SSLError, ValueError):
        given = f"{field}-data" if part.text(f"{field}-data") else field
        key = " with its key" if field.startswith("client") else ""
        raise part.wrong(f"is no certificate{key} that could be used", _AGAIN, given) from None
