"""What Secrets hold for an Ingress controller: certificates with their keys, passwords."""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from pathlib import Path
from typing import cast

from netlab.client.informer import Informer
from netlab.ingress.model import Certificate
from netlab.kernel.run import run
from netlab.objects import meta
from netlab.objects.types import Secret

_FAKE = "/O=Acme Co/CN=Kubernetes Ingress Controller Fake Certificate"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "-")


class Certificates:
    """Reads Secrets as an Ingress controller does; each version of one is looked at once."""

    def __init__(self, secrets: Informer[Secret]) -> None:
        self._secrets = secrets
        self._known: dict[str, tuple[str, Certificate | str]] = {}

    def certificate(self, key: str) -> Certificate | str:
        """The certificate of a Secret (`namespace/name`), or what is wrong with it."""
        secret = self._secrets.get(key)
        if secret is None:
            self._known.pop(key, None)
            return "no such Secret"
        version = f"{meta.uid(secret)} {secret['metadata'].get('resourceVersion')}"
        if self._known.get(key, ("",))[0] != version:
            self._known[key] = version, _read(secret)
        return self._known[key][1]

    def data(self, key: str) -> dict[str, str] | str:
        """The texts in a Secret, or what is wrong with it."""
        secret = self._secrets.get(key)
        if secret is None:
            return "no such Secret"
        found = _texts(secret)
        return found if found else "it has nothing in it that is text"


def fake_certificate() -> str:
    """A certificate that is nobody's, with its key, as a controller makes one for who has none.

    Blocks for some 10 ms.
    """
    names = ("-addext", "subjectAltName=DNS:ingress.local")
    made = run(
        ["openssl", "req", "-x509", "-batch", *_NEW_KEY, "-days", "365", "-subj", _FAKE, *names]
    )
    return made.stdout


def _read(secret: Secret) -> Certificate | str:
    data = _texts(secret)
    for name in ("tls.crt", "tls.key"):
        if name not in data:
            return f"key {name!r} missing from Secret"
    pem = f"{data['tls.crt'].strip()}\n{data['tls.key'].strip()}\n"
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:  # of mode 0600
        file.write(pem)
        file.flush()
        return _checked(Path(file.name), pem)


def _checked(path: Path, pem: str) -> Certificate | str:
    """OpenSSL's opinion of a file: whether it is a certificate, and the key that of it."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, password="")
        # Of all that Python has, only this tells a certificate's names without a handshake.
        decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined] # noqa: SLF001
    except (ssl.SSLError, ValueError, OSError) as error:
        return f"no certificate with its key ({getattr(error, 'reason', None) or error})"
    alternatives = [value for kind, value in decoded.get("subjectAltName", ()) if kind == "DNS"]
    subject = [pair for part in decoded.get("subject", ()) for pair in part]
    common = [value for kind, value in subject if kind == "commonName"]
    return Certificate(pem, tuple(cast("list[str]", alternatives or common)))


def _texts(secret: Secret) -> dict[str, str]:
    found = {}
    for name, value in (secret.get("data") or {}).items():
        try:
            found[name] = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found
