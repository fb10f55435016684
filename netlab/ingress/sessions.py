"""How sessions are spread over endpoints that come and go (`affinity-mode: balanced`). Pure.

ingress-nginx hashes each session's key onto a ring of its endpoints: with one more endpoint some
sessions move to it, and all others stay. Here a session is of one of so many buckets, and a bucket
goes to the endpoint that, of all there are, hashes highest together with it: to the same effect.
"""

from __future__ import annotations

import functools
import hashlib

BUCKETS = 256


@functools.lru_cache(256)
def owners(servers: tuple[str, ...]) -> tuple[str, ...]:
    """The server of each bucket; there is at least one."""
    return tuple(max(servers, key=lambda one: _weight(bucket, one)) for bucket in range(BUCKETS))


def _weight(bucket: int, server: str) -> bytes:
    return hashlib.blake2b(f"{bucket} {server}".encode(), digest_size=8).digest()


def value(backend: str, bucket: int) -> str:
    """What the cookie of a bucket says: the same in every life of the controller."""
    return f"{bucket:02x}{hashlib.sha256(backend.encode()).hexdigest()[:30]}"
