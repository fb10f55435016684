"""Tokens of service accounts: JSON Web Tokens that the lab's own key signs (RFC 7519, ES256)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netlab.errors import NetlabError
from netlab.kernel import files
from netlab.kernel.signing import Key

_LARGEST = 16 * 1024
"""Characters of a token that are looked at."""

Claims = dict[str, Any]


class Malformed(NetlabError):
    """It is no token, or none of ours."""


class TokenKey:
    """The key of one lab, kept in a file of its own; made when it is first needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key: Key | None = None

    def sign(self, claims: Claims) -> str:
        """The claims as a signed token."""
        key = self._ensured()
        head = {"alg": "ES256", "kid": key_id(key), "typ": "JWT"}
        signed = b".".join(_encoded(_json(part)) for part in (head, claims))
        return b".".join((signed, _encoded(key.sign(signed)))).decode()

    def read(self, token: str) -> Claims:
        """The claims of a token that this key has signed; `Malformed` if it has not.

        Whether they hold any longer is not looked at.
        """
        signed, _, signature = token.rpartition(".")
        if len(token) > _LARGEST or signed.count(".") != 1:
            raise Malformed("invalid bearer token")
        head, _, claims = signed.partition(".")
        is_ours = _mapping(head).get("alg") == "ES256"
        if not is_ours or not self._ensured().has_signed(signed.encode(), _decoded(signature)):
            raise Malformed("invalid bearer token, signature does not match")
        return _mapping(claims)

    def public(self) -> dict[str, str]:
        """The public key as JSON (RFC 7517)."""
        key = self._ensured()
        x, y = (_encoded(each).decode() for each in key.public())
        named = {"use": "sig", "kty": "EC", "kid": key_id(key), "alg": "ES256", "crv": "P-256"}
        return {**named, "x": x, "y": y}

    def _ensured(self) -> Key:
        if self._key is None:
            try:
                self._key = Key.read(base64.b64decode(self._path.read_bytes()))
            except FileNotFoundError:
                self._key = Key.new()
                files.directory(self._path.parent, files.PRIVATE)
                files.write(self._path, base64.b64encode(self._key.private()).decode())
        return self._key


def key_id(key: Key) -> str:
    """By what a key is known in the heads of tokens."""
    return _encoded(hashlib.sha256(b"".join(key.public())).digest()).decode()


def _mapping(part: str) -> Claims:
    try:
        value = json.loads(_decoded(part))
    except (ValueError, RecursionError) as error:
        raise Malformed("invalid bearer token") from error
    if not isinstance(value, dict):
        raise Malformed("invalid bearer token")
    return value


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _decoded(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Malformed("invalid bearer token") from error
