"""Lists in pages: one state over all of them, until it is past, and then the rest of what is."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from netlab.api import paging
from netlab.api.paging import Options, Part, Token, part
from netlab.errors import ApiError

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


def options(
    limit: int | None = None, token: str = "", version: str = "", match: str = ""
) -> Options:
    return Options(limit, token, version, match, "default")


def config(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def names(listed: Any) -> list[str]:
    return [item["metadata"]["name"] for item in listed.json["items"]]


@pytest.fixture
async def five(lab: Any) -> Any:
    """A server with c0 to c4 beside the namespace's own."""
    await lab.ask("DELETE", f"{CONFIGMAPS}/kube-root-ca.crt")
    for number in range(5):
        await lab.ask("POST", CONFIGMAPS, config(f"c{number}"))
    return lab


async def page(lab: Any, limit: int = 2, token: str = "", **query: str) -> Any:
    more = {"continue": token} if token else {}
    return await lab.ask("GET", CONFIGMAPS, limit=str(limit), **more, **query)


async def test_pages_are_of_one_state(five: Any) -> None:
    first = await page(five)
    assert names(first) == ["c0", "c1"]
    assert first.json["metadata"]["remainingItemCount"] == 3
    await five.ask("DELETE", f"{CONFIGMAPS}/c2")
    await five.ask("POST", CONFIGMAPS, config("c33"))
    changed = config("c4", a="b")
    await five.ask("PUT", f"{CONFIGMAPS}/c4", changed)
    rest = await page(five, 9, first.json["metadata"]["continue"])
    assert names(rest) == ["c2", "c3", "c4"]
    assert rest.json["items"][2]["data"] == {}
    assert "continue" not in rest.json["metadata"]
    version = first.json["metadata"]["resourceVersion"]
    assert rest.json["metadata"]["resourceVersion"] == version
    assert names(await page(five, 9)) == ["c0", "c1", "c3", "c33", "c4"]
    for query in ({"resourceVersion": version}, {"resourceVersion": version, "limit": "9"}):
        exact = await five.ask("GET", CONFIGMAPS, **query, resourceVersionMatch="Exact")
        assert names(exact) == ["c0", "c1", "c2", "c3", "c4"]
    newer = {"resourceVersion": version, "resourceVersionMatch": "NotOlderThan", "limit": "9"}
    assert "c33" in names(await five.ask("GET", CONFIGMAPS, **newer))
    legacy = await five.ask("GET", CONFIGMAPS, resourceVersion=version, limit="9")
    assert "c33" not in names(legacy)


async def test_selectors_are_about_the_same_state(five: Any) -> None:
    labelled = {"metadata": {"name": "c3", "labels": {"a": "b"}}}
    await five.ask("PUT", f"{CONFIGMAPS}/c3", labelled)
    await five.ask("POST", CONFIGMAPS, {"metadata": {"name": "c9", "labels": {"a": "b"}}})
    first = await page(five, 1, labelSelector="a=b")
    assert "remainingItemCount" not in first.json["metadata"]
    await five.ask("PUT", f"{CONFIGMAPS}/c9", config("c9"))
    rest = await page(five, 5, first.json["metadata"]["continue"], labelSelector="a=b")
    assert (names(first), names(rest)) == (["c3"], ["c9"])


async def test_what_the_log_has_lost_is_told_with_a_token_for_the_rest(
    five: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = (await page(five)).json["metadata"]["continue"]
    monkeypatch.setattr(five.registry.store.log("ConfigMap"), "_keep", 4)
    for number in range(8):
        await five.ask("PUT", f"{CONFIGMAPS}/c0", config("c0", a=str(number)))
    await five.ask("DELETE", f"{CONFIGMAPS}/c2")
    refused = await page(five, 2, token)
    assert (refused.code, refused.json["reason"]) == (410, "Expired")
    assert refused.message.startswith("The provided continue parameter is too old to display a ")
    assert "inconsistent list" in refused.message
    on = await page(five, 1, refused.json["metadata"]["continue"])
    now = str(five.registry.store.revision)
    assert (names(on), on.json["metadata"]["resourceVersion"]) == (["c3"], now)
    last = await page(five, 9, on.json["metadata"]["continue"])
    assert (names(last), last.json["metadata"]["resourceVersion"]) == (["c4"], now)
    exact = {"resourceVersion": "3", "resourceVersionMatch": "Exact"}
    refused = await five.ask("GET", CONFIGMAPS, **exact)
    assert (refused.code, refused.message) == (
        410, "The resourceVersion for the provided list is too old."
    )  # fmt: skip


def test_a_token_is_good_for_minutes() -> None:
    text = paging.write(Token(7, ("default", "c1"), 1000.0), "default")
    asked = options(2, text)
    assert part(asked, 9, 1000.0 + paging.LIFETIME) == Part(7, ("default", "c1"), 2, 1000.0)
    assert part(asked, 7, 9000.0) == Part(7, ("default", "c1"), 2, 1000.0)  # nothing has changed
    with pytest.raises(paging.ExpiredToken) as error:
        part(asked, 9, 1001.0 + paging.LIFETIME)
    on: Any = error.value.status()["metadata"]
    assert part(options(2, on["continue"]), 9, 2000.0) == Part(None, ("default", "c1"), 2, 2000.0)


def test_tokens_are_kube_apiserver_s() -> None:
    for namespace, last, start in (
        ("default", ("default", "c1"), "c1\0"),
        ("", ("default", "c1"), "default/c1\0"),
        ("", ("", "n1"), "n1\0"),
    ):
        text = paging.write(Token(7, last, 1.0), namespace)
        value = json.loads(base64.urlsafe_b64decode(text + "=="))
        assert (value["v"], value["rv"], value["start"]) == ("meta.k8s.io/v1", 7, start)
        assert paging.read(text, namespace) == Token(7, last, 1.0)


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


META = "meta.k8s.io/v1"
KEY = "invalid continue token: continue key is not valid"


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        (options(token="%%"), 400, KEY),
        (options(token="bm9uc2Vuc2U="), 400, KEY),
        (options(token=encoded([])), 400, KEY),
        (options(token=encoded({"v": META, "rv": "7", "start": "a"})), 400, KEY),
        (options(token=encoded({"v": "v9", "rv": 7, "start": "a"})), 400, "does not recognize"),
        (options(token=encoded({"v": META, "rv": 0, "start": "a"})), 400, "resourceVersion (ver"),
        (options(token=encoded({"v": META, "rv": 7, "start": ""})), 400, "start key empty"),
        (
            options(token=encoded({"v": META, "rv": 7, "start": "a"}), version="7"),
            400, "specifying resource version is not allowed when using continue",
        ),
        (options(version="x"), 400, 'strconv.ParseUint: parsing "x": invalid syntax'),
        (options(version="-1"), 400, "invalid resource version: "),
        (options(version="99"), 504, "Too large resource version: 99, current: 9"),
        (
            options(token=encoded({"v": META, "rv": 99, "start": "a"})),
            504, "Too large resource version: 99, current: 9",
        ),
        (options(match="Exact"), 422, "resourceVersionMatch is forbidden unless resourceVersion"),
        (options(match="Exact", version="0"), 422, '"exact" is forbidden for resourceVersion "0"'),
        (options(match="Odd", version="1"), 422, 'supported values: "Exact", "NotOlderThan", ""'),
        (
            options(match="Exact", version="7", token="x"),
            422, "resourceVersionMatch is forbidden when continue is provided",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_listed_is_refused(asked: Options, code: int, words: str) -> None:
    with pytest.raises(ApiError) as error:
        part(asked, 9, 0.0)
    assert error.value.code == code
    assert words in str(error.value)
