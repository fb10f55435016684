"""Watches that go on when the controller is killed, or told to end, and another takes over.

A client that lost its connection asks again, with the last revision it saw. What the new controller
answers must join on without a gap and without a repetition.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import kubernetes
import lightkube
import pytest
from e2e import manifests
from e2e.kubectls import Shell, installed, shell
from e2e.labs import eventually
from kubernetes.informer import SharedInformer
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.core_v1 import ConfigMap

from netlab.kernel import paths

pytestmark = pytest.mark.root

LAB = manifests.lab("tutorial", nodes=1)
ENDS = [signal.SIGKILL, signal.SIGTERM]
LAST = ("ADDED", "the last")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with shell(tmp_path_factory.mktemp("watches"), LAB) as opened:
        yield opened


def restart(lab: Shell, number: signal.Signals) -> None:
    """End the controller by a signal, and start the next one."""
    directory = lab.here.base / "run" / lab.lab
    controller = int(paths.controller_pid(directory).read_text())
    os.kill(controller, number)
    eventually(lambda: not Path(f"/proc/{controller}").exists())
    lab.here.netlab("up", lab.here.base / "lab.yaml")
    eventually(lambda: lab.run("kubectl get node").returncode == 0)


def light(lab: Shell) -> lightkube.Client:
    config = lightkube.KubeConfig.from_file(lab.environment["KUBECONFIG"])
    return lightkube.Client(config, field_manager="tests")


def changes(client: lightkube.Client, name: str, first: int) -> list[tuple[str, str]]:
    """Create an object, change it and delete it; the events that this has to make."""
    obj = ConfigMap(metadata=ObjectMeta(name=name), data={"n": str(first)})
    client.create(obj)
    for number in range(first + 1, first + 5):
        client.patch(ConfigMap, name, {"data": {"n": str(number)}})
    client.delete(ConfigMap, name)
    values = [str(number) for number in range(first, first + 5)]
    return list(zip(["ADDED", *["MODIFIED"] * 4, "DELETED"], [*values, values[-1]], strict=True))


@pytest.mark.parametrize("number", ENDS, ids=lambda number: number.name)
def test_a_watch_joins_on_without_gap_or_repetition(lab: Shell, number: signal.Signals) -> None:
    seen: list[tuple[str, str]] = []

    def follow(client: lightkube.Client, version: str) -> None:
        while not seen or seen[-1] != LAST:
            with contextlib.suppress(httpx2.TransportError):
                for kind, obj in client.watch(ConfigMap, resource_version=version):
                    version = str(obj.metadata.resourceVersion)
                    seen.append((kind, obj.data["n"]))
                    if seen[-1] == LAST:
                        break
            time.sleep(0.1)

    with light(lab) as client, light(lab) as other:
        listed = client.list(ConfigMap)
        assert [each.metadata.name for each in listed] == ["kube-root-ca.crt"]
        version = str(listed.resourceVersion)
        following = threading.Thread(target=follow, args=(other, version), daemon=True)
        following.start()
        wanted = changes(client, "before", 0)
        eventually(lambda: seen == wanted)
        wanted += changes(client, "meanwhile", 10)  # some of it may be on its way still
        restart(lab, number)
        wanted += changes(client, "after", 20)
        client.create(ConfigMap(metadata=ObjectMeta(name="last"), data={"n": LAST[1]}))
        following.join(timeout=20)
        client.delete(ConfigMap, "last")
    assert not following.is_alive()
    assert seen == [*wanted, LAST]


def test_an_informer_of_the_official_client_is_right_again(lab: Shell) -> None:
    with (
        kubernetes.config.new_client_from_config(lab.environment["KUBECONFIG"]) as client,
        light(lab) as other,
    ):
        core = kubernetes.client.CoreV1Api(client)
        informer = SharedInformer(list_func=core.list_namespaced_config_map, namespace="default")
        informer.start()

        def known() -> set[str]:
            return {obj.metadata.name for obj in informer.cache.list()}

        other.create(ConfigMap(metadata=ObjectMeta(name="stays")))
        other.create(ConfigMap(metadata=ObjectMeta(name="goes")))
        eventually(lambda: {"stays", "goes"} <= known())
        restart(lab, signal.SIGKILL)
        other.delete(ConfigMap, "goes")
        other.create(ConfigMap(metadata=ObjectMeta(name="comes")))
        eventually(lambda: {"stays", "comes"} <= known() and "goes" not in known(), seconds=15)
        informer.stop()


# That of 1.20 gives up with the connection, whichever server it is.
@pytest.mark.parametrize("release", [pytest.param("1.28", marks=pytest.mark.slow), "1.33"])
def test_kubectl_goes_on_waiting(lab: Shell, release: str) -> None:
    """`kubectl wait` lists again and watches on, whichever controller answers."""
    lab.use(installed()[release])
    lab("kubectl create configmap awaited --from-literal=n=1")
    log = lab.directory / f"wait-{release}.log"
    line = f"exec kubectl wait -v=6 --for=delete configmap/awaited --timeout=20s 2>{log}"
    waiting = lab.start(line, stdout=subprocess.PIPE)
    try:
        eventually(lambda: "watch=true" in log.read_text())
        restart(lab, signal.SIGKILL)
        lab("kubectl delete configmap awaited")
        said, _ = waiting.communicate(timeout=25)
    finally:
        waiting.kill()
        waiting.wait()
    assert (waiting.returncode, said) == (0, b"configmap/awaited condition met\n"), log.read_text()
