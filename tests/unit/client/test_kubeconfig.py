"""Kubeconfigs, as kubectl and clouds write them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.client import kubeconfig
from netlab.client.endpoint import ApiEndpoint
from netlab.errors import InputError


def config(cluster: dict[str, Any], user: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "other", "cluster": {"server": "http://127.0.0.1:8001/"}},
            {"name": "lab", "cluster": {"server": "https://10.0.0.1:6443", **cluster}},
        ],
        "users": [{"name": "me", "user": user}],
        "contexts": [
            {"name": "here", "context": {"cluster": "lab", "user": "me"}},
            {"name": "there", "context": {"cluster": "other"}},
        ],
        "current-context": "here",
        **more,
    }


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reading(content: object, context: str = "") -> ApiEndpoint:
        path = tmp_path / "config"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return kubeconfig.read(path, context)

    return reading


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_stands_in_it(read: Any) -> None:
    cluster = {"certificate-authority-data": data("CA"), "tls-server-name": "api.lab"}
    user = {"client-certificate-data": data("CERT"), "client-key-data": data("KEY")}
    assert read(config(cluster, user)) == ApiEndpoint(
        url="https://10.0.0.1:6443",
        authority="CA",
        certificate="CERT",
        key="KEY",
        server_name="api.lab",
    )


def test_what_stands_in_files_beside_it(read: Any, tmp_path: Path) -> None:
    for name in ("ca", "cert", "key", "token"):
        (tmp_path / name).write_text(f"{name}\n")
    cluster = {"certificate-authority": "ca", "insecure-skip-tls-verify": True}
    user = {"client-certificate": "cert", "client-key": str(tmp_path / "key"), "tokenFile": "token"}
    found = read(config(cluster, user))
    assert (found.authority, found.certificate, found.key) == ("ca\n", "cert\n", "key\n")
    assert found.headers == {"Authorization": "Bearer token"}
    assert not found.is_verified


def test_another_context_and_its_path(read: Any) -> None:
    content = config({"server": "https://rancher.example/k8s/clusters/c-1/"}, {"token": "t"})
    assert read(content, "there") == ApiEndpoint(url="http://127.0.0.1:8001")
    found = read(content)
    assert (found.host, found.prefix) == ("rancher.example", "/k8s/clusters/c-1")
    assert found.headers == {"Authorization": "Bearer t"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("- a list", "this is no kubeconfig"),
        ("{", "expected"),
        (config({}, {}, kind="Pod"), "this is no kubeconfig"),
        (config({}, {}, **{"current-context": "gone"}), 'it has no context "gone"'),
        (config({}, {}, users=[]), 'it has no user "me"'),
        (config({"server": "10.0.0.1"}, {}), 'the server "10.0.0.1" is no URL'),
        (config({"certificate-authority-data": "%"}, {}), "base64"),
        (config({"certificate-authority": "none"}, {}), "No such file"),
        (config({}, {"exec": {"command": "aws"}}), "exec is not supported"),
        (config({"proxy-url": "socks5://x"}, {}), "proxy-url is not supported"),
    ],
)
def test_what_cannot_be_used(read: Any, tmp_path: Path, content: object, said: str) -> None:
    with pytest.raises(InputError) as refused:
        read(content)
    assert said in refused.value.message
    assert refused.value.message.startswith(f"{tmp_path / 'config'}: ")
    assert refused.value.exit_code == 2
