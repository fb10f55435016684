"""The files that Ingresses' Secrets become: certificates with their keys, passwords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from netlab.ingress.annotations import Annotations
from netlab.ingress.model import Certificate, World
from netlab.objects import meta
from netlab.objects.types import Ingress, IngressTLS

DEFAULT = "tls/default.pem"
"""The certificate of who has none: the controller's own."""


class Note(Protocol):
    """Takes what is wrong with an Ingress."""

    def __call__(self, about: str, reason: str, message: str) -> None:
        """Note it."""


class Secrets:
    """Finds them, keeps what is used in `files`, and notes what is wrong."""

    def __init__(self, world: World, note: Note) -> None:
        self._world = world
        self._note = note
        self.files: dict[str, str] = {}

    def default(self, key: str) -> Mapping[str, str]:
        """The file of the default certificate, if a Secret is to be that; else none."""
        found = self._world.certificate(key) if key else ""
        return {DEFAULT: found.pem} if isinstance(found, Certificate) else {}

    def certificate_for(self, host: str, ingress: Ingress) -> str:
        """The name of the file with a host's certificate; "" for the default one.

        It is that of the Secret beside which the host stands, else one of the Ingress' for it.
        """
        key, entries = meta.key(ingress), meta.spec(ingress).get("tls") or ()
        listed = next(
            (one for one in entries if host in map(str.lower, one.get("hosts") or ())), None
        )
        if listed is None:
            return self._suiting(host, ingress, entries)
        if not listed.get("secretName"):
            return ""
        secret = f"{meta.namespace(ingress)}/{listed['secretName']}"
        found = self._world.certificate(secret)
        if isinstance(found, str):
            text = f'Error getting SSL certificate "{secret}": {found}. Using default certificate'
            self._note(key, "CertificateInvalid", text)
            return ""
        if not _is_for(host, found):
            text = f'SSL certificate "{secret}" is not for server "{host}"'
            names = ", ".join(found.names) or "nothing"
            self._note(
                key, "CertificateInvalid", f"{text}, but for {names}. Using default certificate"
            )
            return ""
        return self._kept(secret, found)

    def _suiting(self, host: str, ingress: Ingress, entries: Sequence[IngressTLS]) -> str:
        for entry in entries:
            if entry.get("secretName"):
                secret = f"{meta.namespace(ingress)}/{entry['secretName']}"
                found = self._world.certificate(secret)
                if isinstance(found, Certificate) and _is_for(host, found):
                    return self._kept(secret, found)
        return ""

    def _kept(self, secret: str, certificate: Certificate) -> str:
        name = f"tls/{secret.replace('/', '_')}.pem"
        self.files[name] = certificate.pem
        return name

    def passwords(self, about: str, namespace: str, said: Annotations) -> str:
        """The name of the file with the passwords for a path; "" if there are none."""
        secret = said.auth_secret if "/" in said.auth_secret else f"{namespace}/{said.auth_secret}"
        if not secret.startswith(f"{namespace}/"):
            text = f'Secret "{secret}" is of another namespace: nobody is let in'
            self._note(about, "PasswordsMissing", text)
            return ""
        found = self._world.password_file(secret)
        if isinstance(found, str):
            text = f'error reading secret "{secret}": {found}: its paths answer 503'
            self._note(about, "PasswordsMissing", text)
            return ""
        if said.auth_secret_type == "auth-map":
            lines = [f"{user}:{password.strip()}" for user, password in sorted(found.items())]
        elif "auth" in found:
            lines = found["auth"].splitlines()
        else:
            text = f'the secret "{secret}" does not contain a key with value auth'
            self._note(about, "PasswordsMissing", f"{text}: its paths answer 503")
            return ""
        name = f"auth/{secret.replace('/', '_')}.{said.auth_secret_type}"
        self.files[name] = "".join(f"{line}\n" for line in lines)
        return name


def _is_for(host: str, certificate: Certificate) -> bool:
    """Whether one of its names is the host, or is it with `*` for the first label."""
    _, dot, parent = host.partition(".")
    accepted = {host, f"*.{parent}"} if dot else {host}
    return any(name.lower() in accepted for name in certificate.names)
