"""Certificates of pods that serve https, signed by the lab's CA.

Made with the openssl program, in 10 ms each. One key does for all of a lab's pods, and is made with
the first: who serves them is one process, which has it all the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from msgspec import Struct

from netlab.kernel.run import run

_DAYS = "3650"
_EXTENSIONS = ("basicConstraints=critical,CA:FALSE", "extendedKeyUsage=serverAuth")
_LONGEST_COMMON_NAME = 64


class SubjectNames(Struct, frozen=True):
    """Whose a certificate is: names, the first of which is the most its own, and addresses."""

    names: tuple[str, ...]
    addresses: tuple[str, ...] = ()

    @property
    def extension(self) -> str:
        """As openssl takes it."""
        written = [f"DNS:{name}" for name in self.names]
        return "subjectAltName=" + ",".join([*written, *(f"IP:{ip}" for ip in self.addresses)])


class Issuer:
    """Signs for a lab, whose CA is in `directory` once `ensure_authority` has returned."""

    def __init__(self, directory: Path, ensure_authority: Callable[[], None]) -> None:
        self._directory = directory
        self._ensure_authority = ensure_authority
        self._turn = threading.Lock()

    def issue(self, names: SubjectNames) -> str:
        """A certificate, and its key, in PEM. Blocks; `NetlabError` if openssl cannot."""
        with self._turn:
            self._ensure_authority()
            key = self._key()
        subject = f"/CN={names.names[0][:_LONGEST_COMMON_NAME]}"
        certificate = run(
            ["openssl", "req", "-x509", "-new", "-batch", "-days", _DAYS, "-subj", subject]
            + ["-key", str(key), *_added((*_EXTENSIONS, names.extension))]
            + ["-CA", str(self._directory / "ca.crt"), "-CAkey", str(self._directory / "ca.key")]
        )
        return certificate.stdout + key.read_text()

    def _key(self) -> Path:
        key = self._directory / "pods.key"
        if not key.exists():
            new = key.with_suffix(".new")
            curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
            run(["openssl", "genpkey", *curve, "-out", str(new)])
            new.replace(key)
        return key


def _added(extensions: Iterable[str]) -> list[str]:
    return [word for extension in extensions for word in ("-addext", extension)]
