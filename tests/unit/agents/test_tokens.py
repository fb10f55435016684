"""Tokens in volumes: asked for once, kept while they are good, renewed in time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from netlab.agents.podrun import PodRun, new_run
from netlab.agents.tokens import Tokens, has_more_than_tokens
from netlab.agents.volumes import VolumeLacks, Volumes
from netlab.api.tokens import TokenKey
from netlab.kernel.userns import IdRange

MAP = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
VOLUME = {
    "name": "access",
    "projected": {
        "sources": [
            {"serviceAccountToken": {"path": "token", "expirationSeconds": 1000}},
            {"configMap": MAP},
        ]
    },
}


class Kubelet:
    """A pod with a volume that has a token, and an API that issues some."""

    def __init__(self, directory: Path) -> None:
        self.now = 1000.0
        self.asked: list[Any] = []
        self.certificate: dict[str, Any] | None = {"kind": "ConfigMap", "data": {"ca.crt": "CA"}}
        self._key = TokenKey(directory / "tls" / "sa.key")
        self.volumes = Volumes(directory, lambda *_: self.certificate, IdRange(os.getuid()))
        self.tokens = Tokens(self, self.volumes, lambda: self.now)  # type: ignore[arg-type]
        self.run = self.pod(directory, [VOLUME])

    def pod(self, directory: Path, volumes: list[Any]) -> PodRun:
        spec = {"containers": [{"name": "c", "image": "i"}], "volumes": volumes}
        metadata = {"name": "p", "namespace": "n", "uid": "u"}
        pod: Any = {"metadata": metadata, "spec": {"serviceAccountName": "sa", **spec}}
        return new_run(pod, "w1", ("10.0.0.2",), directory, directory / "pods" / "u")

    async def create(self, obj: Any) -> Any:
        self.asked.append(obj)
        seconds = obj["spec"]["expirationSeconds"]
        claims = {"iat": self.now, "exp": self.now + seconds, "n": len(self.asked)}
        return {"status": {"token": self._key.sign(claims)}}

    async def prepare(self) -> str:
        self.volumes.prepare(self.run, await self.tokens.of(self.run))
        return self.volumes.token(self.run, VOLUME, "token")  # type: ignore[arg-type]


@pytest.fixture
def kubelet(tmp_path: Path) -> Kubelet:
    return Kubelet(tmp_path)


async def test_it_is_asked_for_once_and_bound_to_the_pod(kubelet: Kubelet) -> None:
    first = await kubelet.prepare()
    assert first.count(".") == 2
    assert await kubelet.prepare() == first
    (request,) = kubelet.asked
    assert request["metadata"] == {"name": "sa", "namespace": "n"}
    assert request["spec"]["boundObjectRef"]["uid"] == "u"
    assert (kubelet.run.directory / "volumes" / "access" / "ca.crt").read_text() == "CA"


async def test_it_is_renewed_before_it_ends_and_not_long_before(kubelet: Kubelet) -> None:
    first = await kubelet.prepare()
    kubelet.now += 790
    assert not kubelet.tokens.are_due(kubelet.run)
    assert await kubelet.prepare() == first
    kubelet.now += 20
    assert kubelet.tokens.are_due(kubelet.run)
    assert await kubelet.prepare() != first
    assert not kubelet.tokens.are_due(kubelet.run)


async def test_nobody_asks_for_what_no_container_reads_yet(kubelet: Kubelet) -> None:
    kubelet.volumes.prepare(kubelet.run)
    assert await kubelet.tokens.present(kubelet.run) is None
    assert not kubelet.tokens.are_due(kubelet.run)
    assert not (kubelet.run.directory / "volumes").exists()
    assert kubelet.asked == []


def test_servers_need_no_certificate_and_processes_do(kubelet: Kubelet) -> None:
    kubelet.certificate = None
    kubelet.volumes.prepare(kubelet.run, for_servers=True)
    with pytest.raises(VolumeLacks, match=r'configmap "kube-root-ca\.crt" not found'):
        kubelet.volumes.prepare(kubelet.run)


def test_volumes_without_tokens_are_told_from_those_with(kubelet: Kubelet, tmp_path: Path) -> None:
    assert not has_more_than_tokens(kubelet.run)
    assert has_more_than_tokens(kubelet.pod(tmp_path, [VOLUME, {"name": "e", "emptyDir": {}}]))
