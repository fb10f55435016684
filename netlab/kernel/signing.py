"""Signatures by libcrypto, the library that Python's own `ssl` stands on: ECDSA on P-256, SHA-256.

A signature or its check takes a tenth of a millisecond, where a program would take five.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from netlab.errors import EnvironmentLacks, NetlabError

_NAMES = ("libcrypto.so.3", "libcrypto.so.4", "libcrypto.so")
_POINTER, _SIZE = ctypes.c_void_p, ctypes.c_size_t
_HALF = 32
"""Bytes of each of the two numbers that a signature is."""

_SIGNATURES: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "EVP_PKEY_Q_keygen": (_POINTER, (_POINTER, _POINTER, ctypes.c_char_p, ctypes.c_char_p)),
    "EVP_PKEY_free": (None, (_POINTER,)),
    "d2i_AutoPrivateKey": (_POINTER, (_POINTER, _POINTER, ctypes.c_long)),
    "i2d_PrivateKey": (ctypes.c_int, (_POINTER, _POINTER)),
    "i2d_PUBKEY": (ctypes.c_int, (_POINTER, _POINTER)),
    "EVP_sha256": (_POINTER, ()),
    "EVP_MD_CTX_new": (_POINTER, ()),
    "EVP_MD_CTX_free": (None, (_POINTER,)),
    "EVP_DigestSignInit": (ctypes.c_int, (_POINTER,) * 5),
    "EVP_DigestSign": (ctypes.c_int, (_POINTER, _POINTER, _POINTER, ctypes.c_char_p, _SIZE)),
    "EVP_DigestVerifyInit": (ctypes.c_int, (_POINTER,) * 5),
    "EVP_DigestVerify": (ctypes.c_int, (_POINTER, ctypes.c_char_p, _SIZE, ctypes.c_char_p, _SIZE)),
    "ERR_clear_error": (None, ()),
}


class Key:
    """A private key, and what it says of itself."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def __del__(self) -> None:
        _library().EVP_PKEY_free(self._pointer)

    @staticmethod
    def new() -> Key:
        """A new key."""
        return Key(_checked(_library().EVP_PKEY_Q_keygen(None, None, b"EC", b"P-256")))

    @staticmethod
    def read(der: bytes) -> Key:
        """The key that `private` wrote; `NetlabError` if that is none."""
        start = ctypes.c_char_p(der)
        found = _library().d2i_AutoPrivateKey(None, ctypes.byref(start), len(der))
        return Key(_checked(found))

    def private(self) -> bytes:
        """The key in DER."""
        return _written(_library().i2d_PrivateKey, self._pointer)

    def public(self) -> tuple[bytes, bytes]:
        """The two coordinates of the public key, 32 bytes each."""
        point = _written(_library().i2d_PUBKEY, self._pointer)[-2 * _HALF :]
        return point[:_HALF], point[_HALF:]

    def sign(self, data: bytes) -> bytes:
        """A signature: 64 bytes, as JSON Web Tokens have it (RFC 7518, 3.4)."""
        library, size = _library(), _SIZE(128)
        buffer = ctypes.create_string_buffer(size.value)
        with _Digest() as digest:
            _checked(
                library.EVP_DigestSignInit(digest, None, library.EVP_sha256(), None, self._pointer)
            )
            _checked(library.EVP_DigestSign(digest, buffer, ctypes.byref(size), data, len(data)))
        return _plain(buffer.raw[: size.value])

    def has_signed(self, data: bytes, signature: bytes) -> bool:
        """Whether this is a signature of these data by this key."""
        if len(signature) != 2 * _HALF:
            return False
        library, der = _library(), _der(signature)
        with _Digest() as digest:
            _checked(
                library.EVP_DigestVerifyInit(
                    digest, None, library.EVP_sha256(), None, self._pointer
                )
            )
            answer: int = library.EVP_DigestVerify(digest, der, len(der), data, len(data))
            return answer == 1


class _Digest:
    """What a signature is made or checked in."""

    def __enter__(self) -> int:
        self._pointer = _checked(_library().EVP_MD_CTX_new())
        return self._pointer

    def __exit__(self, *_: object) -> None:
        _library().EVP_MD_CTX_free(self._pointer)
        _library().ERR_clear_error()  # else this thread's next TLS connection takes it for its own


@cache
def _library() -> ctypes.CDLL:
    for name in _NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        for function, (result, arguments) in _SIGNATURES.items():
            found = getattr(library, function)
            found.restype, found.argtypes = result, arguments
        return library
    raise EnvironmentLacks("the library libcrypto is missing", hint="apt-get install libssl3")


def _checked(answer: int | None) -> int:
    if not answer or answer < 0:
        _library().ERR_clear_error()
        raise NetlabError("libcrypto refuses a key")
    return answer


def _written(write: Callable[..., int], pointer: int) -> bytes:
    """What an `i2d` function writes."""
    buffer = ctypes.create_string_buffer(_checked(write(pointer, None)))
    at = ctypes.c_void_p(ctypes.addressof(buffer))
    write(pointer, ctypes.byref(at))
    return buffer.raw


# -- a signature in DER: a sequence of two whole numbers -----------------------------------


def _plain(der: bytes) -> bytes:
    first = 4 + der[3]
    r, s = der[4:first], der[first + 2 :]
    return b"".join(int.from_bytes(each, "big").to_bytes(_HALF, "big") for each in (r, s))


def _der(signature: bytes) -> bytes:
    numbers = b"".join(_integer(part) for part in (signature[:_HALF], signature[_HALF:]))
    return b"\x30" + bytes([len(numbers)]) + numbers


def _integer(digits: bytes) -> bytes:
    value = int.from_bytes(digits, "big")
    content = value.to_bytes(value.bit_length() // 8 + 1, "big")  # its first bit is a sign
    return b"\x02" + bytes([len(content)]) + content
