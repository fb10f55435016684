"""TLS of a served pod: a certificate that may be replaced while its ports stay open."""

from __future__ import annotations

import ssl
from functools import cached_property
from typing import Any

from netlab.workload.confined import SCRATCH

_HANDSHAKE_SECONDS = 5.0


class Tls:
    """Has no certificate until the first `certify`: then handshakes fail."""

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        return context

    def certify(self, pem: str) -> None:
        """Show this certificate to who connects from now on; its key is in the text, too.

        `ssl` reads both from files alone: it is one for a moment, in memory that nobody else sees.
        """
        path = SCRATCH / "certificate"
        path.write_text(pem)
        try:
            self._context.load_cert_chain(path)
        finally:
            path.unlink()

    @property
    def options(self) -> dict[str, Any]:
        """For `create_server`."""
        return {"ssl": self._context, "ssl_handshake_timeout": _HANDSHAKE_SECONDS}
