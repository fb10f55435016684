"""Kubeconfigs, as kubectl and clouds write them."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from netlab.client import kubeconfig
from netlab.client.endpoint import ApiEndpoint
from netlab.client.kubeconfig import Context
from netlab.errors import InputError

Read = Callable[..., Context]


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
            {"name": "there", "context": {"cluster": "other", "namespace": "team"}},
        ],
        "current-context": "here",
        **more,
    }


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a certificate and its key."""
    directory = tmp_path_factory.mktemp("pem")
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -batch"
    subprocess.run(
        [*argv.split(), "-subj", "/CN=test", "-keyout", "key", "-out", "cert"],
        cwd=directory,
        check=True,
        capture_output=True,
    )
    return directory


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reading(content: object, context: str = "") -> Context:
        path = tmp_path / "config"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
        return kubeconfig.read([path], context)

    return reading


def data(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_what_stands_in_it(read: Read, pem: Path) -> None:
    certificate, key = (pem / "cert").read_text(), (pem / "key").read_text()
    cluster = {"certificate-authority-data": data(certificate), "tls-server-name": "api.lab"}
    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    assert read(config(cluster, user)).endpoint == ApiEndpoint(
        url="https://10.0.0.1:6443",
        authority=certificate,
        certificate=certificate,
        key=key,
        server_name="api.lab",
    )


def test_what_stands_in_files_beside_it(read: Read, pem: Path, tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text((pem / name).read_text())
    (tmp_path / "token").write_text("token\n")
    cluster = {"certificate-authority": "cert", "insecure-skip-tls-verify": True}
    user = {
        "client-certificate": "cert",
        "client-key": str(tmp_path / "key"),
        "tokenFile": "token",
    }
    found = read(config(cluster, user)).endpoint
    assert found.authority == found.certificate == (pem / "cert").read_text()
    assert found.key == (pem / "key").read_text()
    assert found.headers == {"Authorization": "Bearer token"}
    assert not found.is_verified


def test_another_context_its_namespace_and_its_path(read: Read) -> None:
    content = config({"server": "https://rancher.example/k8s/clusters/c-1/"}, {"token": "t"})
    assert read(content, "there") == Context(ApiEndpoint(url="http://127.0.0.1:8001"), "team")
    found = read(content)
    assert found.namespace == "default"
    assert (found.endpoint.host, found.endpoint.prefix) == (
        "rancher.example",
        "/k8s/clusters/c-1",
    )
    assert found.endpoint.headers == {"Authorization": "Bearer t"}


def test_json_is_yaml(read: Read) -> None:
    text = """{"kind": "Config", "current-context": "c",
      "contexts": [{"name": "c", "context": {"cluster": "k"}}],
      "clusters": [{"name": "k", "cluster": {"server": "http://[::1]:8001"}}]}"""
    assert read(text).endpoint.url == "http://[::1]:8001"


def test_of_several_files_the_first_that_says_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, gone = tmp_path / "one", tmp_path / "two", tmp_path / "gone"
    one.write_text("kind: Config\nusers: [{name: me, user: {tokenFile: token}}]\n")
    (tmp_path / "token").write_text("first")
    two.write_text(yaml.safe_dump(config({}, {"token": "second"})))
    monkeypatch.setenv("KUBECONFIG", f"{gone}::{one}:{two}")
    assert kubeconfig.usual_files() == [one, two]
    assert kubeconfig.read(kubeconfig.usual_files()).endpoint.token == "first"
    assert kubeconfig.contexts([one, two]) == ["here", "there"]


def test_the_usual_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for unset in ("", ":"):
        monkeypatch.setenv("KUBECONFIG", unset)
        assert kubeconfig.usual_files() == [tmp_path / ".kube" / "config"]
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "gone"))
    assert kubeconfig.usual_files() == [tmp_path / "gone"]


LINES = """kind: Config
current-context: here
contexts:
- name: here
  context: {cluster: lab, user: me}
clusters:
- name: lab
  cluster:
    server: https://10.0.0.1:6443
users:
- name: me
  user:
    token: t
"""


@pytest.mark.parametrize(
    ("before", "after", "said", "hint"),
    [
        ("kind: Config", "kind: Pod", ": is no kubeconfig", "netlab kubeconfig"),
        (LINES, "- a list", ": is no kubeconfig", "netlab kubeconfig"),
        (LINES, "", ": is no kubeconfig", "netlab kubeconfig"),
        ("- name: lab", "- name: {", ":9: is not YAML: ", "mind the indentation"),
        ("current-context: here", "", ": has no current-context", "--context NAME; there are: h"),
        ("current-context: here", "current-context: her", ': has no context "her"', "mean here?"),
        ("current-context: here", "current-context: 5", ":2: current-context: must be text", ""),
        (
            "cluster: lab",
            "cluster: lap",
            ":5: contexts[0].context.cluster: there is no",
            "mean lab",
        ),
        ("cluster: lab, ", "", ":5: contexts[0].context: names no cluster", "there are: lab"),
        ("user: me", "user: x", ':5: contexts[0].context.user: there is no user "x"', "are: me"),
        ("https://", "", ':9: clusters[0].cluster.server: "10.0.0.1:6443" is no URL', "such as"),
        (":6443", ":x", ':9: clusters[0].cluster.server: "https://10.0.0.1:x" is no', "such as"),
        ("token: t", "token: [t]", ":13: users[0].user.token: must be text", ""),
        ("token: t", "exec: {command: aws}", ":13: users[0].user.exec: is not", "a certificate"),
        ("token: t", "tokenFile: none", ":13: users[0].user.tokenFile: ", ""),
        (
            "token: t",
            "client-certificate-data: '%'",
            "client-certificate-data: is not base64",
            "an",
        ),
        ("token: t", "client-certificate-data: eA==", ":13: users[0].user.client-c", "anew"),
        (
            "    server:",
            "    proxy-url: s\n    server:",
            ":9: clusters[0].cluster.proxy-url",
            "a t",
        ),
        (
            "    server:",
            "    certificate-authority-data: eA==\n    server:",
            ":9: clusters[0].cluster.certificate-authority-data: is no certificate that",
            "anew",
        ),
        ("clusters:\n- name: lab", "clusters:\n- 5\n- name: lab", ":7: clusters[0]: must be a", ""),
        ("  cluster:\n    server: https://10.0.0.1:6443", "  cluster: x", ":8: clusters[0].c", ""),
    ],
)
def test_what_cannot_be_used(
    read: Read, tmp_path: Path, before: str, after: str, said: str, hint: str
) -> None:
    assert before in LINES
    with pytest.raises(InputError) as refused:
        read(LINES.replace(before, after))
    first, _, rest = str(refused.value).partition("\n")
    assert first.startswith(f"{tmp_path / 'config'}:")
    assert said in first
    assert hint in rest
    assert refused.value.exit_code == 2


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\0")
    for name, said in (("gone", "no such file"), (".", "Is a directory"), ("binary", "is no text")):
        with pytest.raises(InputError, match=said) as refused:
            kubeconfig.read([tmp_path / name])
        assert str(refused.value).startswith(f"{tmp_path / name}: ")
