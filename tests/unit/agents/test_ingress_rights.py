"""What keeps an Ingress controller from starting, seeing and writing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netlab.agents.ingress_rights import WATCHED, ControllerLog, Rights
from netlab.ingress.options import Options, options

ENVIRONMENT = {"POD_NAME": "p", "POD_NAMESPACE": "n"}


class Account:
    """May do all but what is named as `verb Kind`; keeps what was asked, with where."""

    def __init__(self, *denied: str) -> None:
        self.denied = denied
        self.asked: list[tuple[str, str, str]] = []

    def denial(self, verb: str, kind: str, **where: str) -> str:
        self.asked.append((verb, kind, where.get("namespace", "")))
        return f"no {kind}" if f"{verb} {kind}" in self.denied else ""


def rights(options: Options, *denied: str) -> Rights:
    account: Any = Account(*denied)
    return Rights(account, options, "n", "p")


@pytest.mark.parametrize(
    ("options", "denied", "there", "environment", "token", "words"),
    [
        (Options(), (), True, ENVIRONMENT, True, None),
        (Options(), (), True, ENVIRONMENT, False, "token: no such file or directory"),
        (Options(), (), True, {"POD_NAME": "p"}, True, "missing POD_NAME or POD_NAMESPACE"),
        (Options(), ("get Pod",), True, ENVIRONMENT, True, "POD information: no Pod"),
        (Options(publish_service="a/b"), ("get Service",), True, ENVIRONMENT, True, "restrictive"),
        (Options(default_backend="a/b"), (), False, ENVIRONMENT, True, "no service with name b"),
        (Options(namespace="a"), ("get Namespace",), True, ENVIRONMENT, True, "no Namespace"),
        (Options(namespace="a"), (), False, ENVIRONMENT, True, 'namespaces "a" not found'),
    ],
)
def test_what_keeps_one_from_starting(
    options: Options,
    denied: tuple[str, ...],
    there: bool,
    environment: dict[str, str],
    token: bool,
    words: str | None,
) -> None:
    found = rights(options, *denied).refusals(environment, lambda *_: there, has_token=token)
    first = next(found, None)
    assert first is None if words is None else words in str(first)


@pytest.mark.parametrize("space", ["", "only"])
def test_all_that_it_goes_by_is_to_be_seen_where_it_watches(space: str) -> None:
    account: Any = Account("list Secret")
    unseen = Rights(account, Options(namespace=space), "n", "p").unseen()
    assert unseen == ["failed to list *v1.Secret: no Secret"]
    assert account.asked == [("list", kind, space) for kind in WATCHED]


def test_who_selects_namespaces_has_to_see_them() -> None:
    account: Any = Account("list Namespace")
    found = Rights(account, options(["--watch-namespace-selector=team=a"]), "n", "p").unseen()
    assert found == ["failed to list *v1.Namespace: no Namespace"]
    assert ("list", "Namespace", "") in account.asked


@pytest.mark.parametrize(
    ("options", "denied", "words"),
    [
        (Options(), (), ""),
        (Options(), ("list Pod",), "no Pod"),
        (Options(), ("get Node",), "no Node"),
        (Options(publish_service="a/b"), ("list Pod", "get Node"), ""),
        (Options(publish_service="a/b"), ("get Service",), "no Service"),
        (Options(publish_addresses=("192.0.2.1",)), ("list Pod", "get Service"), ""),
    ],
)
def test_only_who_knows_the_address_writes_it(
    options: Options, denied: tuple[str, ...], words: str
) -> None:
    found = rights(options, *denied).without_address()
    assert found.startswith(words) and bool(found) == bool(words)


def test_each_thing_is_said_once_as_long_as_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = ControllerLog(path)
    for texts in (["a", "b"], ["b"], ["b", ""], [], ["b"]):
        log.tell("topic", texts)
    said = [line.partition("] ")[2] for line in path.read_text().splitlines()]
    assert said == ["a", "b", "b"]
