"""Who may use a lab's API over TCP: a CA of the lab's own, and the two certificates it signs.

The server's is good for all names and addresses by which the API is reached, from outside the lab
and from inside.

Made with the openssl program: three calls, 30 ms in processes of their own, where importing a
library for it would hold up the controller's loop. ECDSA on P-256, valid as long as the lab is
likely to be kept. Whoever holds the client's key is root in the lab's pods: keys are 0600. The CA's
stays, root's alone, for certificates of pods that serve https (`workload.certificate`).
"""

from __future__ import annotations

import ipaddress
import ssl
import threading
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from netlab.kernel import files
from netlab.kernel.run import run

_DAYS = "3650"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
_NO_CA = "basicConstraints=critical,CA:FALSE"

_TURN = threading.Lock()


class Identity(Struct, frozen=True):
    """The files of a lab's certificates, all in one directory of mode 0700."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The CA's certificate, which both sides check each other's against."""
        return self.directory / "ca.crt"

    def certificate(self, who: str) -> Path:
        """The certificate of `server` or `client`."""
        return self.directory / f"{who}.crt"

    def key(self, who: str) -> Path:
        """The private key of `server` or `client`."""
        return self.directory / f"{who}.key"

    @property
    def _complete(self) -> Path:
        return self.directory / "complete"

    def ensure(self) -> None:
        """Make what a former controller has not made already: the CA, and the client's certificate.
        Blocks for some 20 ms."""
        with _TURN:
            self._ensure()

    def ensure_server(self, names: Iterable[str] = ()) -> None:
        """`ensure`, and the server's certificate. Blocks for some 30 ms.

        `names` are the names and addresses that it has besides the machine's own.
        """
        alternatives = ",".join(map(_alternative, ("127.0.0.1", "localhost", *names)))
        with _TURN:
            self._ensure()
            if not self._names.exists() or self._names.read_text() != alternatives:
                self._sign("server", "/CN=netlab", "serverAuth", f"subjectAltName={alternatives}")
                files.write(self._names, alternatives)

    @property
    def _names(self) -> Path:
        return self.directory / "server.names"

    def _ensure(self) -> None:
        if self._complete.exists():
            return
        self.directory.mkdir(mode=0o700, exist_ok=True)
        self._make_authority()
        self._sign("client", "/O=system:masters/CN=netlab-admin", "clientAuth")
        self._complete.touch()

    def _make_authority(self) -> None:
        extensions = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
        self._request("ca", "/CN=netlab-ca", extensions)

    def _sign(self, who: str, subject: str, usage: str, *extensions: str) -> None:
        signed = ("-CA", str(self.authority), "-CAkey", str(self.key("ca")))
        self._request(who, subject, (_NO_CA, f"extendedKeyUsage={usage}", *extensions), signed)

    def _request(
        self, who: str, subject: str, extensions: tuple[str, ...], signed: tuple[str, ...] = ()
    ) -> None:
        out = ("-keyout", str(self.key(who)), "-out", str(self.certificate(who)))
        added = [word for extension in extensions for word in ("-addext", extension)]
        run(
            ["openssl", "req", "-x509", "-batch", *_NEW_KEY, "-days", _DAYS, "-subj", subject]
            + [*added, *signed, *out]
        )

    def server_context(self, *, strangers: bool = False) -> ssl.SSLContext:
        """TLS for the server: nobody gets past the handshake without a certificate of this CA.

        With `strangers` who has none does: he may have a token.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.verify_mode = ssl.CERT_OPTIONAL if strangers else ssl.CERT_REQUIRED
        context.load_verify_locations(self.authority)
        context.load_cert_chain(self.certificate("server"), self.key("server"))
        return context

    def renew(self, context: ssl.SSLContext) -> None:
        """Have who comes from now on see the server's certificate as it is by now."""
        context.load_cert_chain(self.certificate("server"), self.key("server"))


def _alternative(name: str) -> str:
    """A name or an address, as a certificate has it."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return f"DNS:{name}"
    return f"IP:{name}"
