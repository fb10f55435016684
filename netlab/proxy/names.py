"""The names of service ports, and the hashes that stand for them in chain names."""

from __future__ import annotations

import hashlib

# base32 two characters at a time: base64.b32encode would be a quarter of a compilation's time.
_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_PAIRS = [one + two for one in _BASE32 for two in _BASE32]


def hashed(text: str) -> str:
    """The 16 characters that stand for a service port or an endpoint in chain names."""
    bits = int.from_bytes(hashlib.sha256(text.encode()).digest()[:10], "big")
    pair = _PAIRS
    return (
        pair[bits >> 70] + pair[bits >> 60 & 1023] + pair[bits >> 50 & 1023]
        + pair[bits >> 40 & 1023] + pair[bits >> 30 & 1023] + pair[bits >> 20 & 1023]
        + pair[bits >> 10 & 1023] + pair[bits & 1023]
    )  # fmt: skip


def service_of(port: str) -> str:
    """`ns/name:port` → `ns/name`."""
    return port.partition(":")[0]
