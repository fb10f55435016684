"""Tokens: who has signed them, and what becomes of those that somebody has touched."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.api.tokens import Malformed, TokenKey

CLAIMS = {"sub": "system:serviceaccount:default:default", "exp": 1}


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> TokenKey:
    return TokenKey(tmp_path_factory.mktemp("tls") / "sa.key")


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_what_a_key_has_signed_it_reads(key: TokenKey) -> None:
    assert key.read(key.sign(CLAIMS)) == CLAIMS


def test_the_next_controller_has_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "tls" / "sa.key"
    token = TokenKey(path).sign(CLAIMS)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert TokenKey(path).read(token) == CLAIMS
    assert TokenKey(path).public() == TokenKey(path).public()


def test_another_lab_s_token_is_nobody_s(key: TokenKey, tmp_path: Path) -> None:
    with pytest.raises(Malformed):
        key.read(TokenKey(tmp_path / "k").sign(CLAIMS))


def test_what_is_changed_is_not_believed(key: TokenKey) -> None:
    head, claims, signature = key.sign(CLAIMS).split(".")
    forged = encoded({**CLAIMS, "sub": "system:serviceaccount:kube-system:default"})
    none = encoded({"alg": "none", "typ": "JWT"})
    symmetric = encoded({"alg": "HS256", "typ": "JWT"})
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    for token in (
        f"{head}.{forged}.{signature}", f"{none}.{claims}.", f"{none}.{claims}.{signature}",
        f"{symmetric}.{claims}.{signature}", f"{head}.{claims}.{flipped}",
        f"{head}.{claims}.{encoded(0)}", f"{head}.{claims}.{'A' * 86}",
    ):  # fmt: skip
        with pytest.raises(Malformed):
            key.read(token)


@given(st.text() | st.tuples(st.text(), st.text(), st.text()).map(".".join))
def test_nonsense_is_malformed(key: TokenKey, text: str) -> None:
    with pytest.raises(Malformed):
        key.read(text)


def test_the_public_key_is_one_that_others_can_read(key: TokenKey) -> None:
    public = key.public()
    assert (public["kty"], public["crv"], public["alg"]) == ("EC", "P-256", "ES256")
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    x, y = (
        int.from_bytes(base64.urlsafe_b64decode(public[name] + "=="), "big") for name in ("x", "y")
    )
    assert (y * y - (x**3 - 3 * x + b)) % p == 0  # a point of the curve
