"""Options whose hyphens are not two."""

from __future__ import annotations

import pytest

from netlab.cli import hyphens
from netlab.errors import UsageError

FLAGS = {"--image", "--name", "-n"}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("—image=nginx", "--image=nginx"),
        ("\N{EN DASH}image", "--image"),
        ("\N{MINUS SIGN}\N{MINUS SIGN}image", "--image"),
        ("-—image", "--image"),
        ("—n", "-n"),
        ("-image=a b\nc", "--image=a b\nc"),
        ("-name=web", "--name=web"),
        ("--image=nginx", None),
        ("-n", None),
        ("-nkube-system", None),
        ("-oyaml", None),
        ("-", None),
        ("—", None),
        ("— note", None),
        ("app—web", None),
        ("-1", None),
    ],
)
def test_what_is_meant(word: str, meant: str | None) -> None:
    assert hyphens.meant(word, FLAGS) == meant


def test_all_of_them_are_in_one_hint() -> None:
    words = ["web", "—type=NodePort", "—name=x", "--port=80"]
    assert hyphens.hint(words) == "type two hyphens: --type=NodePort --name=x"
    assert hyphens.hint(["web", "--port=80"]) is None
    with pytest.raises(UsageError, match="—type=NodePort begins with a dash") as refusal:
        hyphens.refuse(words, FLAGS)
    assert refusal.value.hint == "type two hyphens: --type=NodePort --name=x"
