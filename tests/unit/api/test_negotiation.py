"""Accept headers: what kube-apiserver would choose of them, on paper and by the server."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.api import protobuf
from netlab.api.negotiation import (
    META,
    Conversion,
    Form,
    NotAcceptable,
    choose,
    negotiate,
    negotiate_discovery,
)

JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
PODS = "/api/v1/namespaces/default/pods"
WRITTEN = f"only the following media types are accepted: {JSON}, {YAML}, {PROTOBUF}"
STREAMED = (
    f"only the following media types are accepted: {JSON};stream=watch, {PROTOBUF};stream=watch"
)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form()),
        ("*/*", Form()),
        ("*", Form()),
        ("application/*", Form()),
        (YAML, Form(media_type=YAML)),
        (f"{YAML},{JSON}", Form(media_type=YAML)),
        (f"{YAML};q=0.5,{JSON}", Form()),
        (f"*/*,{YAML}", Form(media_type=YAML)),
        (f"application/*,{YAML};q=0.9", Form()),
        (f"{PROTOBUF},*/*", Form()),
        (TABLE, Form("table")),
        (f"{JSON};as=Table;v=v1beta1;g=meta.k8s.io", Form("table", api_version=f"{META}beta1")),
        (f"{YAML};as=Table;v=v1;g=meta.k8s.io", Form("table", media_type=YAML)),
        (f"{JSON};as=Table,{JSON}", Form()),
        (f"{JSON};as=Table;v=v2;g=meta.k8s.io,{JSON}", Form()),
        (f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io", Form("metadata")),
        (f"{JSON};stream=watch", Form()),
        (f"{YAML};stream=watch,{JSON}", Form()),
        (f"{JSON};pretty=1;charset=utf-8", Form()),
        (f"{JSON};sv=v1", Form()),
        (f"text/html, application/xhtml+xml, {JSON}; q=0.1", Form()),
    ],
)
def test_the_dearest_that_can_be_written_is_chosen(accept: str, form: Form) -> None:
    assert negotiate(accept) == form


@pytest.mark.parametrize(
    "accept",
    [
        f"{PROTOBUF};as=Table;v=v1;g=meta.k8s.io", "text/html", "text/plain", "text/yaml",
        JSON[:11],
        "a/b/c", ",;,=;", f"{JSON};as=Nothing", f"{JSON};g=meta.k8s.io;v=v1",
        f"{JSON};stream=other", f"{YAML};stream=watch", f"{JSON};sv=v2",
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable) as error:
        negotiate(accept)
    assert str(error.value) == WRITTEN


@pytest.mark.parametrize("accept", [f"{PROTOBUF};stream=other", YAML, f"{YAML},{JSON}"])
def test_what_cannot_be_streamed_is_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable) as error:
        negotiate(accept, streams=True)
    assert str(error.value) == STREAMED
    assert negotiate(f"{PROTOBUF};stream=watch,{JSON};stream=watch", streams=True) == Form()


def test_discovery_is_aggregated_if_that_is_dearest() -> None:
    group = "apidiscovery.k8s.io"
    known = [Conversion(group, version, "APIGroupDiscoveryList") for version in ("v2", "v2beta1")]
    new, old = (f"{JSON};g={group};v={v};as=APIGroupDiscoveryList" for v in ("v2", "v2beta1"))
    for accept, found in (
        (f"{new},{old},{JSON}", known[0]),
        (f"{old},{JSON}", known[1]),
        (f"{JSON};g={group};v=v3;as=APIGroupDiscoveryList,{JSON}", None),
        (f"{JSON},{new}", None),
        ("", None),
    ):
        assert negotiate_discovery(accept, known) == (JSON, found)
    with pytest.raises(NotAcceptable):
        negotiate_discovery(TABLE, known)
    with pytest.raises(NotAcceptable):
        negotiate_discovery(new, ())


def test_one_of_several_is_chosen() -> None:
    assert choose("", ("a/b", "c/d")) == "a/b"
    assert choose("c/*, a/b;q=0.3", ("a/b", "c/d")) == "c/d"
    assert choose("x/y", ("a/b",)) is None


async def test_who_accepts_protobuf_alone_has_it(lab: Any) -> None:
    """Objects, lists and failures; whoever takes JSON as well has that."""
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c"},
        "data": {"a": "b"},
    }
    path = "/api/v1/namespaces/default/configmaps"
    made = await lab.ask("POST", path, config, accept=PROTOBUF)
    assert (made.code, made.headers["Content-Type"]) == (201, PROTOBUF)
    plain = (await lab.ask("GET", f"{path}/c", accept=f"{PROTOBUF},{JSON}")).json
    assert protobuf.decode(made.raw) == plain
    listed = await lab.ask("GET", path, accept=PROTOBUF)
    items = [value for number, value in content(listed.raw) if number == 2]
    assert len(items) == 1 and items[0] in made.raw
    missing = await lab.ask("GET", f"{path}/none", accept=PROTOBUF)
    assert (missing.code, missing.headers["Content-Type"]) == (404, PROTOBUF)
    status = dict(content(missing.raw))
    assert status[2] == b"Failure" and status[6] == 404
    assert status[3] == b'configmaps "none" not found' and status[4] == b"NotFound"
    for number, text in ((1, b"none"), (3, b"configmaps")):
        assert dict(protobuf.fields_of(status[5]))[number] == text
    refused = await lab.ask("GET", path, accept="text/html")
    assert refused.message == WRITTEN and refused.headers["Content-Type"] == JSON


def content(message: bytes) -> list[tuple[int, Any]]:
    """What is in the envelope."""
    return list(protobuf.fields_of(dict(protobuf.fields_of(message[4:]))[2]))


async def test_discovery_is_written_in_protobuf_for_who_accepts_nothing_else(lab: Any) -> None:
    versions = await lab.ask("GET", "/api", accept=PROTOBUF)
    assert (versions.code, versions.headers["Content-Type"]) == (200, PROTOBUF)
    assert dict(content(versions.raw))[1] == b"v1"
    groups = [
        value for number, value in content((await lab.ask("GET", "/apis", accept=PROTOBUF)).raw)
    ]
    names = [dict(protobuf.fields_of(group))[1].decode() for group in groups]
    plain = (await lab.ask("GET", "/apis")).json["groups"]
    assert names == [group["name"] for group in plain] and "apps" in names
    group = dict(content((await lab.ask("GET", "/apis/apps", accept=PROTOBUF)).raw))
    assert dict(protobuf.fields_of(group[3])) == {1: b"apps/v1", 2: b"v1"}
    listed = content((await lab.ask("GET", "/apis/apps/v1", accept=PROTOBUF)).raw)
    assert dict(listed)[1] == b"apps/v1"
    kinds = [dict(protobuf.fields_of(value)) for number, value in listed if number == 2]
    (found,) = (kind for kind in kinds if kind[1] == b"deployments")
    assert (found[2], found[3], found[5]) == (1, b"Deployment", b"deploy")
    verbs = [verb for _, verb in protobuf.fields_of(found[4])]
    assert {b"get", b"list", b"watch"} <= {*verbs}


async def test_documents_are_written_as_they_are_accepted(lab: Any) -> None:
    for path in ("/apis", "/api/v1", "/apis/apps", PODS):
        found = await lab.ask("GET", path, accept=YAML)
        assert (found.code, found.headers["Content-Type"]) == (200, YAML)
        assert b"\nkind: " in b"\n" + found.raw
        assert (await lab.ask("GET", path, accept="text/html")).message == WRITTEN
    review = {"spec": {"nonResourceAttributes": {"verb": "get", "path": "/"}}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    found = await lab.ask("POST", path, review, accept=YAML)
    assert b"allowed: true" in found.raw


async def test_old_tables_are_called_so(lab: Any) -> None:
    for name in ("Table", "PartialObjectMetadataList"):
        accept = f"{JSON};as={name};v=v1beta1;g=meta.k8s.io"
        found = (await lab.ask("GET", PODS, accept=accept)).json
        assert (found["kind"], found["apiVersion"]) == (name, "meta.k8s.io/v1beta1")


async def test_openapi_is_in_what_is_asked_for(lab: Any) -> None:
    asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    told = asked.replace("@", ".")
    for accept, written in ((asked, told), (told, told), (f"{asked};q=0.1,{JSON}", JSON)):
        found = await lab.ask("GET", "/openapi/v2", accept=accept)
        assert (found.code, found.headers["Content-Type"]) == (200, written)
    for path in ("/openapi/v2", "/openapi/v3/api/v1"):
        assert (await lab.ask("GET", path, accept="text/html")).code == 406
        assert (await lab.ask("GET", path, accept="*/*")).headers["Content-Type"] == JSON
