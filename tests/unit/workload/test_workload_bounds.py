"""What a pod may use, from its spec."""

from __future__ import annotations

from typing import Any

import pytest

from netlab.workload.bounds import DISK, LEAST_MEMORY, MEMORY, PIDS, Tmpfs, bounds, rlimits

MIB = 1 << 20
GIB = 1 << 30


def container(name: str = "c", **resources: Any) -> dict[str, Any]:
    return {"name": name, "resources": resources}


def limited(memory: object, name: str = "c", **more: Any) -> dict[str, Any]:
    return {**container(name, limits={"memory": memory}), **more}


def storing(size: object, name: str = "c") -> dict[str, Any]:
    return container(name, limits={"ephemeral-storage": size})


@pytest.mark.parametrize(
    ("spec", "memory"),
    [
        ({"containers": [{"name": "c"}]}, MEMORY),
        ({"containers": [limited("100Mi")]}, 100 * MIB),
        ({"containers": [limited("100Mi", "a"), limited("1G", "b")]}, 100 * MIB + 10**9),
        ({"containers": [limited(134217728)]}, 128 * MIB),
        # one without a limit may use what is usual, and the other what it was given
        ({"containers": [limited("100Mi", "a"), container("b")]}, MEMORY),
        ({"containers": [limited("4Gi", "a"), container("b")]}, 4 * GIB),
        ({"containers": [container(requests={"memory": "3Gi"})]}, 3 * GIB),
        # what comes before the others needs its own, and has it alone
        ({"containers": [limited("100Mi")], "initContainers": [limited("300Mi", "i")]}, 300 * MIB),
        ({"containers": [limited("100Mi")], "initContainers": [limited("30Mi", "i")]}, 100 * MIB),
        (
            {
                "containers": [limited("100Mi")],
                "initContainers": [
                    limited("50Mi", "s", restartPolicy="Always"),
                    limited("120Mi", "i"),
                ],
            },
            170 * MIB,
        ),
        ({"containers": [{"name": "c"}], "resources": {"limits": {"memory": "80Mi"}}}, 80 * MIB),
        ({"containers": [limited("1")]}, LEAST_MEMORY),
        # what is nonsense is none
        ({"containers": [limited("-5Gi")]}, MEMORY),
        ({"containers": [limited("0")]}, MEMORY),
        ({"containers": [limited("lots")]}, MEMORY),
        ({"containers": [limited("1e999999999")]}, MEMORY),
        ({"containers": [limited("9E")]}, 1 << 50),
        ({"containers": []}, MEMORY),
        ({}, MEMORY),
    ],
)
def test_memory(spec, memory):
    assert bounds(spec).memory == memory
    assert bounds(spec).pids == PIDS


@pytest.mark.parametrize(
    ("volume", "size"),
    [
        ({}, DISK),
        ({"sizeLimit": "10Mi"}, 26 * MIB),  # so that it can be exceeded
        ({"sizeLimit": "500Mi"}, 1000 * MIB),
        ({"sizeLimit": "500Gi"}, GIB),  # the pod's memory, which holds it
        ({"medium": "Memory", "sizeLimit": "1Mi"}, MIB),
        ({"sizeLimit": "0"}, DISK),
        ({"sizeLimit": "-1"}, DISK),
        ({"sizeLimit": "1"}, 16 * MIB + 1),
        ({"sizeLimit": "1", "medium": "Memory"}, 4096),
        ({"sizeLimit": None}, DISK),
    ],
)
def test_size_of_an_empty_dir(volume, size):
    spec = {"containers": [container()], "volumes": [{"name": "v", "emptyDir": volume}]}
    assert bounds(spec).volumes == {"v": Tmpfs(size)}


def test_only_what_a_pod_may_fill_is_sized():
    volumes = [
        {"name": "e", "emptyDir": {}},
        {"name": "m", "configMap": {"name": "m"}},
        {"name": "h", "hostPath": {"path": "/srv"}},
    ]
    spec = {
        "containers": [container("a"), storing("20Mi", "b")],
        "initContainers": [container("i")],
        "volumes": volumes,
    }
    found = bounds(spec)
    assert found.volumes == {"e": Tmpfs(DISK)}
    assert found.containers == {"i": Tmpfs(DISK), "a": Tmpfs(DISK), "b": Tmpfs(40 * MIB)}
    assert found.disk == 3 * DISK + 40 * MIB
    assert found.inodes == found.disk // 4096


def test_a_full_disk_comes_before_the_end_of_memory():
    spec = {"containers": [limited("64Mi")], "volumes": [{"name": "v", "emptyDir": {}}]}
    found = bounds(spec)
    assert found.containers["c"].size == found.volumes["v"].size == 32 * MIB


def test_options_of_a_tmpfs():
    assert Tmpfs(8 * MIB).options == "size=8388608,nr_inodes=2048"
    assert Tmpfs(4096).options == "size=4096,nr_inodes=128"


@pytest.mark.parametrize(
    ("held", "names"),
    [
        ({"memory", "pids", "cpu"}, set()),
        ({"pids"}, {"RLIMIT_DATA"}),
        ((), {"RLIMIT_DATA", "RLIMIT_NPROC"}),
    ],
)
def test_limits_of_processes_stand_in_for_controllers(held, names):
    pod = bounds({"containers": [limited("100Mi")]})
    found = rlimits(pod.memory, pod.pids, held)
    always = {"RLIMIT_CORE", "RLIMIT_NOFILE", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE"}
    assert found.keys() == names | always
    assert found.get("RLIMIT_DATA", 100 * MIB) == 100 * MIB
    assert found.get("RLIMIT_NPROC", PIDS) == PIDS
